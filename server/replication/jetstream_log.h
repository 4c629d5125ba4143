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

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

struct JetStreamLogOptions {
  // nats://[USER:PASSWORD@]HOST:PORT, or tls://. Any of the servers; those that hang or are gone
  // are passed over. Never logged with what is before the '@'.
  std::vector<std::string> servers;
  // A .creds file, "" for none.
  std::string credentials_file;
  // PEM files. ca_file: what the servers' certificates are checked with, "": the system's
  // authorities. The other two: our own certificate, both or none.
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  // http://HOST:PORT of every server's monitoring port. Each server that holds a copy has to say
  // that it syncs always.
  std::vector<std::string> monitoring_urls;
  // Take on trust that they do; without this and monitoring_urls the log is refused.
  bool trust_fsync = false;
  // How many servers hold a copy if the stream is made here: 1, 3 or 5. Fewer than 3 need
  // trust_storage.
  int32_t replicas = 3;
  // Take it on trust that what is below one server replicates what it stores. Then fewer than 3
  // copies are enough.
  bool trust_storage = false;
};

// Nothing is connected yet.
// FAILED_PRECONDITION if libnats is not installed; INVALID_ARGUMENT for options that are not as
// their comments say.
absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenJetStreamLog(
    const ReplicatedLogOptions& options, const JetStreamLogOptions& jetstream);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_JETSTREAM_LOG_H_
