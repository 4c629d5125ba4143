// How long one webhook takes at a moderate rate, beside the least that the disk and gRPC take.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/group_commit.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"

namespace hookgate {
namespace {

constexpr double kPerSecond = 2000;

int Webhooks(const BenchSettings& settings) { return settings.Count(20'000, 1'500); }

Figure P99(const std::vector<absl::Duration>& latencies) {
  return {.value = absl::ToDoubleMilliseconds(Percentile(latencies, 0.99)),
          .note = absl::StrFormat("p50 %.2f ms",
                                  absl::ToDoubleMilliseconds(Percentile(latencies, 0.5)))};
}

Figure MeasureAnswer(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const LoadResult load = RunLoad({.address = gateway->http(), .per_second = kPerSecond},
                                  SignedRequests(Webhooks(settings)));
  ExpectNoneRefused(load.refused);
  return P99(load.latencies);
}

Figure MeasureGroupCommit(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  return P99(RunGroupCommits(settings, folder.path(), Webhooks(settings), kPerSecond));
}

Figure MeasureBareDurable(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto bare = StartBareServer(settings, absl::StrCat("http_durable:", folder.path()));
  return P99(RunLoad({.address = bare->address(), .per_second = kPerSecond},
                     SignedRequests(Webhooks(settings)))
                 .latencies);
}

// Webhook i is about batch_i, so an event tells which answer came with it. A subscriber may have it
// before the sender has read its 200.
Figure MeasureArrival(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const std::vector<std::string> requests = SignedRequests(Webhooks(settings));
  Subscribers live(gateway->grpc(), 1, Subscribers::Start::kLatest,
                   static_cast<int64_t>(requests.size()));
  const LoadResult load = RunLoad({.address = gateway->http(), .per_second = kPerSecond}, requests);
  ExpectNoneRefused(load.refused);
  live.Wait();
  std::vector<absl::Duration> latencies;
  for (const EventArrival& arrival : live.arrivals()) {
    size_t webhook = 0;
    absl::string_view subject = arrival.subject;
    if (!absl::ConsumePrefix(&subject, "batch_") || !absl::SimpleAtoi(subject, &webhook)) continue;
    latencies.push_back(arrival.time - load.answered_at.at(webhook));
  }
  return P99(latencies);
}

Figure MeasureBareArrival(const BenchSettings& settings) {
  const auto bare = StartBareServer(settings, absl::StrCat("grpc_paced:", kPerSecond));
  Subscribers live(bare->address(), 1, Subscribers::Start::kLatest, Webhooks(settings));
  live.Wait();
  return P99(live.lags());
}

}  // namespace

std::vector<BenchCase> LatencyCases(const BenchSettings& settings) {
  return {{.name = "latency_answer",
           .what = "p99 from request to 200, 2,000/s",
           .unit = "ms",
           .reference = "group commit to a file alone",
           .target = 1.5,
           .at_least = false,
           .measure = [&settings] { return MeasureAnswer(settings); },
           .measure_reference = [&settings] { return MeasureGroupCommit(settings); }},
          {.name = "latency_durable",
           .what = "p99 from request to 200, 2,000/s",
           .unit = "ms",
           .reference = "Beast with group commits to a file",
           .measure = [&settings] { return MeasureAnswer(settings); },
           .measure_reference = [&settings] { return MeasureBareDurable(settings); }},
          {.name = "latency_arrival",
           .what = "p99 from 200 to the subscriber, 2,000/s",
           .unit = "ms",
           .reference = "gRPC alone, an event a frame",
           .target = 1,
           .at_least = false,
           .measure = [&settings] { return MeasureArrival(settings); },
           .measure_reference = [&settings] { return MeasureBareArrival(settings); }}};
}

}  // namespace hookgate
