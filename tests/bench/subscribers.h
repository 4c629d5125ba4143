// Many subscribers in one process. They count events without decoding them, so that what is
// measured is the gateway.
#ifndef HOOKGATE_TESTS_BENCH_SUBSCRIBERS_H_
#define HOOKGATE_TESTS_BENCH_SUBSCRIBERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hookgate {

struct EventArrival {
  std::string subject;
  absl::Time time;
};

class Subscribers {
 public:
  enum class Start {
    kEarliest,
    kLatest,
    kStalled,  // at the latest, and reads nothing but that it is open
  };

  // Opens `count` streams, `per_connection` of them on each connection, and waits until all are
  // open. Each is to receive `events` events, unless it is stalled.
  Subscribers(const std::string& address, int count, Start start, int64_t events,
              int per_connection = 1);
  // Ends the streams.
  ~Subscribers();

  // Waits until each has received its events. Ends the process with a message if a stream breaks.
  void Wait();

  // The first subscriber's, of each event: from receive_time in the gateway to its arrival here.
  std::vector<absl::Duration> lags() const;
  // The first subscriber's, of each event.
  std::vector<EventArrival> arrivals() const;
  // The first subscriber's, over all frames that had events; 0 if there were none.
  double events_per_frame() const;
  // The first subscriber's: of those frames.
  double bytes_per_event() const;

 private:
  class Stream;
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_SUBSCRIBERS_H_
