#include "server/grpc_server/server_call.h"

#include "server/grpc_server/grpc_session.h"
#include "server/grpc_server/metadata.h"
#include "server/grpc_server/wake_queue.h"

namespace hookgate {

void ServerCall::ReadNext() {
  wanted_messages_.fetch_add(1);
  Note(kRead);
}

void ServerCall::Finish(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (finish_asked()) return;
    status_ = status;
    finish_asked_.store(true, std::memory_order_release);
  }
  Note(kFinish);
}

void ServerCall::AddInitialMetadata(absl::string_view name, absl::string_view value) {
  if (metadata_ == nullptr) metadata_ = std::make_unique<ResponseMetadata>();
  metadata_->initial.emplace_back(std::string(name), MetadataToWire(name, value));
}

void ServerCall::AddTrailingMetadata(absl::string_view name, absl::string_view value) {
  if (metadata_ == nullptr) metadata_ = std::make_unique<ResponseMetadata>();
  metadata_->trailing.emplace_back(std::string(name), MetadataToWire(name, value));
}

void ServerCall::Note(Notes note) {
  // The first note brings the call into the queue; the others are heard with it.
  if (notes_.fetch_or(note) == 0) wakes_->Push(shared_from_this());
}

absl::Status ServerCall::status() const {
  absl::MutexLock lock(&mu_);
  return status_;
}

void ServerCall::OnTime(absl::Duration now) { session_->OnCallTime(*this, now); }

void ServerCall::TakePendingRequests() {
  const uint8_t notes = notes_.exchange(0);
  if (session_ != nullptr) session_->OnNotes(*this, notes);
}

// Here, where ServerCall is whole.

WakeQueue::~WakeQueue() = default;

void WakeQueue::Push(std::shared_ptr<ServerCall> call) {
  absl::MutexLock lock(&mu_);
  if (schedule_ == nullptr) return;
  waiting_.push_back(std::move(call));
  if (scheduled_ || WakeBatch::Add(shared_from_this())) return;
  scheduled_ = true;
  schedule_();
}

void WakeQueue::WakeNow() {
  absl::MutexLock lock(&mu_);
  if (schedule_ == nullptr || scheduled_ || waiting_.empty()) return;
  scheduled_ = true;
  schedule_();
}

void WakeQueue::Hold() {
  absl::MutexLock lock(&mu_);
  scheduled_ = true;
}

void WakeQueue::Run() {
  // What is heard may be answered at once, such as a message by asking for the next. Then others
  // have their turn.
  constexpr int kRounds = 3;
  for (int i = 0; i < kRounds; ++i) {
    {
      absl::MutexLock lock(&mu_);
      scheduled_ = !waiting_.empty();
      if (!scheduled_) return;
      running_.swap(waiting_);
    }
    for (const auto& call : running_) call->TakePendingRequests();
    running_.clear();
  }
  absl::MutexLock lock(&mu_);
  scheduled_ = !waiting_.empty() && schedule_ != nullptr;
  if (scheduled_) schedule_();
}

void WakeQueue::Close() {
  std::vector<std::shared_ptr<ServerCall>> dropped;
  absl::MutexLock lock(&mu_);
  schedule_ = nullptr;
  dropped.swap(waiting_);
}

}  // namespace hookgate
