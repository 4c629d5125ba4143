#include "server/base/executor.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

namespace hookgate {

class Executor::Pool {
 public:
  explicit Pool(int threads) : threads_(static_cast<size_t>(threads)) {}
  boost::asio::thread_pool threads_;
};

Executor::Executor(int threads) : pool_(std::make_unique<Pool>(threads)) {}

Executor::~Executor() {
  pool_->threads_.join();
  // What a Post had started may have run, and led to here, before that Post has returned.
  absl::MutexLock none_is_posting(&posting_);
}

void Executor::Post(absl::AnyInvocable<void() &&> work) {
  absl::ReaderMutexLock lock(&posting_);
  boost::asio::post(pool_->threads_, [work = std::move(work)]() mutable { std::move(work)(); });
}

}  // namespace hookgate
