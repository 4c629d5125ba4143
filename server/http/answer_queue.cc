#include "server/http/answer_queue.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace hookgate {

void AnswerQueue::Push(std::shared_ptr<AnswerRecipient> recipient, HttpResponse response) {
  {
    absl::MutexLock lock(&mu_);
    waiting_.push_back({std::move(recipient), std::move(response)});
    if (scheduled_ || WakeBatch::Add(shared_from_this())) return;
    scheduled_ = true;
  }
  boost::asio::post(executor_, [this] { Deliver(); });
}

void AnswerQueue::WakeNow() {
  {
    absl::MutexLock lock(&mu_);
    // Another thread may have had them delivered, and the executor may be gone with them.
    if (scheduled_ || waiting_.empty()) return;
    scheduled_ = true;
  }
  boost::asio::post(executor_, [this] { Deliver(); });
}

void AnswerQueue::Deliver() {
  {
    absl::MutexLock lock(&mu_);
    delivering_.swap(waiting_);
    scheduled_ = false;
  }
  for (const Answer& answer : delivering_) answer.recipient->TakeAnswer(answer.response);
  for (const Answer& answer : delivering_) answer.recipient->GoOn();
  delivering_.clear();
}

}  // namespace hookgate
