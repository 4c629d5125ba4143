#include "server/http/answer_queue.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace hookgate {

void AnswerQueue::Push(std::shared_ptr<AnswerRecipient> recipient, HttpResponse response) {
  bool first = false;
  {
    absl::MutexLock lock(&mu_);
    first = waiting_.empty();
    waiting_.push_back({std::move(recipient), std::move(response)});
  }
  if (first) boost::asio::post(executor_, [this] { Deliver(); });
}

void AnswerQueue::Deliver() {
  {
    absl::MutexLock lock(&mu_);
    delivering_.swap(waiting_);
  }
  for (Answer& answer : delivering_) answer.recipient->TakeAnswer(answer.response);
  delivering_.clear();
}

}  // namespace hookgate
