#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "server/base/host_port.h"
#include "server/config/config_values.h"
#include "server/config/grpc_security.h"
#include "server/config/resolve_parts.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

// How many clients may come, and with what.
void ResolveGrpcSizes(const Config& config, Options& options, Problems& problems) {
  const auto& limits = config.grpc().limits();
  GrpcServerOptions& grpc = options.rpc.transport;
  constexpr int64_t kMany = 1'000'000;
  const auto set = [&problems](int64_t min, int64_t value, absl::string_view key, int64_t max,
                               auto& option) {
    problems.AddError(SetNumberFrom(min, value, absl::StrCat("grpc.limits.", key), max, option));
  };
  set(1, limits.max_connections(), "max_connections", kMany, grpc.max_connections);
  set(1, limits.max_connections_per_address(), "max_connections_per_address", kMany,
      grpc.max_connections_per_address);
  set(1, limits.max_unidentified_connections(), "max_unidentified_connections", kMany,
      grpc.max_unidentified_connections);
  set(1, limits.max_unidentified_time_percent(), "max_unidentified_time_percent", 100,
      grpc.max_unidentified_time_percent);
  set(1, limits.max_handshakes_per_second(), "max_handshakes_per_second", kMany,
      grpc.max_handshakes_per_second);
  set(1, limits.max_handshakes_per_second_per_address(), "max_handshakes_per_second_per_address",
      kMany, grpc.max_handshakes_per_second_per_address);
  set(1, limits.max_calls_per_connection(), "max_calls_per_connection", kMany,
      grpc.max_calls_per_connection);
  grpc.max_calls_per_unidentified_connection =
      std::min(grpc.max_calls_per_unidentified_connection, grpc.max_calls_per_connection);
  set(1, limits.max_calls_per_unidentified_connection(), "max_calls_per_unidentified_connection",
      grpc.max_calls_per_connection, grpc.max_calls_per_unidentified_connection);
  const auto max_streams = static_cast<int64_t>(options.rpc.max_streams);
  grpc.max_calls = static_cast<int>(std::max<int64_t>(grpc.max_calls, 2 * max_streams));
  set(max_streams, limits.max_calls(), "max_calls", 2 * kMany, grpc.max_calls);
  set(4 << 10, limits.max_header_list_bytes(), "max_header_list_bytes", 64 << 10,
      grpc.max_header_list_bytes);
  set(64 << 10, limits.max_message_bytes(), "max_message_bytes", 64 << 20, grpc.max_message_bytes);
  const auto message = static_cast<int64_t>(grpc.max_message_bytes);
  grpc.max_inbound_bytes_per_connection =
      std::max(grpc.max_inbound_bytes_per_connection, grpc.max_message_bytes);
  set(message, limits.max_inbound_bytes_per_connection(), "max_inbound_bytes_per_connection",
      std::numeric_limits<int64_t>::max(), grpc.max_inbound_bytes_per_connection);
  grpc.max_inbound_bytes = std::max(grpc.max_inbound_bytes, grpc.max_inbound_bytes_per_connection);
  set(static_cast<int64_t>(grpc.max_inbound_bytes_per_connection), limits.max_inbound_bytes(),
      "max_inbound_bytes", std::numeric_limits<int64_t>::max(), grpc.max_inbound_bytes);
  set(1 << 20, limits.max_outbound_bytes_per_connection(), "max_outbound_bytes_per_connection",
      std::numeric_limits<int64_t>::max(), grpc.max_outbound_bytes_per_connection);
  // Whatever was stored can be sent, with its raw body.
  const int64_t largest = kQueuedBytesPerBodyByte * options.http.max_body_bytes + (1 << 20);
  grpc.max_outbound_bytes =
      std::max({grpc.max_outbound_bytes, grpc.max_outbound_bytes_per_connection,
                static_cast<size_t>(largest)});
  set(static_cast<int64_t>(grpc.max_outbound_bytes_per_connection), limits.max_outbound_bytes(),
      "max_outbound_bytes", std::numeric_limits<int64_t>::max(), grpc.max_outbound_bytes);
  grpc.max_stream_bytes = std::max(grpc.max_stream_bytes, static_cast<size_t>(largest));
  set(1 << 20, limits.max_stream_bytes(), "max_stream_bytes", std::numeric_limits<int64_t>::max(),
      grpc.max_stream_bytes);
  set(1, limits.empty_frames_burst(), "empty_frames_burst", kMany, grpc.empty_frames_burst);
  set(1, limits.empty_frames_per_second(), "empty_frames_per_second", kMany,
      grpc.empty_frames_per_second);
  set(1, limits.resets_burst(), "resets_burst", kMany, grpc.resets_burst);
  set(1, limits.resets_per_second(), "resets_per_second", kMany, grpc.resets_per_second);
}

// How long clients may take.
void ResolveGrpcTimes(const Config& config, Options& options, Problems& problems) {
  const auto& limits = config.grpc().limits();
  GrpcServerOptions& grpc = options.rpc.transport;
  const auto set = [&problems](bool is_set, const google::protobuf::Duration& value,
                               absl::string_view key, absl::Duration max, absl::Duration& option) {
    problems.AddError(SetDuration(is_set, value, absl::StrCat("grpc.limits.", key),
                                  absl::Milliseconds(1), max, option));
  };
  const absl::Duration hour = absl::Hours(1);
  const absl::Duration day = absl::Hours(24);
  set(limits.has_handshake_timeout(), limits.handshake_timeout(), "handshake_timeout", hour,
      grpc.handshake_timeout);
  set(limits.has_header_timeout(), limits.header_timeout(), "header_timeout", hour,
      grpc.header_timeout);
  set(limits.has_message_timeout(), limits.message_timeout(), "message_timeout", hour,
      grpc.message_timeout);
  set(limits.has_write_timeout(), limits.write_timeout(), "write_timeout", hour,
      grpc.write_timeout);
  set(limits.has_idle_timeout(), limits.idle_timeout(), "idle_timeout", day, grpc.idle_timeout);
  set(limits.has_unidentified_idle_timeout(), limits.unidentified_idle_timeout(),
      "unidentified_idle_timeout", day, grpc.unidentified_idle_timeout);
  set(limits.has_max_connection_age(), limits.max_connection_age(), "max_connection_age", kForever,
      grpc.max_connection_age);
  set(limits.has_max_connection_age_grace(), limits.max_connection_age_grace(),
      "max_connection_age_grace", day, grpc.max_connection_age_grace);
  set(limits.has_keepalive_interval(), limits.keepalive_interval(), "keepalive_interval", day,
      grpc.keepalive_interval);
  set(limits.has_keepalive_timeout(), limits.keepalive_timeout(), "keepalive_timeout", hour,
      grpc.keepalive_timeout);
}

}  // namespace

void ResolveGrpc(const Config& config, Options& options, Problems& problems) {
  std::string& address = options.rpc.transport.address;
  problems.AddError(
      SetAddress(config.grpc().address(), "grpc.address", "127.0.0.1:50051", address));
  const absl::optional<HostPort> host_port = ParseHostPort(address);
  // One that cannot be parsed has that one error, and no other beside it.
  const bool is_loopback = !host_port.has_value() || host_port->is_loopback();
  options.grpc_security = ResolveGrpcSecurity(config, address, !is_loopback, problems);
  options.rpc.transport.client_ca_required = config.grpc().tls().client_ca_required();
  problems.AddError(SetNumber(config.grpc().max_streams(), "grpc.max_streams", 1'000'000,
                              options.rpc.max_streams));
  ResolveGrpcSizes(config, options, problems);
  ResolveGrpcTimes(config, options, problems);
}

}  // namespace hookgate
