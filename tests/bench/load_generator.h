// Load over TCP from one thread, so that little of the machine goes into making it: HTTP for the
// gateway, and the protocols of what it is compared with.
#ifndef HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_
#define HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace hookgate {

// How a server is spoken to.
struct LoadProtocol {
  // What connection number `connection` says first, and how the server's reply to that ends. Empty:
  // nothing is said first.
  std::function<std::string(int connection)> greeting;
  std::string greeting_reply_end;
  // A request as it goes over the wire. Null: as it is.
  std::function<std::string(int connection, const std::string& request)> to_wire;
  // The first answer in what was received; nullopt if it is not whole yet.
  struct Answer {
    size_t bytes = 0;
    bool good = false;  // what was sent is stored
  };
  std::function<absl::optional<Answer>(absl::string_view received)> parse;
};

// Requests with a Content-Length; 200 is good.
LoadProtocol HttpProtocol();

struct LoadPlan {
  std::string address;
  int connections = 64;  // each has one request under way
  // Requests per second, evenly spaced, whatever the answers do; 0: as fast as they are answered.
  double per_second = 0;
  LoadProtocol protocol = HttpProtocol();
};

struct LoadResult {
  absl::Duration elapsed;  // from the first request to the last answer
  // Of each request, in their order: from when it was due, or else sent, to its answer.
  std::vector<absl::Duration> latencies;
  std::vector<absl::Time> answered_at;
  int refused = 0;  // answers that are not good
};

// Sends all of `requests`. Ends the process with a message if a connection breaks.
LoadResult RunLoad(const LoadPlan& plan, absl::Span<const std::string> requests);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_
