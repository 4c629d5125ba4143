// A replicated log in NATS JetStream: a stream in which a record's sequence is its index, written
// with the sequence that is expected to be the last one.
//
// The stream HOOKGATE_<cluster>, which is made if it is not there, has the one subject
// hookgate.<cluster>.log; its description holds the genesis. What it has to be like is looked at
// with each connection, and refused by the setting's name.
//
// A majority of the stream's servers has a record before it is acknowledged, but on their disks
// only if they run with "sync_interval: always", which is not the default. The monitoring port
// alone tells.
#ifndef HOOKGATE_SERVER_REPLICATION_JETSTREAM_LOG_H_
#define HOOKGATE_SERVER_REPLICATION_JETSTREAM_LOG_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/replication/jetstream_options.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

// Nothing is connected yet.
// FAILED_PRECONDITION if libnats is not installed; INVALID_ARGUMENT for options that are not as
// their comments say.
absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenJetStreamLog(
    const ReplicatedLogOptions& options, const JetStreamLogOptions& jetstream);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_JETSTREAM_LOG_H_
