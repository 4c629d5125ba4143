// Whether a secret can go from the config. Pure.
#ifndef HOOKGATE_SERVER_STATUS_SECRET_USE_H_
#define HOOKGATE_SERVER_STATUS_SECRET_USE_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/eventlog/status_rows.h"

namespace hookgate {

// For so long a secret must not have been needed, while webhooks came, before it is said that it
// can go: senders repeat a webhook for up to 72 hours, and may sign the repeat as they did first.
constexpr absl::Duration kSecretRest = absl::Hours(72);

enum class SecretUse {
  kOnlySecret,     // the source has no other
  kNeeded,         // the last webhook of the source needed it
  kWait,           // the last ones did not, but not for kSecretRest yet
  kNotNeeded,      // it can go
  kNeverVerified,  // webhooks came since it was first configured, and it has verified none
  kNoWebhooks,     // none came since then, so nobody knows
};

struct SecretVerdict {
  SecretUse use = SecretUse::kNoWebhooks;
  // How many webhooks came since it was needed last, or since it was first configured.
  int64_t webhooks_since = 0;
  // kWait: if no webhook up to then needs it, and one comes after, it can go.
  absl::optional<absl::Time> wait_until;
};

// `secret` is one of the `secrets` that `source` has.
SecretVerdict JudgeSecret(const SourceStatus& source, const SecretStatus& secret, size_t secrets);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_SECRET_USE_H_
