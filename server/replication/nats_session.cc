#include "server/replication/nats_session.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/log_errors.h"

namespace hookgate {
namespace {

// A server that hangs takes no longer from the others.
constexpr absl::Duration kEachServer = absl::Seconds(1);
// A connection is given up when its server is silent for twice as long.
constexpr int64_t kPingMilliseconds = 1000;

absl::Status SetOptions(const LibNats& nats, const JetStreamLogOptions& jetstream,
                        const std::string& server, SteadyTime deadline, natsOptions* options) {
  const int64_t timeout = NatsMilliseconds(std::min(TimeLeft(deadline), kEachServer));
  const bool tls = absl::StartsWith(server, "tls://") || !jetstream.ca_file.empty() ||
                   !jetstream.cert_file.empty();
  natsStatus status = nats.natsOptions_SetURL(options, server.c_str());
  const auto then = [&status](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  then(nats.natsOptions_SetName(options, "hookgated"));
  then(nats.natsOptions_SetTimeout(options, timeout));
  // Without it, libnats waits a millisecond for more to send.
  then(nats.natsOptions_SetSendAsap(options, true));
  then(nats.natsOptions_SetPingInterval(options, kPingMilliseconds));
  then(nats.natsOptions_SetMaxPingsOut(options, 2));
  then(nats.natsOptions_SetAllowReconnect(options, false));
  then(nats.natsOptions_SetIgnoreDiscoveredServers(options, true));
  if (tls) then(nats.natsOptions_SetSecure(options, true));
  if (!jetstream.ca_file.empty()) {
    then(nats.natsOptions_LoadCATrustedCertificates(options, jetstream.ca_file.c_str()));
  }
  if (!jetstream.cert_file.empty()) {
    then(nats.natsOptions_LoadCertificatesChain(options, jetstream.cert_file.c_str(),
                                                jetstream.key_file.c_str()));
  }
  if (!jetstream.credentials_file.empty()) {
    then(nats.natsOptions_SetUserCredentialsFromFiles(options, jetstream.credentials_file.c_str(),
                                                      nullptr));
  }
  return status == NATS_OK ? absl::OkStatus()
                           : EngineAccess(absl::StrCat("the connection's options: ",
                                                       nats.natsStatus_GetText(status)));
}

}  // namespace

int64_t NatsMilliseconds(absl::Duration duration) {
  return std::max<int64_t>(absl::ToInt64Milliseconds(duration), 1);
}

absl::Status NatsError(const LibNats& nats, natsStatus status, int code, absl::string_view what) {
  natsStatus last = NATS_OK;
  const char* const detail = nats.nats_GetLastError(&last);
  std::string message = absl::StrCat(what, ": ", nats.natsStatus_GetText(status));
  if (detail != nullptr && last == status) absl::StrAppend(&message, " (", detail, ")");
  const bool access = status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED ||
                      code == JSNotEnabledForAccountErr || code == JSNotEnabledErr ||
                      absl::StrContains(message, "uthorization") ||
                      absl::StrContains(message, "ermission");
  return access ? EngineAccess(message) : EngineUnavailable(message);
}

absl::StatusOr<NatsSessionPtr> ConnectToNats(const LibNats& nats,
                                             const JetStreamLogOptions& jetstream,
                                             const std::string& server, int64_t min_payload,
                                             SteadyTime deadline) {
  natsOptions* raw = nullptr;
  natsStatus status = nats.natsOptions_Create(&raw);
  if (status != NATS_OK) return NatsError(nats, status, 0, "connecting");
  const std::unique_ptr<natsOptions, decltype(nats.natsOptions_Destroy)> options(
      raw, nats.natsOptions_Destroy);
  RETURN_IF_ERROR(SetOptions(nats, jetstream, server, deadline, raw));
  natsConnection* connection = nullptr;
  status = nats.natsConnection_Connect(&connection, raw);
  if (status != NATS_OK) {
    return NatsError(nats, status, 0, absl::StrCat("connecting to ", PublicNatsUrl(server)));
  }
  jsCtx* js = nullptr;
  status = nats.natsConnection_JetStream(&js, connection, nullptr);
  auto session = std::make_shared<NatsSession>(nats, connection, js);
  if (status != NATS_OK) return NatsError(nats, status, 0, "using JetStream");
  const int64_t room = nats.natsConnection_GetMaxPayload(connection);
  if (room < min_payload) {
    return UnsafeSetting(
        "max_payload",
        absl::StrCat("it is ", room, " bytes, and has to be at least ", min_payload));
  }
  return session;
}

}  // namespace hookgate
