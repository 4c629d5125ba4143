// What one thread of a GrpcServer runs. A connection stays with one: nothing of it is shared
// between threads, so it needs no lock.
//
// Strangers, who have not proven who they are, have a part of the thread's time and no more, and so
// do those who have and send floods: whatever they send, the rest is left for callers, and for the
// threads that store webhooks on the same cores. What they send beyond that waits in the kernel,
// and they take turns (turn_queue.h).
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
#include "server/grpc_server/time_share.h"
#include "server/grpc_server/timer_queue.h"
#include "server/grpc_server/turn_queue.h"
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

// A connection that waits for its turn.
class TakesTurns {
 public:
  // Does a little of what there is to do, and counts it by SpendOnStrangers.
  virtual void OnTurn() = 0;

 protected:
  ~TakesTurns() = default;
};

class GrpcLoop {
 public:
  // `clock` outlives it.
  //   share_of_strangers  of the thread's time, more than 0 and at most 1
  GrpcLoop(const Clock& clock, double share_of_strangers);
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
  // Calls that are woken on this thread between the two are heard by RunWoken at once, so that
  // their answers are sent together; the loop is not told of them.
  void HoldWoken() { wakes_->Hold(); }
  void RunWoken() { wakes_->Run(); }

  // Whether a stranger may be served now, outside of OnTurn: nobody waits for a turn, and strangers
  // have time left.
  bool HasTurnForStranger() { return turns_.empty() && strangers_.MayBegin(clock_.MonotonicNow()); }
  // Has OnTurn called soon, of `group` behind those that wait already.
  void AwaitTurn(const TurnGroup& group, std::shared_ptr<TakesTurns> stranger);
  void SpendOnStrangers(absl::Duration time) { strangers_.Spend(time); }

  TimerQueue& timers() { return timers_; }
  // After anything was set in timers().
  void ArmTimer();

  // What every connection reads into and writes from, while it does.
  std::array<char, 16 << 10>& room() { return room_; }
  OutBuffer& scratch() { return scratch_; }

 private:
  // Wakes the loop when strangers have time again.
  class TurnTimer final : public Timed {
   public:
    explicit TurnTimer(GrpcLoop& loop) : loop_(loop) {}
    void OnTime(absl::Duration) override { loop_.RunTurn(); }

   private:
    GrpcLoop& loop_;
  };

  void OnScheduled();
  void FlushAll();
  void ScheduleTurn();
  void RunTurn();

  const Clock& clock_;
  boost::asio::io_context io_{/*concurrency_hint=*/1};
  boost::asio::executor_work_guard<NetExecutor> work_{io_.get_executor()};
  const std::shared_ptr<WakeQueue> wakes_;
  TimerQueue timers_;
  NetTimer timer_{io_};
  absl::Duration armed_ = absl::InfiniteDuration();
  std::vector<std::shared_ptr<Flushable>> flush_soon_;
  bool flush_posted_ = false;
  TimeShare strangers_;
  TurnQueue<std::shared_ptr<TakesTurns>> turns_;
  TurnTimer turn_timer_{*this};
  bool turn_scheduled_ = false;  // the next one of turns_
  bool stopping_ = false;
  std::array<char, 16 << 10> room_;
  OutBuffer scratch_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_LOOP_H_
