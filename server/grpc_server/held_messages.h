// Messages that calls have begun to send and whose clients do not take the rest: however little a
// client lets in, its call holds all of the message. Counted once for all calls that share a
// message, with a budget for all connections.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_HELD_MESSAGES_H_
#define HOOKGATE_SERVER_GRPC_SERVER_HELD_MESSAGES_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/grpc_server/call.h"
#include "server/net/body_budget.h"

namespace hookgate {

class HeldMessages;

// One of them, as long as a call holds it. Thread-safe.
class HeldMessage final : public BodyHolder {
 public:
  // For HeldMessages.
  HeldMessage(HeldMessages& all, Message message, const std::weak_ptr<BodyHolder>& call);
  ~HeldMessage() override;

  // Others need the room: calls that hold it have to let go of it, and of their clients.
  bool has_given_up() const { return given_up_.load(std::memory_order_acquire); }
  void GiveUpBody() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class HeldMessages;
  void AddCall(const std::weak_ptr<BodyHolder>& call) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  HeldMessages& all_;
  const Message message_;

  std::atomic<bool> given_up_ = false;
  std::unique_ptr<BodyBudget::Share> share_;  // set before others find it

  absl::Mutex mu_;
  std::vector<std::weak_ptr<BodyHolder>> calls_ ABSL_GUARDED_BY(mu_);  // that have ever held it
};

// Thread-safe.
class HeldMessages {
 public:
  // `budget` outlives it, and all that Hold has given out.
  explicit HeldMessages(BodyBudget& budget) : budget_(budget) {}

  // `message` counts, for the origin that holds it first, as long as anybody has what comes back.
  // Null: there is no room for it.
  //   call  hears GiveUpBody when others need the room; then has_given_up() of what it holds
  std::shared_ptr<HeldMessage> Hold(const Message& message, const BodyOrigin& origin,
                                    const std::weak_ptr<BodyHolder>& call) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class HeldMessage;
  std::shared_ptr<HeldMessage> Find(const Message& message) ABSL_LOCKS_EXCLUDED(mu_);
  void Forget(const Message& message) ABSL_LOCKS_EXCLUDED(mu_);

  BodyBudget& budget_;
  absl::Mutex mu_;
  absl::flat_hash_map<const std::string*, std::weak_ptr<HeldMessage>> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_HELD_MESSAGES_H_
