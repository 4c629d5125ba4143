#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/config/config_values.h"
#include "server/config/resolve_parts.h"
#include "server/config/resolve_tls.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

constexpr int64_t kMaxBodyBytes = 64 << 20;
constexpr int64_t kMaxRememberedRefusals = 10'000;

// Each sender would be a proxy then, and be believed. Of IPv6, all that the internet uses is within
// 2000::/3 (RFC 4291, section 2.4, and IANA's registry).
void WarnOfTrustInEverybody(const std::vector<Network>& trusted_proxies, Problems& problems) {
  for (const auto& [kind, all] : {std::pair("IPv4", "0.0.0.0/0"), std::pair("IPv6", "2000::/3")}) {
    if (!Network::Parse(all)->IsCoveredBy(trusted_proxies)) continue;
    problems.AddWarning(
        "http.trusted_proxies",
        absl::StrCat(
            "covers every ", kind,
            " address, so any sender can choose the address that allowed_networks, "
            "max_connections_per_address and log lines use; name the proxies' own networks"));
  }
}

void ResolveHttpTls(const Config& config, Options& options, Problems& problems) {
  if (!config.http().has_tls()) return;
  if (!config.http().tls().client_ca_file().empty()) {
    problems.AddError("http.tls.client_ca_file",
                      "means nothing: senders are known by their signatures; leave it out");
  }
  if (config.http().tls().client_ca_required()) {
    problems.AddError("http.tls.client_ca_required",
                      "means nothing: senders are known by their signatures; leave it out");
  }
  options.http_certificates = ResolveTls(config.http().tls(), "http.tls", problems);
}

}  // namespace

void ResolveHttp(const Config& config, Options& options, Problems& problems) {
  const auto& http = config.http();
  problems.AddError(
      SetAddress(http.address(), "http.address", "127.0.0.1:8080", options.http.address));
  problems.AddError(SetNumber(http.max_body_bytes(), "http.max_body_bytes", kMaxBodyBytes,
                              options.http.max_body_bytes));
  problems.AddError(SetNumber(http.max_connections(), "http.max_connections", 1'000'000,
                              options.http.max_connections));
  problems.AddError(SetNumber(http.max_connections_per_address(),
                              "http.max_connections_per_address", 1'000'000,
                              options.http.max_connections_per_address));
  problems.AddError(SetNumber(http.max_unverified_bytes(), "http.max_unverified_bytes",
                              std::numeric_limits<int64_t>::max(),
                              options.http.max_unverified_bytes));
  problems.AddError(SetNumber(http.max_handshakes_per_second(), "http.max_handshakes_per_second",
                              1'000'000, options.http.max_handshakes_per_second));
  problems.AddError(SetNumber(http.max_handshakes_per_second_per_address(),
                              "http.max_handshakes_per_second_per_address", 1'000'000,
                              options.http.max_handshakes_per_second_per_address));
  if (options.http.max_unverified_bytes < options.http.max_body_bytes) {
    problems.AddError("http.max_unverified_bytes",
                      absl::StrCat("is ", options.http.max_unverified_bytes,
                                   "; it must be at least http.max_body_bytes, which is ",
                                   options.http.max_body_bytes,
                                   ", or the largest webhooks would never be taken"));
  }
  problems.AddError(SetDuration(http.has_header_timeout(), http.header_timeout(),
                                "http.header_timeout", absl::Milliseconds(1), absl::Hours(1),
                                options.http.header_timeout));
  problems.AddError(SetDuration(http.has_body_timeout(), http.body_timeout(), "http.body_timeout",
                                absl::Milliseconds(1), absl::Hours(1), options.http.body_timeout));
  problems.AddError(SetDuration(http.has_idle_timeout(), http.idle_timeout(), "http.idle_timeout",
                                absl::Milliseconds(1), absl::Hours(24), options.http.idle_timeout));
  if (http.has_max_remembered_refusals()) {
    const int64_t number = http.max_remembered_refusals();
    if (number < 0 || number > kMaxRememberedRefusals) {
      problems.AddError("http.max_remembered_refusals",
                        absl::StrCat("is ", number, "; it must be from 0 (remember none) to ",
                                     kMaxRememberedRefusals));
    }
    options.max_remembered_refusals = static_cast<size_t>(std::max<int64_t>(number, 0));
  }
  ResolveHttpTls(config, options, problems);
  options.trusted_proxies =
      ResolveNetworks(http.trusted_proxies(), "http.trusted_proxies", problems);
  WarnOfTrustInEverybody(options.trusted_proxies, problems);
}

}  // namespace hookgate
