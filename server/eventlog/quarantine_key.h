// What entries of the quarantine are kept under. The body that came first under a webhook-id is
// kept under that id. Each other body is under the id and a hash of the body, with an end of line
// between them, which no id has: it was signed, too. Pure.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_KEY_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_KEY_H_

#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// Of a body that is not the first one under `webhook_id`.
std::string QuarantineKeyOfOtherBody(absl::string_view webhook_id, absl::string_view body);

// All keys of entries under `webhook_id` are from it on, and before this.
std::string EndOfQuarantineKeys(absl::string_view webhook_id);

// The webhook-id in `key`.
absl::string_view WebhookIdOfQuarantineKey(absl::string_view key);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_KEY_H_
