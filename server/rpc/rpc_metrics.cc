#include "server/rpc/rpc_metrics.h"

#include <utility>

namespace hookgate {
namespace {

constexpr double kDurationBounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10};

constexpr MetricInfo kStreams = {"hookgate_streams", MetricType::kGauge,
                                 "Streams of Subscribe and Consume that are open."};
constexpr MetricInfo kStreamEnds = {
    "hookgate_stream_ends_total", MetricType::kCounter,
    "Calls of Subscribe and Consume that have ended or were refused, by their gRPC status."};
constexpr MetricInfo kDelivered = {"hookgate_delivered_events_total", MetricType::kCounter,
                                   "Events handed to gRPC; one that is sent again counts again."};
constexpr MetricInfo kDuration = {"hookgate_rpc_duration_seconds", MetricType::kHistogram,
                                  "Time from the headers of a unary call to its end. A code other "
                                  "than OK is there from its first "
                                  "call on.",
                                  kDurationBounds};

}  // namespace

RpcMetrics::RpcMetrics(MetricRegistry& metrics)
    : metrics_(metrics),
      delivered_({metrics.AddCounter(kDelivered, {{"rpc", "Subscribe"}}),
                  metrics.AddCounter(kDelivered, {{"rpc", "Consume"}}),
                  metrics.AddCounter(kDelivered, {{"rpc", "Pull"}})}) {}

void RpcMetrics::AddMethods(const MethodTable& table) {
  table.ForEach([this](const MethodTable::Entry& entry) {
    if (methods_.size() <= entry.index) methods_.resize(entry.index + 1);
    auto method = std::make_unique<OfMethod>();
    method->name = entry.name;
    const std::string rpc = entry.name.substr(entry.name.find('/') + 1);
    if (rpc == "Subscribe" || rpc == "Consume") {
      method->open = metrics_.AddGauge(kStreams, {{"rpc", rpc}});
      for (size_t code = 0; code < kCodes; ++code) {
        method->ends[code] = metrics_.AddCounter(
            kStreamEnds, {{"rpc", rpc},
                          {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
      }
    } else if (entry.kind == MethodTable::Kind::kUnary) {
      DurationOf(*method, 0);
    } else {
      return;
    }
    methods_[entry.index] = std::move(method);
  });
}

Histogram& RpcMetrics::DurationOf(OfMethod& method, size_t code) {
  Histogram* known = method.durations[code].load(std::memory_order_acquire);
  if (known != nullptr) return *known;
  absl::MutexLock lock(&mu_);
  known = method.durations[code].load(std::memory_order_relaxed);
  if (known != nullptr) return *known;
  std::shared_ptr<Histogram> added = metrics_.AddHistogram(
      kDuration, {{"method", method.name},
                  {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
  known = added.get();
  histograms_.push_back(std::move(added));
  method.durations[code].store(known, std::memory_order_release);
  return *known;
}

void RpcMetrics::OnCallBegin(const MethodTable::Entry& entry) {
  OfMethod* const method = methods_[entry.index].get();
  if (method != nullptr && method->open != nullptr) method->open->Add(1);
}

void RpcMetrics::OnCallEnd(const MethodTable::Entry& entry, bool begun, absl::StatusCode code,
                           absl::Duration took) {
  OfMethod* const method = methods_[entry.index].get();
  if (method == nullptr) return;
  const auto index = static_cast<size_t>(code);
  const size_t known = index < kCodes ? index : static_cast<size_t>(absl::StatusCode::kUnknown);
  if (method->open != nullptr) {
    if (begun) method->open->Add(-1);
    method->ends[known]->Add();
  } else {
    DurationOf(*method, known).Observe(took);
  }
}

}  // namespace hookgate
