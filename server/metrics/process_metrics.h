// What Prometheus' client libraries say of every process: process_cpu_seconds_total and so on.
#ifndef HOOKGATE_SERVER_METRICS_PROCESS_METRICS_H_
#define HOOKGATE_SERVER_METRICS_PROCESS_METRICS_H_

#include "absl/time/time.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// Adds them. Each scrape reads /proc/self, which is no disk; what cannot be read, as where no file
// descriptor is left, is left out.
//   start_time  when the process started
void AddProcessMetrics(absl::Time start_time, MetricRegistry& metrics);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_METRICS_PROCESS_METRICS_H_
