// Answers on their way to the thread of their connections, from the threads that know them. The log
// answers a whole group at once, within a WakeBatch: one wake-up of the connections' thread serves
// all of it.
#ifndef HOOKGATE_SERVER_HTTP_ANSWER_QUEUE_H_
#define HOOKGATE_SERVER_HTTP_ANSWER_QUEUE_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/wake_batch.h"
#include "server/http/http_handler.h"
#include "server/http/http_stream.h"

namespace hookgate {

// Who waits for an answer.
class AnswerRecipient {
 public:
  virtual ~AnswerRecipient() = default;
  // Both are called on the thread that runs the executor: TakeAnswer for all answers that come
  // together, then GoOn for each of their recipients. So none waits for what another does next.
  virtual void TakeAnswer(const HttpResponse& response) = 0;
  virtual void GoOn() {}
};

class AnswerQueue final : public WakeBatch::Target,
                          public std::enable_shared_from_this<AnswerQueue> {
 public:
  explicit AnswerQueue(HttpExecutor executor) : executor_(std::move(executor)) {}

  // Any thread. Whatever lets the queue live has to outlive `recipient`, which is held until this
  // has returned.
  void Push(std::shared_ptr<AnswerRecipient> recipient, HttpResponse response)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Has what was pushed within a batch delivered.
  void WakeNow() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Answer {
    std::shared_ptr<AnswerRecipient> recipient;
    HttpResponse response;
  };

  void Deliver() ABSL_LOCKS_EXCLUDED(mu_);

  const HttpExecutor executor_;

  absl::Mutex mu_;
  std::vector<Answer> waiting_ ABSL_GUARDED_BY(mu_);
  bool scheduled_ ABSL_GUARDED_BY(mu_) = false;  // Deliver is on its way, for what is waiting_

  // Touched only on the executor's thread.
  std::vector<Answer> delivering_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_ANSWER_QUEUE_H_
