// How metrics are written for whoever scrapes them: Prometheus' text format 0.0.4, or OpenMetrics
// 1.0.0. Pure functions.
//
// Sources: Prometheus "Exposition formats"; OpenMetrics 1.0.0, "Text format". Both have the same
// names, labels and values, so that nothing changes its identity when a scraper asks for the other
// one: bounds of buckets are written as OpenMetrics wants them, "1.0", in both.
#ifndef HOOKGATE_SERVER_METRICS_METRIC_TEXT_H_
#define HOOKGATE_SERVER_METRICS_METRIC_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "server/metrics/metric.h"

namespace hookgate {

enum class MetricFormat { kText, kOpenMetrics };

// The format that a request with this field Accept gets: OpenMetrics if it asks for that at least
// as much as for text. "": text.
MetricFormat FormatFor(absl::string_view accept);

// "text/plain; version=0.0.4; charset=utf-8", or that of OpenMetrics.
absl::string_view ContentTypeOf(MetricFormat format);

// `labels` as they stand between the braces: `source="openai",code="draining"`. Values may be any
// bytes: what is not UTF-8, and control characters, are written out.
std::string LabelText(const MetricLabels& labels);

// The lines before the series of a metric, which say what it is.
void AppendHead(const MetricInfo& info, MetricFormat format, std::string& text);
// One line. `labels` are a LabelText, or "".
void AppendSample(absl::string_view name, absl::string_view labels, int64_t value,
                  std::string& text);
void AppendSample(absl::string_view name, absl::string_view labels, double value,
                  std::string& text);
// All lines of one series.
void AppendHistogram(absl::string_view name, absl::string_view labels, const Histogram& histogram,
                     std::string& text);
// What ends the whole.
void AppendEnd(MetricFormat format, std::string& text);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_METRICS_METRIC_TEXT_H_
