// What a config says of NATS JetStream.
#ifndef HOOKGATE_SERVER_REPLICATION_JETSTREAM_OPTIONS_H_
#define HOOKGATE_SERVER_REPLICATION_JETSTREAM_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

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

// INVALID_ARGUMENT, with the name of the field, unless the options are as their comments say.
absl::Status CheckJetStreamOptions(const JetStreamLogOptions& options);

// A server's address without what may be secret.
std::string PublicNatsUrl(const std::string& url);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_JETSTREAM_OPTIONS_H_
