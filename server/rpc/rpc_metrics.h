// What is counted of gRPC calls.
#ifndef HOOKGATE_SERVER_RPC_RPC_METRICS_H_
#define HOOKGATE_SERVER_RPC_RPC_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/grpc_server/method_table.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// Those that hand out events.
enum class DeliveringRpc { kSubscribe, kConsume, kPull };

// Thread-safe, once it has its methods.
class RpcMetrics final : public MethodTable::Observer {
 public:
  // `metrics` outlives it.
  explicit RpcMetrics(MetricRegistry& metrics);

  // Those of `table` are counted; before any of them is called.
  void AddMethods(const MethodTable& table);

  void OnCallBegin(const MethodTable::Entry& method) override;
  void OnCallEnd(const MethodTable::Entry& method, bool begun, absl::StatusCode code,
                 absl::Duration took) override;

  void NoteDelivered(DeliveringRpc rpc, int64_t events) {
    delivered_[static_cast<size_t>(rpc)]->Add(events);
  }

 private:
  static constexpr size_t kCodes = 17;  // 0 to 16

  // Of one method; of a unary one, `durations`, of a stream, the others.
  struct OfMethod {
    std::string name;
    // By code. That of OK is there from the start; the others from their first call on, since all
    // of them would be some 7,000 lines in each scrape.
    std::array<std::atomic<Histogram*>, kCodes> durations = {};
    std::shared_ptr<Gauge> open;
    std::array<std::shared_ptr<Counter>, kCodes> ends;
  };

  Histogram& DurationOf(OfMethod& method, size_t code) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after AddMethods.
  MetricRegistry& metrics_;  // does its own locking
  std::vector<std::unique_ptr<OfMethod>>
      methods_;  // by MethodTable::Entry::index; null: not counted
  std::array<std::shared_ptr<Counter>, 3> delivered_;

  absl::Mutex mu_;
  std::vector<std::shared_ptr<Histogram>> histograms_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_RPC_METRICS_H_
