#include "server/rpc/caller.h"

#include "absl/strings/match.h"
#include "server/base/logging.h"
#include "server/base/status.h"
#include "server/rpc/call_rules.h"

namespace hookgate {
namespace {

constexpr size_t kMaxTokenBytes = 4096;
constexpr absl::string_view kBearer = "Bearer ";

}  // namespace

Credentials MakeCredentials(const std::vector<absl::string_view>& authorization,
                            std::vector<CertificateName> certificate_names) {
  Credentials credentials = {.certificate_names = std::move(certificate_names)};
  if (authorization.empty()) return credentials;
  const absl::string_view header = authorization.front();
  if (authorization.size() > 1) {
    credentials.problem = "there are several headers authorization; send one";
  } else if (!absl::StartsWithIgnoreCase(header, kBearer) || header.size() == kBearer.size()) {
    credentials.problem = "the header authorization must be \"Bearer TOKEN\"";
  } else if (header.size() > kBearer.size() + kMaxTokenBytes) {
    credentials.problem = "the token is longer than any token here";
  } else {
    credentials.token = DigestOf(header.substr(kBearer.size()));
  }
  return credentials;
}

Caller::Caller(const CallInfo& info, CallGate& gate)
    : gate_(gate),
      credentials_(MakeCredentials(info.metadata.All("authorization"), info.certificate_names)),
      peer_(info.peer),
      name_at_start_(gate.policy()->NameOfCaller(credentials_)) {}

Admission Caller::Admit(const CallInfo& info, CallGate& gate) {
  const Credentials credentials =
      MakeCredentials(info.metadata.All("authorization"), info.certificate_names);
  const auto policy = gate.policy();
  return {.status = CheckCall(*policy, credentials, info.method),
          .identified = policy->open() || policy->Identify(credentials).ok()};
}

std::string Caller::name() const {
  std::string name = gate_.policy()->NameOfCaller(credentials_);
  return name.empty() ? name_at_start_ : name;
}

absl::Status Caller::CheckMethod(absl::string_view method) const {
  return CheckCall(*gate_.policy(), credentials_, method);
}

absl::Status Caller::CheckSources(
    Right right, const google::protobuf::RepeatedPtrField<std::string>& sources) const {
  return CheckSources(right, std::vector<std::string>(sources.begin(), sources.end()));
}

absl::Status Caller::CheckSources(Right right, absl::Span<const std::string> sources) const {
  return LogDenial(gate_.policy()->CheckSources(credentials_, right, sources));
}

absl::Status Caller::CheckSource(Right right, const std::string& source) const {
  return CheckSources(right, absl::MakeConstSpan(&source, 1));
}

bool Caller::HasRight(Right right, const std::string& source) const {
  return gate_.policy()->CheckSources(credentials_, right, {source}).ok();
}

bool Caller::HasInspectRight(absl::string_view subscription) const {
  const auto policy = gate_.policy();
  return policy->CheckAdmin(credentials_).ok() ||
         policy->CheckConsume(credentials_, subscription).ok();
}

bool Caller::IsAdmin() const { return gate_.policy()->CheckAdmin(credentials_).ok(); }

absl::Status Caller::CheckConsume(absl::string_view subscription) const {
  return LogDenial(gate_.policy()->CheckConsume(credentials_, subscription));
}

absl::Status Caller::CheckInspect(absl::string_view subscription) const {
  const auto policy = gate_.policy();
  if (policy->CheckAdmin(credentials_).ok()) return absl::OkStatus();
  return LogDenial(policy->CheckConsume(credentials_, subscription));
}

absl::Status Caller::CheckAllSubscriptions() const {
  return LogDenial(gate_.policy()->CheckAllSubscriptions(credentials_));
}

absl::Status Caller::CheckAdmin() const {
  return LogDenial(gate_.policy()->CheckAdmin(credentials_));
}

bool Caller::MayKnowAllSources() const {
  return gate_.policy()->CheckSources(credentials_, Right::kQuery, {}).ok() ||
         gate_.policy()->CheckSources(credentials_, Right::kSubscribe, {}).ok();
}

absl::Status Caller::CheckSourcesExist(
    const google::protobuf::RepeatedPtrField<std::string>& sources, absl::string_view field) const {
  if (sources.empty()) return absl::OkStatus();
  return gate_.CheckSourcesExist(sources, field, MayKnowAllSources());
}

absl::Status Caller::CheckSourceExists(const std::string& source, absl::string_view field) const {
  return gate_.CheckSourceExists(source, field, MayKnowAllSources());
}

void Caller::LogChange(absl::string_view method, absl::string_view what) const {
  LogLine(Severity::kInfo, "change asked for", {{"method", method}, {"of", what}});
}

void Caller::LogLine(Severity severity, absl::string_view message,
                     std::initializer_list<LogField> fields) const {
  const std::string principal = name();
  const absl::optional<int64_t> left_out = gate_.TakeLine(principal);
  if (!left_out.has_value()) return;
  std::vector<LogField> all(fields);
  all.emplace_back("principal", principal);
  all.emplace_back("peer", peer_);
  if (*left_out > 0) all.emplace_back("lines_left_out", *left_out);
  LogFields(severity, message, all);
}

// Strangers are not logged: they could fill the disk with lines.
absl::Status Caller::LogDenial(absl::Status status) const {
  if (absl::IsPermissionDenied(status)) {
    LogLine(Severity::kWarning, "call denied", {{"error", std::string(status.message())}});
  }
  return status;
}

}  // namespace hookgate
