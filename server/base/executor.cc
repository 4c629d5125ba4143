#include "server/base/executor.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "server/base/current_thread.h"

namespace hookgate {

class Executor::Pool {
 public:
  Pool(int threads, Priority priority)
      : priority_(priority), threads_(static_cast<size_t>(threads)) {}
  const Priority priority_;
  boost::asio::thread_pool threads_;
};

namespace {

// Asio starts the threads, and has no place for what each does first.
void BeginOnThread(Executor::Priority priority) {
  thread_local bool begun = false;
  if (begun) return;
  begun = true;
  if (priority == Executor::Priority::kAwaited) AskForShortTimeSlices(TimeSlice::kShort);
  if (priority != Executor::Priority::kGivesWay) return;
  GiveWayToOthers();
  AskForShortTimeSlices();  // Of its own slice, a thread uses up what is left before others run.
}

}  // namespace

Executor::Executor(int threads, Priority priority)
    : pool_(std::make_unique<Pool>(threads, priority)) {}

Executor::~Executor() {
  pool_->threads_.join();
  // What a Post had started may have run, and led to here, before that Post has returned.
  absl::MutexLock none_is_posting(&posting_);
}

void Executor::Post(absl::AnyInvocable<void() &&> work) {
  absl::ReaderMutexLock lock(&posting_);
  boost::asio::post(pool_->threads_,
                    [priority = pool_->priority_, work = std::move(work)]() mutable {
                      BeginOnThread(priority);
                      std::move(work)();
                    });
}

}  // namespace hookgate
