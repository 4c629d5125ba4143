// What a commit has to pass before it is one: in a cluster, the replicated log. Without a gate the
// log is this process's alone, and nothing here costs anything.
//
// The writer writes a group's rows in a transaction as always. What they changed becomes a record
// (replication/record.proto), which the gate appends where all replicas read it; only then the
// transaction is committed, and its jobs answered. A group that changes nothing that replicas share
// needs no record.
#ifndef HOOKGATE_SERVER_EVENTLOG_COMMIT_GATE_H_
#define HOOKGATE_SERVER_EVENTLOG_COMMIT_GATE_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/replication/record.pb.h"
#include "server/replication/record_tail.h"

namespace hookgate {

// Admit: any thread. All else: the log's writer thread, in the order Seal, Append, and one of the
// other two for each Append that succeeded.
class CommitGate {
 public:
  virtual ~CommitGate() = default;

  // Whether this replica decides what is stored. UNAVAILABLE, with what a client can do, if it does
  // not. `takes_over`: asked by what a new leader stores first.
  virtual absl::Status Admit(bool takes_over) const = 0;

  // What was to be stored needs a newer schema than the cluster has agreed on, as `why` says. An
  // error is what its sender is told: FAILED_PRECONDITION upgrade_unfinished, with the replicas
  // that are in the way. OK: nobody can be asked, and this replica's own schema is agreed on with
  // that commit.
  virtual absl::Status AgreeFor(const absl::Status& why) const = 0;

  // Completes `record`, whose entries are there. Returns the tail of a replica that has applied it,
  // for the transaction that does. UNAVAILABLE if this replica does not lead any more;
  // RESOURCE_EXHAUSTED if the record is larger than the log takes.
  virtual absl::StatusOr<RecordTail> Seal(hookgate::replication::v1::Record& record) = 0;

  // Appends what was sealed, and waits for as long as it takes to know whether it is in the log.
  // OK: it is. UNAVAILABLE: it is not, or this replica does not lead any more and cannot know; the
  // transaction is rolled back, and what is in the log is applied from there.
  //   still_unknown  called now and then while that takes longer than senders should wait, with
  //                  what they are to be told
  virtual absl::Status Append(absl::FunctionRef<void(const absl::Status&)> still_unknown) = 0;

  // The transaction of the record is committed; or it could not be, and the record is in the log.
  virtual void Committed() = 0;
  virtual void NotCommitted() = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_COMMIT_GATE_H_
