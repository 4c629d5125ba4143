// An event ready to be appended: what a webhook's body says, and how it came.
#ifndef HOOKGATE_SERVER_EVENTLOG_COMPOSE_EVENT_H_
#define HOOKGATE_SERVER_EVENTLOG_COMPOSE_EVENT_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/event/decode_event.h"
#include "server/eventlog/event_log.h"
#include "server/trace/trace_context.h"

namespace hookgate {

// How a webhook came.
struct WebhookOrigin {
  std::string source;
  std::string webhook_id;
  absl::Time webhook_time;
  absl::Time receive_time;  // in whole microseconds, as the log keeps it
  std::string secrets;      // as in StoredEvent
  EventTrace trace = {};
  // Of the log that the event is for.
  Durability durability = Durability::kLocalDisk;
};

// Pure.
std::unique_ptr<StoredEvent> ComposeEvent(DecodedEvent decoded, const WebhookOrigin& origin,
                                          std::string raw_body);

// hookgate.v1.Event.trace_parent in an event's envelope, without parsing the rest; "" if there is
// none.
std::string TraceParentOf(absl::string_view envelope);

// `trace` as fields of hookgate.v1.Event, serialised, and back. What cannot be read is none.
std::string SerializeTrace(const EventTrace& trace);
EventTrace ParseTrace(absl::string_view serialized);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_COMPOSE_EVENT_H_
