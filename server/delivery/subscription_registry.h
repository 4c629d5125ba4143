// The durable subscriptions, by name.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/delivery/subscription.h"

namespace hookgate {

// Thread-safe.
class SubscriptionRegistry {
 public:
  // With all that are stored.
  static absl::StatusOr<std::unique_ptr<SubscriptionRegistry>> Open(
      const SubscriptionContext& context);

  // Ends what its subscriptions do. Nobody may be attached any more.
  ~SubscriptionRegistry();

  // Stores it. Blocks. Errors as SubscriptionLog::CreateSubscription.
  absl::StatusOr<std::shared_ptr<Subscription>> Create(const std::string& name,
                                                       const SubscriptionSettings& settings,
                                                       Sequence position) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends its receivers, and forgets it. Blocks. Errors as Find and
  // SubscriptionLog::DeleteSubscription.
  absl::Status Delete(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);

  // NOT_FOUND subscription_not_found.
  absl::StatusOr<std::shared_ptr<Subscription>> Find(absl::string_view name)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Those after the name `after`, by name, at most `max`.
  std::vector<std::shared_ptr<Subscription>> List(absl::string_view after, size_t max)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Retention has removed events: those that had not settled them note their loss.
  void NoteTrim() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit SubscriptionRegistry(const SubscriptionContext& context) : context_(context) {}

  // Constant after construction.
  const SubscriptionContext context_;

  absl::Mutex mu_;
  absl::btree_map<std::string, std::shared_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_
