// Stored events to subscribers that begin at the first, beside a server that sends frames which it
// has ready.
#include <sys/types.h>

#include <memory>
#include <utility>

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

constexpr int kEventsPerFrame = 512;  // as the gateway sends when there is much to send

// A gateway with a full log, made when it is first asked for.
class FullGateway {
 public:
  explicit FullGateway(const BenchSettings& settings)
      : settings_(settings), events_(settings.Count(1'000'000, 40'000)) {}

  int events() const { return events_; }
  HookgatedProcess& gateway() {
    if (gateway_ == nullptr) {
      folder_ = std::make_unique<BenchFolder>(settings_.folder);
      gateway_ = StartGateway(settings_, folder_->path());
      // Not all requests in memory at once.
      for (int left = events_; left > 0; left -= 100'000) {
        const auto requests = SignedRequests(std::min(left, 100'000));
        ExpectNoneRefused(RunLoad({.address = gateway_->http()}, requests).refused);
      }
    }
    return *gateway_;
  }

 private:
  const BenchSettings& settings_;
  const int events_;
  std::unique_ptr<BenchFolder> folder_;
  std::unique_ptr<HookgatedProcess> gateway_;
};

Figure MeasureReplay(pid_t server, const std::string& address, int subscribers, int events) {
  const double deliveries = static_cast<double>(events) * subscribers;
  const BothCores cores(server);
  Subscribers replaying(address, subscribers, Subscribers::Start::kEarliest, events);
  replaying.Wait();
  return {.value = deliveries / absl::ToDoubleSeconds(cores.elapsed()),
          .note = absl::StrFormat("%.0f bytes each; %s", replaying.bytes_per_event(),
                                  cores.Describe(deliveries))};
}

}  // namespace

std::vector<BenchCase> ReplayCases(const BenchSettings& settings) {
  const auto full = std::make_shared<FullGateway>(settings);
  std::vector<BenchCase> cases;
  for (const int subscribers : {1, 10, 100}) {
    cases.push_back(
        {.name = absl::StrCat("replay_", subscribers),
         .what = absl::StrCat("deliveries of ", full->events(), " stored events, ", subscribers,
                              subscribers == 1 ? " subscriber" : " subscribers"),
         .unit = "/s",
         .reference = "gRPC alone, ready frames",
         .target = subscribers == 1 ? 0.8 : 1.0,
         .measure =
             [=] {
               const HookgatedProcess& gateway = full->gateway();
               return MeasureReplay(gateway.pid(), gateway.grpc(), subscribers, full->events());
             },
         .measure_reference =
             [=, &settings] {
               const auto bare = StartBareServer(
                   settings, absl::StrCat("grpc:", full->events(), ":", kEventsPerFrame));
               return MeasureReplay(bare->pid(), bare->address(), subscribers, full->events());
             }});
  }
  return cases;
}

}  // namespace hookgate
