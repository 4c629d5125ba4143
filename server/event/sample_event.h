// Made-up webhook bodies for local work and tests, derived from the schema.
#ifndef HOOKGATE_SERVER_EVENT_SAMPLE_EVENT_H_
#define HOOKGATE_SERVER_EVENT_SAMPLE_EVENT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/event/event_schema.h"

namespace hookgate {

// A JSON body of type `type` that DecodeEvent accepts, with every field, optional ones too, and one
// element in each list: literals as the schema says, other texts from the option `example`, numbers
// the Unix seconds of `now`.
//   subject  UTF-8; replaces the field that the schema marks as the subject, unless it is empty
std::string SampleEventBody(const EventType& type, absl::string_view subject, absl::Time now);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_SAMPLE_EVENT_H_
