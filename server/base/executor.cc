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

Executor::~Executor() { pool_->threads_.join(); }

void Executor::Post(absl::AnyInvocable<void() &&> work) {
  boost::asio::post(pool_->threads_, [work = std::move(work)]() mutable { std::move(work)(); });
}

}  // namespace hookgate
