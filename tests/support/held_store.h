// A store of subscriptions that is locked for as long as a test says, as if by somebody's
// transaction.
#ifndef HOOKGATE_TESTS_SUPPORT_HELD_STORE_H_
#define HOOKGATE_TESTS_SUPPORT_HELD_STORE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/eventlog/subscription_log.h"

namespace hookgate {

// Thread-safe.
class HeldStore final : public SubscriptionLog {
 public:
  // `log` outlives this.
  explicit HeldStore(SubscriptionLog& log) : log_(log) {}

  // What is created from now on is not answered before LetGo, which refuses it.
  void Hold() {
    absl::MutexLock lock(&mu_);
    holds_ = true;
  }
  // Until `count` calls wait.
  void AwaitHeld(size_t count) {
    const auto all = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return held_.size() == count; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&all));
  }
  void LetGo() {
    std::vector<IdDone> held;
    {
      absl::MutexLock lock(&mu_);
      holds_ = false;
      held.swap(held_);
    }
    for (IdDone& done : held) std::move(done)(absl::UnavailableError("somebody holds a lock"));
  }

  absl::StatusOr<std::vector<StoredSubscription>> LoadSubscriptions() override {
    return log_.LoadSubscriptions();
  }
  absl::StatusOr<StoredSubscription> LoadSubscription(int64_t id) override {
    return log_.LoadSubscription(id);
  }
  absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after,
                                                         size_t max) override {
    return log_.LoadDeadLetters(id, after, max);
  }
  absl::StatusOr<std::vector<std::string>> LoadNackReasons(
      int64_t id, const std::vector<Sequence>& sequences) override {
    return log_.LoadNackReasons(id, sequences);
  }
  absl::StatusOr<std::vector<StoredExplanation>> ExplainEvent(
      Sequence sequence, const std::vector<int64_t>& ids) override {
    return log_.ExplainEvent(sequence, ids);
  }
  absl::StatusOr<DeliveryScanPage> ScanDeliveries(int64_t id, const DeliveryScan& scan) override {
    return log_.ScanDeliveries(id, scan);
  }
  void CreateSubscription(const std::string& name, const std::string& settings,
                          absl::Time create_time, Sequence position, IdDone done) override {
    {
      absl::MutexLock lock(&mu_);
      if (holds_) {
        held_.push_back(std::move(done));
        return;
      }
    }
    log_.CreateSubscription(name, settings, create_time, position, std::move(done));
  }
  size_t EventsPerWrite() const override { return log_.EventsPerWrite(); }
  void WriteSubscription(int64_t id, std::unique_ptr<const SubscriptionChanges> changes,
                         Done done) override {
    log_.WriteSubscription(id, std::move(changes), std::move(done));
  }
  void DeleteSubscription(int64_t id, absl::optional<int64_t> etag, Done done) override {
    log_.DeleteSubscription(id, etag, std::move(done));
  }

 private:
  SubscriptionLog& log_;
  absl::Mutex mu_;
  bool holds_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<IdDone> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_HELD_STORE_H_
