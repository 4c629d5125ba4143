// The durable subscriptions, by name.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/delivery/subscription.h"

namespace hookgate {

// Thread-safe.
class SubscriptionRegistry {
 public:
  // With all that are stored.
  static absl::StatusOr<std::unique_ptr<SubscriptionRegistry>> Open(
      const SubscriptionContext& context);
  // Of a replica that does not lead: suspended from the beginning, see Suspend.
  static std::unique_ptr<SubscriptionRegistry> OpenSuspended(const SubscriptionContext& context,
                                                             const absl::Status& why);

  // Another process decides what becomes of deliveries: ends all receivers with `why`, and lets go
  // of what is in memory. Find, Create and Delete answer `why` from now on, and List has none. What
  // is stored stays as it is. Returns once nothing is under way any more.
  void Suspend(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // This process decides: reads what is stored. Leases of before are void, and do not count, as
  // after a restart. An error of the store leaves it suspended.
  absl::Status Resume() ABSL_LOCKS_EXCLUDED(mu_);
  // OK, or what Suspend was given: then an empty List says nothing.
  absl::Status CheckDecides() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends what its subscriptions do. Nobody may be attached any more.
  ~SubscriptionRegistry();

  // Stores it. `done` is called once, when that is durable, on a thread that must not block. Errors
  // as SubscriptionLog::CreateSubscription.
  using CreateDone = absl::AnyInvocable<void(absl::StatusOr<std::shared_ptr<Subscription>>) &&>;
  void Create(const std::string& name, const SubscriptionSettings& settings, Sequence position,
              CreateDone done) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends its receivers, and forgets it; with an `etag` other than "", only if that is still the one
  // of the subscription. `done` as with Create. Errors as Find, Subscription::CheckEtag and
  // SubscriptionLog::DeleteSubscription.
  using DeleteDone = absl::AnyInvocable<void(const absl::Status&) &&>;
  void Delete(const std::string& name, DeleteDone done, absl::string_view etag = "")
      ABSL_LOCKS_EXCLUDED(mu_);

  // NOT_FOUND subscription_not_found; what Suspend was given.
  absl::StatusOr<std::shared_ptr<Subscription>> Find(absl::string_view name)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Those after the name `after`, by name, at most `max`.
  std::vector<std::shared_ptr<Subscription>> List(absl::string_view after, size_t max)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Where an event is for each of `subscriptions`, in their order, all as of one commit. `event` is
  // its metadata; null if the log does not hold it any more. Reads the disk, once for all of them;
  // its errors.
  absl::StatusOr<std::vector<DeliveryExplanation>> Explain(
      Sequence sequence, const StoredEvent* event,
      const std::vector<std::shared_ptr<Subscription>>& subscriptions);

  // As Subscription::StorePosition, of all. Whether all were stored, within `at_most`.
  bool StorePositions(absl::Duration at_most) ABSL_LOCKS_EXCLUDED(mu_);

  // Retention has removed events: those that had not settled them note their loss.
  void NoteTrim() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit SubscriptionRegistry(const SubscriptionContext& context) : context_(context) {}

  // OK: a write has begun, and NoteWriteEnd is owed.
  absl::Status NoteWriteBegin() ABSL_LOCKS_EXCLUDED(mu_);
  void NoteWriteEnd() ABSL_LOCKS_EXCLUDED(mu_);
  // Closes all with `why`, and waits until they are idle.
  void CloseAll(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<std::shared_ptr<Subscription>> Created(StoredSubscription stored)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Deleted(const std::shared_ptr<Subscription>& subscription) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const SubscriptionContext context_;

  absl::Mutex mu_;
  absl::btree_map<std::string, std::shared_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mu_);
  absl::Status suspended_ ABSL_GUARDED_BY(mu_);  // OK: it is not
  int writes_ ABSL_GUARDED_BY(mu_) = 0;          // Create and Delete that are under way
  // Deleted, and perhaps not idle yet.
  std::vector<std::weak_ptr<Subscription>> deleted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_REGISTRY_H_
