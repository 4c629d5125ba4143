// Whether webhooks notice that retention removes old events meanwhile.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/grow_log.h"
#include "tests/bench/load_generator.h"

namespace hookgate {
namespace {

constexpr double kPerSecond = 2000;
// Between two slices of the load it is looked at whether retention is still at work.
constexpr size_t kSlice = 500;
// The gateway keeps events for 30 days, counted back from the newest one of a log that it did not
// write itself: nearly all are too old, or none is.
constexpr absl::Duration kLongSpan = absl::Hours(24 * 3000);
constexpr absl::Duration kSpan = absl::Hours(24 * 20);

// So many that removing them takes longer than the load.
int StoredEvents(const BenchSettings& settings) { return settings.Count(1'000'000, 40'000); }
int Webhooks(const BenchSettings& settings) { return settings.Count(10'000, 1'000); }

int64_t EarliestSequence(const HookgatedProcess& gateway) {
  const auto stub = v1::AdminService::NewStub(
      grpc::CreateChannel(gateway.grpc(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::GetStatusResponse response;
  if (stub->GetStatus(&context, {}, &response).ok()) return response.earliest_sequence();
  std::fputs("bench: hookgated does not tell its status\n", stderr);
  std::exit(1);
}

// The p99 on a log whose events reach back so far, of the slices during which events were removed;
// of all, if none is too old. Where too few are stored to last for a slice, the first one counts.
Figure MeasureAnswer(const BenchSettings& settings, absl::Duration span) {
  const BenchFolder folder(settings.folder);
  absl::BitGen random;
  const int stored = StoredEvents(settings);
  const auto grown = GrowLog(folder.path(), stored, span, random);
  if (!grown.ok()) {
    std::fprintf(stderr, "bench: %s\n", grown.status().ToString().c_str());
    std::exit(1);
  }
  const std::vector<std::string> requests = SignedRequests(Webhooks(settings));
  const auto gateway = StartGateway(settings, folder.path());
  std::vector<absl::Duration> latencies;
  const int64_t earliest_before = EarliestSequence(*gateway);
  int64_t earliest = earliest_before;
  for (size_t at = 0; at < requests.size(); at += kSlice) {
    const LoadResult load = RunLoad({.address = gateway->http(), .per_second = kPerSecond},
                                    absl::MakeConstSpan(requests).subspan(at, kSlice));
    ExpectNoneRefused(load.refused);
    earliest = EarliestSequence(*gateway);
    const bool all_gone = earliest > stored;
    if (!all_gone || at == 0) {
      latencies.insert(latencies.end(), load.latencies.begin(), load.latencies.end());
    }
    if (all_gone) break;
  }
  return {.value = absl::ToDoubleMilliseconds(Percentile(latencies, 0.99)),
          .note = absl::StrFormat("p50 %.2f ms of %d webhooks, %d events removed meanwhile",
                                  absl::ToDoubleMilliseconds(Percentile(latencies, 0.5)),
                                  latencies.size(), earliest - earliest_before)};
}

}  // namespace

std::vector<BenchCase> RetentionCases(const BenchSettings& settings) {
  return {{.name = "retention",
           .what = "p99 from request to 200, 2,000/s, during retention",
           .unit = "ms",
           .reference = "the same, nothing too old",
           .target = 2,
           .at_least = false,
           .measure = [&settings] { return MeasureAnswer(settings, kLongSpan); },
           .measure_reference = [&settings] { return MeasureAnswer(settings, kSpan); }}};
}

}  // namespace hookgate
