#include "server/grpc_server/call_inbound.h"

#include <utility>

namespace hookgate {
namespace {

// That a connection may hold before it counts for the budget of all.
constexpr size_t kFreeBytes = 16 << 10;

}  // namespace

CallInbound::~CallInbound() { connection_.held_bytes_ -= counted_bytes_; }

bool CallInbound::Add(absl::string_view bytes, const std::weak_ptr<BodyHolder>& holder) {
  reader_.Add(bytes);
  Count();
  if (connection_.held_bytes_ > connection_.max_bytes_) return false;
  if (share_ == nullptr) {
    if (connection_.held_bytes_ <= kFreeBytes) return true;
    share_ = std::make_unique<BodyBudget::Share>(connection_.of_all_, connection_.origin_, holder);
  }
  return share_->Grow(static_cast<int64_t>(reader_.allocated_bytes() + only_.capacity()));
}

MessageReader::Result CallInbound::Next(size_t max_bytes, std::string& message, size_t& used) {
  const MessageReader::Result result = reader_.Next(max_bytes, message, used);
  Count();
  return result;
}

void CallInbound::KeepOnly(std::string message) {
  only_ = std::move(message);
  has_only_ = true;
  Count();
}

std::string CallInbound::TakeOnly() {
  std::string only = std::exchange(only_, std::string());
  has_only_ = false;
  Count();
  return only;
}

void CallInbound::Count() {
  const size_t bytes = reader_.held_bytes() + only_.size();
  connection_.held_bytes_ = connection_.held_bytes_ - counted_bytes_ + bytes;
  counted_bytes_ = bytes;
}

}  // namespace hookgate
