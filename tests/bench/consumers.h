// Consumers of a durable subscription that ack what they get as soon as they get it.
#ifndef HOOKGATE_TESTS_BENCH_CONSUMERS_H_
#define HOOKGATE_TESTS_BENCH_CONSUMERS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

// Creates the subscription `name` at the beginning of the log, has `consumers` share it until
// `events` acks have been answered, and returns how long that took. Ends the process with a message
// if a stream breaks.
absl::Duration ConsumeAll(const std::string& address, const std::string& name, int consumers,
                          int64_t events);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_CONSUMERS_H_
