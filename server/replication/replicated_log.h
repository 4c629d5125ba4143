// The log that the replicas of a cluster share: records in one order, each put at an index that one
// writer wins. The seam behind which the engine can change: PostgreSQL, NATS JetStream, memory for
// tests. An engine is asked for nothing else, so that duplicates, leases and queries mean the same
// on all of them; replicated_log_conformance.h says in tests what this page says in words.
//
// A record is bytes to the log. Those who write them see to it that no two attempts to write have
// the same bytes unless they are the same attempt: a record names its index, its term, its writer
// and the record before it.
//
//   LogIndex last = ...;  // of the record before
//   CompareAppendResult result = log.CompareAppend(last, bytes, absl::Seconds(2));
//   while (result.outcome == CompareAppendOutcome::kUnknown) {
//     result = log.CompareAppend(last, bytes, absl::Seconds(2));  // the same bytes, the same place
//   }
//
// What holds on every engine:
//   1. Order and density: indexes are 1, 2, 3, ... without a hole.
//   2. One winner: of all appends at an index, by whomever and whenever, one succeeds at most, and
//      what is there never changes while the log lives. This is the only thing that safety needs:
//      no lease, no clock. Last() and Read() may be old when they return.
//   3. An append that was said to be appended is as durable as the engine was asked to be: on a
//      majority of the nodes' disks, or on the primary's and a synchronous standby's.
//   4. Read your own: what a handle appended, and what its Last() or AwaitRecord() told of, its
//      Read() returns.
//   5. Every call ends: within its time-out, and a second if the machine is busy.
//   6. An engine that lost what it had (a wiped disk, an older copy, a standby that was behind) is
//      refused as log_behind or log_replaced, and never continued in silence.
#ifndef HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_H_
#define HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate {

// Position of a record in the replicated log: from 1. 0 is before the first.
using LogIndex = int64_t;

// Reasons (base/status.h) of the errors of a replicated log.
namespace log_reason {

// The engine does not answer, or not in time, or has no leader: try again. UNAVAILABLE.
inline constexpr char kEngineUnavailable[] = "engine_unavailable";
// The engine does not know us, or does not allow what is needed: a person has to act.
// PERMISSION_DENIED.
inline constexpr char kEngineAccess[] = "engine_access";
// A setting of the engine breaks promise 3. Metadata "setting": its name, as the engine spells it.
// FAILED_PRECONDITION.
inline constexpr char kUnsafeSetting[] = "unsafe_setting";
// The log has another genesis than it had, or than Options say. Metadata "genesis": what is there.
// FAILED_PRECONDITION, until a person acts.
inline constexpr char kLogReplaced[] = "log_replaced";
// There is no log, and Options do not let one be made. FAILED_PRECONDITION.
inline constexpr char kLogMissing[] = "log_missing";
// The log ends before the record that the caller names: the engine lost what it had, or the caller
// has what was never in it. Metadata "last": where it ends. FAILED_PRECONDITION. An engine that
// catches up later gives other answers later.
inline constexpr char kLogBehind[] = "log_behind";
// The record was trimmed. Metadata "first": the oldest that is held. OUT_OF_RANGE.
inline constexpr char kLogTrimmed[] = "log_trimmed";
// The engine cannot read the record, or has a hole there. Metadata "index". DATA_LOSS.
inline constexpr char kLogDamaged[] = "log_damaged";
// A record of more than max_record_bytes(), or of none. INVALID_ARGUMENT.
inline constexpr char kRecordSize[] = "record_size";

}  // namespace log_reason

struct LogRecord {
  LogIndex index = 0;
  std::string bytes;
};

// Which records a log holds.
struct RecordRange {
  LogIndex first = 1;  // the oldest; last + 1 if there never was one
  LogIndex last = 0;   // the newest; 0 if there never was one
};

enum class CompareAppendOutcome {
  // The record is at its index and durable: by this call, or by an earlier one with the same bytes.
  kAppended,
  // Another record is there, for good. Ours is not in the log and never will be at this index.
  kLost,
  // It may be in the log, or be put there later: the answer was lost or did not come in time. Call
  // again with the same index and bytes until another outcome says which.
  kUnknown,
  // This call put nothing there, and what it sent will not. (An earlier call that was kUnknown may
  // have: its outcome is still not known.)
  kRefused,
};

struct CompareAppendResult {
  CompareAppendOutcome outcome = CompareAppendOutcome::kUnknown;
  // OK if appended; otherwise why not. kLost: ABORTED. kUnknown: UNAVAILABLE engine_unavailable, or
  // FAILED_PRECONDITION unsafe_setting if the engine said that the record is not as durable as it
  // should be. kRefused: any of the reasons above.
  absl::Status status;
  LogIndex index = 0;  // where the record was to go: expected + 1
  // kLost: who is there, if it could be read in time; otherwise index 0.
  LogRecord there;
};

struct RecordLimits {
  int64_t max_records = 256;
  int64_t max_bytes = 4 << 20;  // one record may exceed it alone
};

// How the engine is, for /readyz, GetStatus and metrics.
struct EngineState {
  // "postgresql", "jetstream" or "memory".
  std::string engine;
  // What the last call met: OK, or the error that the next one may meet as well. UNAVAILABLE
  // engine_unavailable before the first connection.
  absl::Status status;
  // For people: whom we are connected to, and its version; "" if to nobody.
  std::string server;
  // What was asked for in so many words although it is less safe, by setting: "trust_storage".
  std::vector<std::string> trusted;
  // Since the handle was made.
  int64_t connections = 0;      // made, the first one included
  int64_t appends = 0;          // that were kAppended
  int64_t lost_appends = 0;     // kLost
  int64_t unknown_appends = 0;  // kUnknown
};

// What every engine is told.
struct ReplicatedLogOptions {
  // The cluster's name: 1 to 32 of a-z, 0-9 and _. Part of the names that the engine knows the log
  // by, so that several clusters may share an engine.
  std::string cluster;
  // The genesis that this replica knows; "" if it knows none, being new. A log with another one is
  // refused as log_replaced.
  std::string genesis;
  // Whether a log is made if there is none. Of several replicas that make it at once one does. Say
  // false with a genesis: a log that is not there then is log_missing, and stays so.
  bool create = true;
  // Of one record, 1 to kMostRecordBytes. An engine that cannot take so much is refused as
  // unsafe_setting.
  int64_t max_record_bytes = 6 << 20;
  // For a read, a trim and each connection.
  absl::Duration timeout = absl::Seconds(5);
};

// A handle on the log: each replica has one. It connects when it is first used, and again whenever
// it has to, at most four times a second: a call that comes earlier waits for its turn. Settings
// and genesis are looked at with each connection.
//
// Thread-safe. One append at a time goes to the engine: another one waits for it, and its time-out
// goes on. So it is with Read and AwaitRecord among each other; but reads wait for no append, and
// the other way round.
class ReplicatedLog {
 public:
  // More than any engine is asked to take.
  static constexpr int64_t kMostRecordBytes = 32 << 20;

  // No call may be under way: Shutdown first, then join who calls.
  virtual ~ReplicatedLog() = default;

  // Puts `bytes` at `expected` + 1 if `expected` is the last index, else nothing. Blocks until the
  // outcome is known, for `timeout` at most.
  //
  // It blocks because its caller is one thread that has one group in flight, and fills the next one
  // meanwhile: a callback would come on a thread of an engine's library, with nothing gained. What
  // bounds an append is the engine's sync, which a second one in flight would share, but a record
  // names the hash of the one before it, which an unknown outcome would leave hanging in the air.
  //   timeout  what the engine may still do afterwards is not undone: then kUnknown
  virtual CompareAppendResult CompareAppend(LogIndex expected, absl::string_view bytes,
                                            absl::Duration timeout) = 0;

  // Makes the next append need no new connection, and finds out whether the one that it would use
  // is still good: for a replica that may have to lead in a moment. May do nothing; says nothing of
  // what went wrong, which an append would meet and say.
  virtual void PrepareAppend(absl::Duration /*timeout*/) {}

  // Looks whether the engine's settings are still safe, as they were when it was connected to:
  // unsafe_setting if not, and nothing is appended from then on until they are. For a thread that
  // may wait.
  virtual absl::Status CheckSettings() { return absl::OkStatus(); }

  // The records from `from` on (1 at least), in order and without a hole, at most as many as the
  // limits allow. At least one if this handle knows of one there; fewer than there are if the rest
  // is still on its way. None if `from` is above all of them.
  //
  // They may not be durable yet where the engine shows what its standbys do not have (PostgreSQL
  // after a crash of the primary): apply only what Confirm, a leader's word or an append after them
  // has confirmed.
  // Errors: engine_unavailable, engine_access, unsafe_setting, log_replaced, log_missing;
  // log_trimmed if `from` is older than what is held (where the engine has several copies, who has
  // not heard of the trim by Last or Trim may still read what is gone elsewhere); log_damaged.
  virtual absl::StatusOr<std::vector<LogRecord>> Read(LogIndex from,
                                                      const RecordLimits& limits) = 0;

  // Which records there are. Asks the engine: at least what was appended before the call, unless it
  // asks a node that is cut off and does not know it.
  // Errors: as Read, without log_trimmed and log_damaged.
  virtual absl::StatusOr<RecordRange> Last() = 0;

  // Returns once every record up to `index` is as durable as one that was appended: what was read
  // is not taken back. Free where the engine shows nothing else.
  // Errors: as Last; log_behind if the log does not reach `index`.
  virtual absl::Status Confirm(LogIndex index) = 0;

  // Removes the records up to `to`, but never the last one, so that a log tells where it ends.
  // Repeating it is harmless. Returns the ends afterwards; if it took too long, some of it is done.
  // Errors: as Last.
  virtual absl::StatusOr<RecordRange> Trim(LogIndex to) = 0;

  // Which log this is: its genesis, a random id made with the log, 16 lower-case hex digits. No two
  // logs have the same, also where one was made again under the old one's name. It is the same for
  // as long as the handle lives. Connects if that was not done yet.
  // Errors: as Last.
  virtual absl::StatusOr<std::string> Identity() = 0;

  // Waits until the log may hold a record after `index`, until Wake, or for `timeout`; returns
  // whether there is news, as far as is known. An engine without a signal asks now and then: at
  // least every 200 ms, so Wake when somebody else says that there is more.
  virtual bool AwaitRecord(LogIndex index, absl::Duration timeout) = 0;

  // Ends the wait in AwaitRecord, or the next one if there is none now.
  virtual void Wake() = 0;

  // Constant: what Options say.
  virtual int64_t max_record_bytes() const = 0;

  // Asks nobody; never waits for a call that is under way.
  virtual EngineState State() const = 0;

  // Ends the calls under way soon (an append is kUnknown then) and those to come at once, with
  // engine_unavailable. For good.
  virtual void Shutdown() = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_H_
