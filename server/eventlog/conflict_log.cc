#include "server/eventlog/conflict_log.h"

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {

absl::Status ConflictNotFound(Sequence sequence) {
  return ErrorWithReason(
      absl::StatusCode::kNotFound, reason::kConflictNotFound,
      absl::StrCat(
          "no other body of event ", sequence,
          " is stored: it never had one, it was discarded, or the limits of storage.conflicts were "
          "reached"));
}

}  // namespace hookgate
