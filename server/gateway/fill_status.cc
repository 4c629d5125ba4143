#include "server/gateway/fill_status.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/base/proto_time.h"
#include "server/status/secret_use.h"

namespace hookgate {
namespace {

using hookgate::v1::GetStatusResponse;

GetStatusResponse::Secret::Use UseOf(SecretUse use) {
  switch (use) {
    case SecretUse::kOnlySecret:
      return GetStatusResponse::Secret::USE_ONLY_SECRET;
    case SecretUse::kNeeded:
      return GetStatusResponse::Secret::USE_NEEDED;
    case SecretUse::kWait:
      return GetStatusResponse::Secret::USE_WAIT;
    case SecretUse::kNotNeeded:
      return GetStatusResponse::Secret::USE_NOT_NEEDED;
    case SecretUse::kNeverVerified:
      return GetStatusResponse::Secret::USE_NEVER_VERIFIED;
    case SecretUse::kNoWebhooks:
      return GetStatusResponse::Secret::USE_NO_WEBHOOKS;
  }
  return GetStatusResponse::Secret::USE_UNSPECIFIED;
}

void FillSecret(const Source& source, size_t index, const SourceStatus& known,
                GetStatusResponse::Secret& status) {
  const std::vector<Secret>& secrets = source.config().secrets;
  status.set_name(secrets[index].name());
  status.set_scheme(secrets[index].public_key() != nullptr ? "v1a" : "v1");
  const SecretStatus secret = source.records().secret(index);
  *status.mutable_first_configured_time() = ToProto(secret.first_configured);
  if (secret.last_verified.has_value()) {
    *status.mutable_last_verified_time() = ToProto(*secret.last_verified);
  }
  if (secret.last_needed.has_value()) {
    *status.mutable_last_needed_time() = ToProto(*secret.last_needed);
  }
  const SecretVerdict verdict = JudgeSecret(known, secret, secrets.size());
  status.set_use(UseOf(verdict.use));
  status.set_webhooks_since_needed(verdict.webhooks_since);
  if (verdict.wait_until.has_value()) {
    *status.mutable_wait_until_time() = ToProto(*verdict.wait_until);
  }
}

}  // namespace

void FillSource(const Source& source, GetStatusResponse::Source& status) {
  const SourceStatus known = source.records().source();
  status.set_name(source.config().name);
  status.set_webhooks(known.webhooks);
  if (known.last_webhook.has_value()) {
    *status.mutable_last_webhook_time() = ToProto(*known.last_webhook);
  }
  for (size_t i = 0; i < source.config().secrets.size(); ++i) {
    FillSecret(source, i, known, *status.add_secrets());
  }
}

void FillIngest(const IngestCounters& counters, absl::Time since,
                GetStatusResponse::Ingest& status) {
  status.set_stored(counters.stored);
  status.set_duplicates(counters.duplicates);
  status.set_conflicts(counters.conflicts);
  status.set_quarantined(counters.quarantined);
  int64_t refused = 0;
  for (const auto& [reason, count] : counters.RefusedByReason()) {
    auto& refusal = *status.add_refusals();
    refusal.set_reason(reason);
    refusal.set_count(count);
    refused += count;
  }
  status.set_refused(refused);
  *status.mutable_since_time() = ToProto(since);
}

GetStatusResponse::Reload ReloadStatus(absl::Time time, const Problems& problems) {
  GetStatusResponse::Reload status;
  *status.mutable_time() = ToProto(time);
  status.set_applied(problems.ok());
  for (const std::string& error : problems.errors()) status.add_errors(error);
  for (const std::string& warning : problems.warnings()) status.add_warnings(warning);
  return status;
}

}  // namespace hookgate
