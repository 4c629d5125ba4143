#include "server/ingest/source_metrics.h"

#include <iterator>

#include "server/status/ingest_counters.h"

namespace hookgate {
namespace {

constexpr double kDurationBounds[] = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10};
// A sender that repeats a webhook waits for seconds at first, and for hours in the end, for up to
// 72 hours.
constexpr double kDelayBounds[] = {.5, 1, 5, 30, 300, 3600, 21600, 86400, 259200};

constexpr MetricInfo kWebhooks = {
    "hookgate_webhooks_total", MetricType::kCounter,
    "Requests to the webhook port that were answered, by what they were answered."};
constexpr MetricInfo kRefused = {"hookgate_webhooks_refused_total", MetricType::kCounter,
                                 "Requests that were refused, by the code of the answer."};
constexpr MetricInfo kDuration = {
    "hookgate_webhook_duration_seconds", MetricType::kHistogram,
    "Time from a request's header having been read to its answer having been written.",
    kDurationBounds};
constexpr MetricInfo kBodyBytes = {"hookgate_webhook_body_bytes_total", MetricType::kCounter,
                                   "Bytes of bodies that arrived whole."};
constexpr MetricInfo kDelay = {
    "hookgate_webhook_delay_seconds", MetricType::kHistogram,
    "Time from when an event happened, as its sender says, to when it arrived; at most 30 days.",
    kDelayBounds};

constexpr const char* kResultTexts[] = {"stored", "duplicate", "conflict", "quarantined",
                                        "refused"};

}  // namespace

SourceMetrics::SourceMetrics(const std::string& source, MetricRegistry& metrics)
    : body_bytes_(metrics.AddCounter(kBodyBytes, {{"source", source}})),
      delay_(metrics.AddHistogram(kDelay, {{"source", source}})) {
  static_assert(std::size(kResultTexts) == kResults);
  for (size_t i = 0; i < kResults; ++i) {
    const MetricLabels labels = {{"source", source}, {"result", kResultTexts[i]}};
    results_[i] = metrics.AddCounter(kWebhooks, labels);
    timed_[i] = std::make_unique<Timed>(metrics.AddHistogram(kDuration, labels));
  }
  for (const char* const code : IngestCounters::RefusalReasons()) {
    refused_.push_back(metrics.AddCounter(kRefused, {{"source", source}, {"code", code}}));
  }
}

std::shared_ptr<AnswerWatch> SourceMetrics::Count(const std::shared_ptr<SourceMetrics>& self,
                                                  WebhookResult result) {
  const auto index = static_cast<size_t>(result);
  self->results_[index]->Add();
  return {self, self->timed_[index].get()};
}

std::shared_ptr<AnswerWatch> SourceMetrics::CountRefused(const std::shared_ptr<SourceMetrics>& self,
                                                         absl::string_view code) {
  self->refused_[IngestCounters::IndexOf(code)]->Add();
  return Count(self, WebhookResult::kRefused);
}

}  // namespace hookgate
