// Events to subscribers while they are stored, beside a server that sends frames which it has ready
// and stores nothing.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/subscribers.h"

namespace hookgate {
namespace {

// What the gateway's live frames held in its last run, so that the bare server sends such ones.
struct FrameSize {
  double events_per_frame = 0;
};

int Events(const BenchSettings& settings, int subscribers) {
  return subscribers >= 1000 ? settings.Count(20'000, 2'000) : settings.Count(100'000, 8'000);
}

Figure MeasureLive(const BenchSettings& settings, int subscribers, FrameSize& frames) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const int events = Events(settings, subscribers);
  const std::vector<std::string> requests = SignedRequests(events);
  Subscribers live(gateway->grpc(), subscribers, Subscribers::Start::kLatest, events,
                   /*per_connection=*/10);
  const double deliveries = static_cast<double>(events) * subscribers;
  const BothCores cores(gateway->pid());
  const LoadResult load = RunLoad({.address = gateway->http()}, requests);
  ExpectNoneRefused(load.refused);
  live.Wait();
  const double seconds = absl::ToDoubleSeconds(cores.elapsed());
  frames.events_per_frame = live.events_per_frame();
  return {
      .value = deliveries / seconds,
      .note = absl::StrFormat(
          "%.0f events in a frame, %.0f bytes each, %.0f webhooks stored/s, p99 %.1f ms; %s",
          frames.events_per_frame, live.bytes_per_event(),
          events / absl::ToDoubleSeconds(load.elapsed),
          absl::ToDoubleMilliseconds(Percentile(live.lags(), 0.99)), cores.Describe(deliveries))};
}

Figure MeasureBare(const BenchSettings& settings, int subscribers, const FrameSize& frames) {
  const int events = Events(settings, subscribers);
  const int per_frame = std::max(1, static_cast<int>(frames.events_per_frame));
  const auto bare = StartBareServer(settings, absl::StrCat("grpc:", events, ":", per_frame));
  const double deliveries = static_cast<double>(events) * subscribers;
  const BothCores cores(bare->pid());
  Subscribers receiving(bare->address(), subscribers, Subscribers::Start::kEarliest, events,
                        /*per_connection=*/10);
  receiving.Wait();
  return {.value = deliveries / absl::ToDoubleSeconds(cores.elapsed()),
          .note = absl::StrFormat("%.0f bytes each; %s", receiving.bytes_per_event(),
                                  cores.Describe(deliveries))};
}

}  // namespace

std::vector<BenchCase> LiveCases(const BenchSettings& settings) {
  std::vector<BenchCase> cases;
  for (const int subscribers : {100, 1000}) {
    const auto frames = std::make_shared<FrameSize>();
    cases.push_back(
        {.name = absl::StrCat("live_", subscribers),
         .what = absl::StrCat("live deliveries, ", subscribers, " subscribers"),
         .unit = "/s",
         .reference = "gRPC alone, frames of that size",
         .target = subscribers >= 1000 ? 1.2 : 1.5,
         .measure = [=, &settings] { return MeasureLive(settings, subscribers, *frames); },
         .measure_reference = [=,
                               &settings] { return MeasureBare(settings, subscribers, *frames); }});
  }
  return cases;
}

}  // namespace hookgate
