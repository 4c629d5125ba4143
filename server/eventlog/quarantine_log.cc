#include "server/eventlog/quarantine_log.h"

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {

absl::Status QuarantineEntryNotFound(int64_t id) {
  return ErrorWithReason(
      absl::StatusCode::kNotFound, reason::kQuarantineEntryNotFound,
      absl::StrCat("there is no entry ", id,
                   " in quarantine: never put there, released, discarded, or removed by age"));
}

}  // namespace hookgate
