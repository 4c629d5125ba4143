// The stream that a log lies in: how it has to be, and what makes it unsafe.
#ifndef HOOKGATE_SERVER_REPLICATION_JETSTREAM_STREAM_H_
#define HOOKGATE_SERVER_REPLICATION_JETSTREAM_STREAM_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/replication/call_slot.h"
#include "server/replication/jetstream_options.h"
#include "server/replication/libnats.h"
#include "server/replication/nats_session.h"

namespace hookgate {

// What a stream is like, as far as it matters here.
struct StreamSettings {
  absl::Status problem;         // FAILED_PRECONDITION unsafe_setting if it is not as it has to be
  std::set<std::string> peers;  // names of the servers that hold a copy
};

// What the monitoring ports of a cluster's servers say.
struct SyncSeen {
  std::set<std::string> synced;  // names of the servers that sync always
  size_t unseen = 0;             // how many ports do not answer
  absl::Status last_error;       // of one of these
};

// Whether the servers `peers`, which hold a copy, may be taken to sync always: each but those that
// cannot be seen, which have to be fewer than the others. FAILED_PRECONDITION unsafe_setting if a
// server is at none of the ports; UNAVAILABLE if too few answer.
absl::Status CheckSyncSeen(const SyncSeen& seen, const std::set<std::string>& peers);

// Constant, and so thread-safe.
class JetStreamStream {
 public:
  // Of the cluster `cluster`, for records of at most `max_record_bytes`.
  JetStreamStream(const JetStreamLogOptions& options, const std::string& cluster,
                  int64_t max_record_bytes);

  const std::string& name() const { return name_; }
  const std::string& subject() const { return subject_; }
  // What a record takes at most, with its header.
  int64_t max_message_bytes() const { return max_message_bytes_; }

  // Makes the stream, with a genesis of its own. OK also if it is there, for then another replica
  // was quicker.
  absl::Status Make(const LibNats& nats, const NatsSessionPtr& session, SteadyTime deadline) const;
  // The genesis that the stream's description holds; "" if it holds none.
  std::string GenesisOf(const jsStreamInfo& info) const;
  StreamSettings Check(const jsStreamInfo& info) const;
  // Whether the servers `peers`, which hold a copy, sync what they store before they acknowledge
  // it: as CheckSyncSeen, and unsafe_setting if one does not, or if nobody can tell.
  absl::Status CheckSync(const std::set<std::string>& peers, SteadyTime deadline) const;

 private:
  const JetStreamLogOptions options_;
  const std::string name_;
  const std::string subject_;
  const int64_t max_message_bytes_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_JETSTREAM_STREAM_H_
