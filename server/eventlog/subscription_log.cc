#include "server/eventlog/subscription_log.h"

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {

absl::Status SubscriptionNotFound(absl::string_view name) {
  return ErrorWithReason(absl::StatusCode::kNotFound, reason::kSubscriptionNotFound,
                         absl::StrCat("there is no subscription ", name,
                                      ": never created, or deleted; ListSubscriptions names those "
                                      "that there are"));
}

}  // namespace hookgate
