// What the log knows of an event beyond what subscribers get: how it came, and by which texts a
// person may look for it.
#ifndef HOOKGATE_SERVER_EVENTLOG_LOOKUP_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_LOOKUP_LOG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/repeat_counts.h"

namespace hookgate {

// How an event came.
struct Arrival {
  // The names of the secrets that verified the webhook that was stored; none: not known, since it
  // was stored by an older version or came out of the quarantine.
  std::vector<std::string> secrets;
  RepeatCount repeats;  // since the gateway counts them
};

struct FoundEvents {
  std::vector<StoredEventPtr> events;  // newest first, without raw_body
  bool more = false;                   // there are, or may be, older ones
};

// Thread-safe.
class LookupLog {
 public:
  virtual ~LookupLog() = default;

  // The newest `max` events whose id in the body, subject, or webhook-id at one of `sources` is
  // `text`. A text longer than kMaxKeyBytes finds none. Sources from which something came since the
  // log counts it are looked at as well, whether they are among `sources` or not.
  //   may_see  whether the caller may know of events of this source; others are passed over
  // Reads a bounded part of the log, however large it is and however many events have the text.
  virtual absl::StatusOr<FoundEvents> FindByText(
      absl::string_view text, absl::Span<const std::string> sources, size_t max,
      absl::FunctionRef<bool(const std::string& source)> may_see) = 0;

  // NOT_FOUND event_not_found.
  virtual absl::StatusOr<Arrival> GetArrival(Sequence sequence) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_LOOKUP_LOG_H_
