// What one thread of a GrpcServer runs. A connection stays with one: nothing of it is shared between
// threads, so it needs no lock.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_LOOP_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_LOOP_H_

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/grpc_server/out_buffer.h"
#include "server/grpc_server/timer_queue.h"
#include "server/grpc_server/wake_queue.h"
#include "server/net/listener.h"

namespace hookgate {

// A connection that may have something to send.
class Flushable {
 public:
  virtual void Flush() = 0;

 protected:
  ~Flushable() = default;
};

class GrpcLoop {
 public:
  // `clock` outlives it.
  explicit GrpcLoop(const Clock& clock);
  ~GrpcLoop();

  // Runs until Stop, on the one thread.
  void Run();
  // Any thread, once the loop has no connections: Run returns.
  void Stop();

  boost::asio::io_context& io() { return io_; }
  const std::shared_ptr<WakeQueue>& wakes() { return wakes_; }

  // All below on the loop's thread.

  // Flushes `connection` at the end of what is being done now.
  void FlushSoon(std::shared_ptr<Flushable> connection);
  // Calls that have been woken on this thread are heard at once, so that their answers are sent
  // together.
  void RunWoken() { wakes_->Run(); }

  TimerQueue& timers() { return timers_; }
  // After anything was set in timers().
  void ArmTimer();

  // What every connection reads into and writes from, while it does.
  std::array<char, 16 << 10>& room() { return room_; }
  OutBuffer& scratch() { return scratch_; }

 private:
  void OnScheduled();
  void FlushAll();

  const Clock& clock_;
  boost::asio::io_context io_{/*concurrency_hint=*/1};
  boost::asio::executor_work_guard<NetExecutor> work_{io_.get_executor()};
  const std::shared_ptr<WakeQueue> wakes_;
  TimerQueue timers_;
  NetTimer timer_{io_};
  absl::Duration armed_ = absl::InfiniteDuration();
  std::vector<std::shared_ptr<Flushable>> flush_soon_;
  bool flush_posted_ = false;
  bool stopping_ = false;
  std::array<char, 16 << 10> room_;
  OutBuffer scratch_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_LOOP_H_
