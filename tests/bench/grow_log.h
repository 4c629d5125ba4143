// Fills a log as years of webhooks would: random ids, a mix of types, receive times spread evenly.
#ifndef HOOKGATE_TESTS_BENCH_GROW_LOG_H_
#define HOOKGATE_TESTS_BENCH_GROW_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/random/bit_gen_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace hookgate {

// A webhook-id as senders make them: "wh_" and 32 random hex digits.
std::string RandomWebhookId(absl::BitGenRef random);
// An OpenAI webhook body about a random subject; about one in five reports a failure.
std::string RandomWebhookBody(absl::BitGenRef random, std::string* subject);

// An event that can be asked for.
struct KnownEvent {
  std::string webhook_id;
  std::string subject;
};

struct GrownLog {
  absl::Duration elapsed;
  std::vector<KnownEvent> sample;  // events spread over the whole log
};

// Appends `events` to the log in `data_dir`, which no gateway has open: decoded, composed and
// appended by the gateway's own code, in groups larger than its own. They were received, evenly
// spaced, during `span` until `age` ago.
absl::StatusOr<GrownLog> GrowLog(const std::string& data_dir, int64_t events, absl::Duration span,
                                 absl::BitGenRef random, absl::Duration age = absl::ZeroDuration());

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_GROW_LOG_H_
