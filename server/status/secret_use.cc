#include "server/status/secret_use.h"

#include <algorithm>

namespace hookgate {

SecretVerdict JudgeSecret(const SourceStatus& source, const SecretStatus& secret, size_t secrets) {
  SecretVerdict verdict;
  verdict.webhooks_since = std::max<int64_t>(source.webhooks - secret.webhooks_then, 0);
  if (secrets == 1) {
    verdict.use = SecretUse::kOnlySecret;
    return verdict;
  }
  if (verdict.webhooks_since == 0 || !source.last_webhook.has_value()) {
    verdict.use = secret.last_needed.has_value() ? SecretUse::kNeeded : SecretUse::kNoWebhooks;
    return verdict;
  }
  if (!secret.last_verified.has_value()) {
    verdict.use = SecretUse::kNeverVerified;
    return verdict;
  }
  // It was there when it verified something, also if it was configured when the clock was ahead.
  const absl::Time rests_since =
      secret.last_needed.value_or(std::min(secret.first_configured, *secret.last_verified));
  if (*source.last_webhook - rests_since >= kSecretRest) {
    verdict.use = SecretUse::kNotNeeded;
    return verdict;
  }
  verdict.use = SecretUse::kWait;
  verdict.wait_until = rests_since + kSecretRest;
  return verdict;
}

}  // namespace hookgate
