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
  RETURN_IF_ERROR(registry->Resume());
  return registry;
}

std::unique_ptr<SubscriptionRegistry> SubscriptionRegistry::OpenSuspended(
    const SubscriptionContext& context, const absl::Status& why) {
  auto registry = absl::WrapUnique(new SubscriptionRegistry(context));
  registry->Suspend(why);
  return registry;
}

absl::Status SubscriptionRegistry::Resume() {
  ASSIGN_OR_RETURN(const std::vector<StoredSubscription> all, context_.store.LoadSubscriptions());
  absl::btree_map<std::string, std::shared_ptr<Subscription>> loaded;
  for (const StoredSubscription& stored : all) {
    ASSIGN_OR_RETURN(loaded[stored.name], Subscription::Create(stored, context_));
  }
  {
    absl::MutexLock lock(&mu_);
    subscriptions_ = std::move(loaded);
    suspended_ = absl::OkStatus();
  }
  NoteTrim();  // The process may have ended between a trim and this.
  return absl::OkStatus();
}

absl::Status SubscriptionRegistry::CheckDecides() {
  absl::MutexLock lock(&mu_);
  return suspended_;
}

void SubscriptionRegistry::Suspend(const absl::Status& why) {
  {
    absl::MutexLock lock(&mu_);
    suspended_ = why;
  }
  CloseAll(why);
  absl::MutexLock lock(&mu_);
  subscriptions_.clear();
}

SubscriptionRegistry::~SubscriptionRegistry() {
  CloseAll(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                           "the gateway is going down"));
}

void SubscriptionRegistry::CloseAll(const absl::Status& why) {
  {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return writes_ == 0; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&none));
  }
  std::vector<std::shared_ptr<Subscription>> all;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [name, subscription] : subscriptions_) all.push_back(subscription);
  }
  for (const auto& subscription : all) subscription->Close(why);
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

bool SubscriptionRegistry::StorePositions(absl::Duration at_most) {
  struct Outcome {
    absl::Mutex mu;
    size_t pending ABSL_GUARDED_BY(mu) = 0;
    bool is_stored ABSL_GUARDED_BY(mu) = true;
  };
  const std::vector<std::shared_ptr<Subscription>> all =
      List("", std::numeric_limits<size_t>::max());
  const auto outcome = std::make_shared<Outcome>();
  {
    absl::MutexLock lock(&outcome->mu);
    outcome->pending = all.size();
  }
  for (const auto& subscription : all) {
    subscription->StorePosition([outcome](const absl::StatusOr<Subscription::Decided>& stored) {
      absl::MutexLock lock(&outcome->mu);
      --outcome->pending;
      outcome->is_stored = outcome->is_stored && stored.ok();
    });
  }
  const auto done = [&outcome]()
                        ABSL_SHARED_LOCKS_REQUIRED(outcome->mu) { return outcome->pending == 0; };
  absl::MutexLock lock(&outcome->mu);
  return outcome->mu.AwaitWithTimeout(absl::Condition(&done), at_most) && outcome->is_stored;
}

absl::Status SubscriptionRegistry::NoteWriteBegin() {
  absl::MutexLock lock(&mu_);
  if (suspended_.ok()) ++writes_;
  return suspended_;
}

void SubscriptionRegistry::NoteWriteEnd() {
  absl::MutexLock lock(&mu_);
  --writes_;
}

void SubscriptionRegistry::Create(const std::string& name, const SubscriptionSettings& settings,
                                  Sequence position, CreateDone done) {
  StoredSubscription stored;
  stored.name = name;
  stored.settings = settings.effective.SerializeAsString();
  stored.create_time = context_.clock.WallNow();
  stored.position.position = position;
  if (absl::Status begun = NoteWriteBegin(); !begun.ok()) return std::move(done)(std::move(begun));
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
          NoteWriteEnd();
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
  if (const absl::Status begun = NoteWriteBegin(); !begun.ok()) return std::move(done)(begun);
  context_.store.DeleteSubscription(
      (*found)->id(), only_if,
      [this, subscription = *found, done = std::move(done)](const absl::Status& status) mutable {
        context_.executor.Post([this, subscription = std::move(subscription), status,
                                done = std::move(done)]() mutable {
          if (status.ok()) Deleted(subscription);
          std::move(done)(absl::IsNotFound(status)  ? SubscriptionNotFound(subscription->name())
                          : absl::IsAborted(status) ? subscription->EtagMismatch()
                                                    : status);
          NoteWriteEnd();
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
  if (!suspended_.ok()) return suspended_;
  const auto found = subscriptions_.find(name);
  if (found == subscriptions_.end()) return SubscriptionNotFound(name);
  return found->second;
}

std::vector<std::shared_ptr<Subscription>> SubscriptionRegistry::List(absl::string_view after,
                                                                      size_t max) {
  absl::MutexLock lock(&mu_);
  std::vector<std::shared_ptr<Subscription>> found;
  if (!suspended_.ok()) return found;
  for (auto at = subscriptions_.upper_bound(after); at != subscriptions_.end(); ++at) {
    if (found.size() == max) break;
    found.push_back(at->second);
  }
  return found;
}

absl::StatusOr<std::vector<DeliveryExplanation>> SubscriptionRegistry::Explain(
    Sequence sequence, const StoredEvent* event,
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
