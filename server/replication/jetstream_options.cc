#include "server/replication/jetstream_options.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/nats_server_settings.h"

namespace hookgate {

absl::Status CheckJetStreamOptions(const JetStreamLogOptions& options) {
  if (options.servers.empty()) return InvalidField("servers", "name at least one");
  for (const std::string& server : options.servers) {
    if (!absl::StartsWith(server, "nats://") && !absl::StartsWith(server, "tls://")) {
      return InvalidField("servers", absl::StrCat("\"", PublicNatsUrl(server),
                                                  "\" is not nats://HOST:PORT or tls://HOST:PORT"));
    }
  }
  for (const std::string& url : options.monitoring_urls) {
    const absl::Status status = CheckMonitoringUrl(url);
    if (!status.ok()) return InvalidField("monitoring_urls", status.message());
  }
  if (options.replicas != 1 && options.replicas != 3 && options.replicas != 5) {
    return InvalidField("replicas", "1, 3 or 5");
  }
  if (options.cert_file.empty() != options.key_file.empty()) {
    return InvalidField("key_file", "cert_file and key_file belong together");
  }
  return absl::OkStatus();
}

std::string PublicNatsUrl(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t at = url.rfind('@');
  if (at == std::string::npos) return url;
  return scheme == std::string::npos ? url.substr(at + 1)
                                     : absl::StrCat(url.substr(0, scheme + 3), url.substr(at + 1));
}

}  // namespace hookgate
