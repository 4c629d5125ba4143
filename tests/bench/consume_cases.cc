// Durable subscriptions: each delivery's lease and each ack is committed. Without a target: what
// that costs, beside a stream that keeps its own cursor.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/consumers.h"
#include "tests/bench/contender.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"

namespace hookgate {
namespace {

// Stores webhooks, then measures how fast `receive` gets them from the gateway at an address.
template <typename Receive>
Figure MeasureStored(const BenchSettings& settings, Receive receive) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const int events = settings.Count(100'000, 20'000);
  ExpectNoneRefused(RunLoad({.address = gateway->http()}, SignedRequests(events)).refused);
  const absl::Time start = absl::Now();
  receive(gateway->grpc(), events);
  return {.value = events / absl::ToDoubleSeconds(absl::Now() - start)};
}

Figure MeasureConsume(const BenchSettings& settings, int consumers) {
  return MeasureStored(settings, [consumers](const std::string& address, int events) {
    ConsumeAll(address, "bench", consumers, events);
  });
}

Figure MeasureSubscribe(const BenchSettings& settings) {
  return MeasureStored(settings, [](const std::string& address, int events) {
    Subscribers(address, 1, Subscribers::Start::kEarliest, events).Wait();
  });
}

}  // namespace

std::vector<BenchCase> ConsumeCases(const BenchSettings& settings) {
  std::vector<BenchCase> cases;
  for (const int consumers : {1, 4}) {
    cases.push_back({.name = absl::StrCat("consume_", consumers),
                     .what = absl::StrCat("deliveries leased and acked, ", consumers,
                                          consumers == 1 ? " consumer" : " consumers"),
                     .unit = "/s",
                     .reference = "one Subscribe stream",
                     .measure = [=, &settings] { return MeasureConsume(settings, consumers); },
                     .measure_reference = [&settings] { return MeasureSubscribe(settings); }});
  }
  return cases;
}

}  // namespace hookgate
