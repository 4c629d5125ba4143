// What a NATS server's monitoring port says of its settings. Over the client's connection nobody is
// told whether a server syncs what it stores.
#ifndef HOOKGATE_SERVER_REPLICATION_NATS_SERVER_SETTINGS_H_
#define HOOKGATE_SERVER_REPLICATION_NATS_SERVER_SETTINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/replication/call_slot.h"

namespace hookgate {

struct NatsServerSettings {
  std::string name;     // by which a stream's peers are called
  std::string version;  // "2.15.3"
  bool sync_always = false;
};

// INVALID_ARGUMENT unless `url` is "http://HOST:PORT", a path of "/" allowed.
absl::Status CheckMonitoringUrl(const std::string& url);

// Asks the server at `url` (GET /varz). UNAVAILABLE engine_unavailable if it does not say. Name
// resolution may take longer than `deadline`.
absl::StatusOr<NatsServerSettings> ReadNatsServerSettings(const std::string& url,
                                                          SteadyTime deadline);

// Of the body of such an answer. INVALID_ARGUMENT if it is none.
absl::StatusOr<NatsServerSettings> ParseNatsServerSettings(absl::string_view json);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_NATS_SERVER_SETTINGS_H_
