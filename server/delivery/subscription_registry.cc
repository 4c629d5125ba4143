#include "server/delivery/subscription_registry.h"

#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {

absl::StatusOr<std::unique_ptr<SubscriptionRegistry>> SubscriptionRegistry::Open(
    const SubscriptionContext& context) {
  auto registry = absl::WrapUnique(new SubscriptionRegistry(context));
  ASSIGN_OR_RETURN(const std::vector<StoredSubscription> all, context.store.LoadSubscriptions());
  for (const StoredSubscription& stored : all) {
    ASSIGN_OR_RETURN(std::shared_ptr<Subscription> subscription,
                     Subscription::Create(stored, context));
    absl::MutexLock lock(&registry->mu_);
    registry->subscriptions_[stored.name] = std::move(subscription);
  }
  registry->NoteTrim();  // The process may have ended between a trim and this.
  return registry;
}

SubscriptionRegistry::~SubscriptionRegistry() {
  const auto all = List("", std::numeric_limits<size_t>::max());
  for (const auto& subscription : all) {
    subscription->Close(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                        "the gateway is going down"));
  }
  for (const auto& subscription : all) subscription->WaitUntilIdle();
}

absl::StatusOr<std::shared_ptr<Subscription>> SubscriptionRegistry::Create(
    const std::string& name, const SubscriptionSettings& settings, Sequence position) {
  StoredSubscription stored;
  stored.name = name;
  stored.settings = settings.effective.SerializeAsString();
  stored.create_time = context_.clock.WallNow();
  stored.position.position = position;
  ASSIGN_OR_RETURN(stored.id, context_.store.CreateSubscription(name, stored.settings,
                                                                stored.create_time, position));
  ASSIGN_OR_RETURN(std::shared_ptr<Subscription> subscription,
                   Subscription::Create(stored, context_));
  {
    absl::MutexLock lock(&mu_);
    subscriptions_[name] = subscription;
  }
  Log(Severity::kInfo, "subscription created", {{"subscription", name}, {"after", position}});
  return subscription;
}

// What its consumers still ask for meanwhile is refused by the log: there is nothing to write to.
absl::Status SubscriptionRegistry::Delete(const std::string& name) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription, Find(name));
  const absl::Status deleted = context_.store.DeleteSubscription(subscription->id());
  if (absl::IsNotFound(deleted)) return SubscriptionNotFound(name);
  RETURN_IF_ERROR(deleted);
  {
    absl::MutexLock lock(&mu_);
    const auto found = subscriptions_.find(name);
    // By now there may be a successor of the same name.
    if (found != subscriptions_.end() && found->second == subscription) subscriptions_.erase(found);
  }
  subscription->Close(SubscriptionNotFound(name));
  subscription->WaitUntilIdle();
  Log(Severity::kInfo, "subscription deleted", {{"subscription", name}});
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Subscription>> SubscriptionRegistry::Find(absl::string_view name) {
  absl::MutexLock lock(&mu_);
  const auto found = subscriptions_.find(name);
  if (found == subscriptions_.end()) return SubscriptionNotFound(name);
  return found->second;
}

std::vector<std::shared_ptr<Subscription>> SubscriptionRegistry::List(absl::string_view after,
                                                                      size_t max) {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Subscription>> found;
  for (auto at = subscriptions_.upper_bound(after); at != subscriptions_.end(); ++at) {
    if (found.size() == max) break;
    found.push_back(at->second);
  }
  return found;
}

void SubscriptionRegistry::NoteTrim() {
  for (const auto& subscription : List("", std::numeric_limits<size_t>::max())) {
    subscription->Wake();
  }
}

}  // namespace hookgate
