#include "server/eventlog/compose_event.h"

#include <utility>

#include "hookgate/v1/event.pb.h"
#include "server/base/proto_time.h"

namespace hookgate {

std::unique_ptr<LogEvent> ComposeEvent(DecodedEvent decoded, const WebhookOrigin& origin,
                                       std::string raw_body) {
  hookgate::v1::Event& envelope = decoded.event;
  envelope.set_source(origin.source);
  envelope.set_webhook_id(origin.webhook_id);
  *envelope.mutable_webhook_time() = ToProto(origin.webhook_time);
  *envelope.mutable_receive_time() = ToProto(origin.receive_time);
  envelope.set_durability(hookgate::v1::DURABILITY_LOCAL_DISK);

  auto event = std::make_unique<LogEvent>();
  event->source = origin.source;
  event->webhook_id = origin.webhook_id;
  event->type = envelope.type();
  event->subject = envelope.subject();
  event->failure = decoded.failure;
  event->receive_time = origin.receive_time;
  event->envelope = envelope.SerializeAsString();
  event->raw_body = std::move(raw_body);
  event->event_id = std::move(decoded.event_id);
  event->secrets = origin.secrets;
  return event;
}

}  // namespace hookgate
