#include "server/rpc/get_without_body.h"

#include "server/base/status.h"

namespace hookgate {

absl::StatusOr<StoredEventPtr> GetWithoutBody(EventLog& log, Sequence sequence) {
  const absl::StatusOr<EventPage> page = log.Read(
      sequence - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  if (absl::IsOutOfRange(page.status())) return StoredEventPtr();  // Removed by retention.
  RETURN_IF_ERROR(page.status());
  if (page->events.empty() || page->events.front()->sequence != sequence) return StoredEventPtr();
  return page->events.front();
}

}  // namespace hookgate
