#include "server/delivery/subscription_registry.h"

#include <algorithm>
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
  {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return writes_ == 0; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&none));
  }
  const auto all = List("", std::numeric_limits<size_t>::max());
  for (const auto& subscription : all) {
    subscription->Close(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                        "the gateway is going down"));
  }
  for (const auto& subscription : all) subscription->WaitUntilIdle();
  std::vector<std::weak_ptr<Subscription>> deleted;
  {
    absl::MutexLock lock(&mu_);
    deleted.swap(deleted_);
  }
  for (const auto& subscription : deleted) {
    if (const auto held = subscription.lock(); held != nullptr) held->WaitUntilIdle();
  }
}

void SubscriptionRegistry::NoteWrite(int change) {
  absl::MutexLock lock(&mu_);
  writes_ += change;
}

void SubscriptionRegistry::Create(const std::string& name, const SubscriptionSettings& settings,
                                  Sequence position, CreateDone done) {
  StoredSubscription stored;
  stored.name = name;
  stored.settings = settings.effective.SerializeAsString();
  stored.create_time = context_.clock.WallNow();
  stored.position.position = position;
  NoteWrite(+1);
  context_.store.CreateSubscription(
      name, stored.settings, stored.create_time, position,
      [this, stored, done = std::move(done)](const absl::StatusOr<int64_t>& id) mutable {
        stored.id = id.value_or(0);
        context_.executor.Post([this, stored = std::move(stored), status = id.status(),
                                done = std::move(done)]() mutable {
          if (status.ok()) {
            std::move(done)(Created(std::move(stored)));
          } else {
            std::move(done)(status);
          }
          NoteWrite(-1);
        });
      });
}

absl::StatusOr<std::shared_ptr<Subscription>> SubscriptionRegistry::Created(
    StoredSubscription stored) {
  ASSIGN_OR_RETURN(std::shared_ptr<Subscription> subscription,
                   Subscription::Create(stored, context_));
  {
    absl::MutexLock lock(&mu_);
    subscriptions_[stored.name] = subscription;
  }
  Log(Severity::kInfo, "subscription created",
      {{"subscription", stored.name}, {"after", stored.position.position}});
  return subscription;
}

// What its consumers still ask for meanwhile is refused by the log: there is nothing to write to.
// A change that another call makes meanwhile is either stored before this, or finds nothing: the
// store looks at the etag once more.
void SubscriptionRegistry::Delete(const std::string& name, DeleteDone done,
                                  absl::string_view etag) {
  const absl::StatusOr<std::shared_ptr<Subscription>> found = Find(name);
  if (!found.ok()) return std::move(done)(found.status());
  const absl::StatusOr<int64_t> stored_etag = (*found)->CheckEtag(etag);
  if (!stored_etag.ok()) return std::move(done)(stored_etag.status());
  absl::optional<int64_t> only_if;
  if (!etag.empty()) only_if = *stored_etag;
  NoteWrite(+1);
  context_.store.DeleteSubscription(
      (*found)->id(), only_if,
      [this, subscription = *found, done = std::move(done)](const absl::Status& status) mutable {
        context_.executor.Post([this, subscription = std::move(subscription), status,
                                done = std::move(done)]() mutable {
          if (status.ok()) Deleted(subscription);
          std::move(done)(absl::IsNotFound(status)  ? SubscriptionNotFound(subscription->name())
                          : absl::IsAborted(status) ? subscription->EtagMismatch()
                                                    : status);
          NoteWrite(-1);
        });
      });
}

void SubscriptionRegistry::Deleted(const std::shared_ptr<Subscription>& subscription) {
  const std::string& name = subscription->name();
  {
    absl::MutexLock lock(&mu_);
    const auto found = subscriptions_.find(name);
    // By now there may be a successor of the same name.
    if (found != subscriptions_.end() && found->second == subscription) subscriptions_.erase(found);
    deleted_.erase(std::remove_if(deleted_.begin(), deleted_.end(),
                                  [](const auto& before) { return before.expired(); }),
                   deleted_.end());
    deleted_.push_back(subscription);
  }
  subscription->Close(SubscriptionNotFound(name));
  Log(Severity::kInfo, "subscription deleted", {{"subscription", name}});
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

absl::StatusOr<std::vector<DeliveryExplanation>> SubscriptionRegistry::Explain(
    Sequence sequence, const LogEvent* event,
    const std::vector<std::shared_ptr<Subscription>>& subscriptions) {
  std::vector<int64_t> ids;
  ids.reserve(subscriptions.size());
  for (const auto& subscription : subscriptions) ids.push_back(subscription->id());
  ASSIGN_OR_RETURN(const std::vector<StoredExplanation> stored,
                   context_.store.ExplainEvent(sequence, ids));
  std::vector<DeliveryExplanation> explanations;
  explanations.reserve(subscriptions.size());
  for (size_t i = 0; i < subscriptions.size(); ++i) {
    explanations.push_back(subscriptions[i]->Explain(sequence, event, stored[i]));
  }
  return explanations;
}

void SubscriptionRegistry::NoteTrim() {
  for (const auto& subscription : List("", std::numeric_limits<size_t>::max())) {
    subscription->Wake();
  }
}

}  // namespace hookgate
