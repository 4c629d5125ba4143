// What the gateway tells about itself, as events of a source of its own: the types, what is told,
// and as what it is stored. Pure. The events are described in
// proto/hookgate/v1/operator_events.proto.
#ifndef HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_NEWS_H_
#define HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_NEWS_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/event/operator_source.h"
#include "server/eventlog/event_log.h"
#include "server/trace/trace_context.h"

namespace hookgate {

enum class OperatorEventType {
  kDeadLettered,
  kStuck,
  kLost,
  kSilent,
  kSecretFailing,
  kReloadFailed,
};

// "hookgate.subscription.dead_lettered".
absl::string_view NameOf(OperatorEventType type);

// All types whose names `pattern` admits, by the rules of EventFilter.types: a name, "hookgate.*",
// "hookgate.subscription.*", or "*". INVALID_ARGUMENT, with the names that there are, if it admits
// none.
absl::StatusOr<std::set<OperatorEventType>> MatchOperatorEventTypes(absl::string_view pattern);

// One event to be told.
struct OperatorNews {
  OperatorEventType type = OperatorEventType::kDeadLettered;
  std::string id;  // unique, and the same if it is told again: Event.webhook_id
  absl::Time time;
  int64_t left_out = 0;
  std::string data;  // the member `data` of the body, as JSON
};

// The event that stores `news`, with the body as JSON and as its typed payload. INTERNAL if the two
// do not fit: that is a mistake in the code.
absl::StatusOr<std::unique_ptr<StoredEvent>> MakeOperatorEvent(
    const OperatorNews& news, const EventTrace& trace,
    Durability durability = Durability::kLocalDisk);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_NEWS_H_
