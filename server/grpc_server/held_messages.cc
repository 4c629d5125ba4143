#include "server/grpc_server/held_messages.h"

#include <utility>

namespace hookgate {

HeldMessage::HeldMessage(HeldMessages& all, Message message, const std::weak_ptr<BodyHolder>& call)
    : all_(all), message_(std::move(message)), calls_({call}) {}

HeldMessage::~HeldMessage() { all_.Forget(message_); }

void HeldMessage::AddCall(const std::weak_ptr<BodyHolder>& call) {
  absl::MutexLock lock(&mu_);
  calls_.push_back(call);
}

void HeldMessage::GiveUpBody() {
  given_up_.store(true, std::memory_order_release);
  std::vector<std::weak_ptr<BodyHolder>> calls;
  {
    absl::MutexLock lock(&mu_);
    calls = calls_;
  }
  for (const auto& call : calls) {
    if (const auto told = call.lock(); told != nullptr) told->GiveUpBody();
  }
}

std::shared_ptr<HeldMessage> HeldMessages::Hold(const Message& message, const BodyOrigin& origin,
                                                const std::weak_ptr<BodyHolder>& call) {
  std::shared_ptr<HeldMessage> held = Find(message);
  if (held != nullptr) {
    held->AddCall(call);
    return held->has_given_up() ? nullptr : held;
  }
  held = std::make_shared<HeldMessage>(*this, message, call);
  held->share_ = std::make_unique<BodyBudget::Share>(budget_, origin, held);
  if (!held->share_->Grow(static_cast<int64_t>(message->size()))) return nullptr;
  absl::MutexLock lock(&mu_);
  held_[message.get()] = held;  // If another thread was faster, both count.
  return held;
}

std::shared_ptr<HeldMessage> HeldMessages::Find(const Message& message) {
  absl::MutexLock lock(&mu_);
  const auto found = held_.find(message.get());
  return found == held_.end() ? nullptr : found->second.lock();
}

void HeldMessages::Forget(const Message& message) {
  absl::MutexLock lock(&mu_);
  const auto found = held_.find(message.get());
  if (found != held_.end() && found->second.expired()) held_.erase(found);
}

}  // namespace hookgate
