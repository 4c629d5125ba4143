// What many streams cost on which nothing happens, and what those take from the others that do not
// read.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"

namespace hookgate {
namespace {

constexpr int kStreamsPerConnection = 100;

Figure MeasureIdle(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const int streams = settings.Count(10'000, 2'000);
  const absl::Duration watched = absl::Seconds(settings.quick ? 1 : 5);
  const int64_t memory_before = ResidentBytes(gateway->pid());
  Subscribers idle(gateway->grpc(), streams, Subscribers::Start::kLatest, /*events=*/1,
                   kStreamsPerConnection);
  const int64_t memory = ResidentBytes(gateway->pid()) - memory_before;
  const absl::Duration cpu_before = CpuTime(gateway->pid());
  absl::SleepFor(watched);
  const absl::Duration cpu = CpuTime(gateway->pid()) - cpu_before;
  const absl::Time start = absl::Now();
  RunLoad({.address = gateway->http(), .connections = 1}, SignedRequests(1));
  idle.Wait();
  return {.value = static_cast<double>(memory) / 1024 / streams,
          .note = absl::StrFormat("%.1f %% of a core; a webhook reached all in %.0f ms",
                                  100 * absl::FDivDuration(cpu, watched),
                                  absl::ToDoubleMilliseconds(absl::Now() - start))};
}

// Webhooks stored per second while one subscriber reads, and `stalled` others do not.
Figure MeasureBesideStalled(const BenchSettings& settings, int stalled) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const Subscribers others(gateway->grpc(), stalled, Subscribers::Start::kStalled, /*events=*/0,
                           kStreamsPerConnection);
  // Until their windows are full they take what they are sent.
  ExpectNoneRefused(RunLoad({.address = gateway->http()}, SignedRequests(2'000)).refused);
  const int64_t memory_before = ResidentBytes(gateway->pid());
  const std::vector<std::string> requests = SignedRequests(settings.Count(200'000, 10'000));
  Subscribers reading(gateway->grpc(), 1, Subscribers::Start::kLatest,
                      static_cast<int64_t>(requests.size()));
  const LoadResult load = RunLoad({.address = gateway->http()}, requests);
  ExpectNoneRefused(load.refused);
  reading.Wait();
  const int64_t memory = ResidentBytes(gateway->pid()) - memory_before;
  return {.value = static_cast<double>(requests.size()) / absl::ToDoubleSeconds(load.elapsed),
          .note = absl::StrFormat("memory grew by %.0f MiB; p99 of the reader %.1f ms",
                                  static_cast<double>(memory) / (1 << 20),
                                  absl::ToDoubleMilliseconds(Percentile(reading.lags(), 0.99)))};
}

}  // namespace

std::vector<BenchCase> StreamCases(const BenchSettings& settings) {
  return {
      {.name = "idle",
       .what = absl::StrCat("memory of each of ", settings.Count(10'000, 2'000), " idle streams"),
       .unit = "KiB",
       .target = 1.5,
       .at_least = false,
       .measure = [&settings] { return MeasureIdle(settings); }},
      {.name = "stalled",
       .what = "webhooks stored, 1 subscriber, 1,000 stalled",
       .unit = "/s",
       .reference = "the same with none stalled",
       .target = 0.90,
       .measure = [&settings] { return MeasureBesideStalled(settings, 1000); },
       .measure_reference = [&settings] { return MeasureBesideStalled(settings, 0); }}};
}

}  // namespace hookgate
