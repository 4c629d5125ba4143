// The id that a sender gives an event in its body ("evt_..."): unlike the webhook-id it is part of
// what was signed, and what the sender's own API and dashboard show.
#ifndef HOOKGATE_SERVER_EVENT_EVENT_ID_H_
#define HOOKGATE_SERVER_EVENT_EVENT_ID_H_

#include <string>

#include "hookgate/v1/event.pb.h"

namespace hookgate {

// The member `id` of the body that `event` was decoded from; "" if it has none, if it is no text,
// or if it is longer than kMaxKeyBytes. Reads the JSON of an unrecognized event. Pure.
std::string EventIdOf(const hookgate::v1::Event& event);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_EVENT_ID_H_
