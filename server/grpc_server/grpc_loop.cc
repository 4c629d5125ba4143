#include "server/grpc_server/grpc_loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "server/base/current_thread.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(1);
// That strangers may be served at once after a pause: about as long as others wait for the thread.
constexpr absl::Duration kBurstOfStrangers = absl::Milliseconds(1);

}  // namespace

GrpcLoop::GrpcLoop(const Clock& clock, double share_of_strangers)
    : clock_(clock),
      wakes_(std::make_shared<WakeQueue>(
          [this] { boost::asio::post(io_, [this] { OnScheduled(); }); })),
      strangers_(share_of_strangers, kBurstOfStrangers, clock.MonotonicNow()) {}

GrpcLoop::~GrpcLoop() { wakes_->Close(); }

void GrpcLoop::Run() {
  NameThread("grpc");
  io_.run();
}

void GrpcLoop::Stop() {
  boost::asio::post(io_, [this] {
    stopping_ = true;
    timer_.cancel();
    work_.reset();
  });
}

void GrpcLoop::OnScheduled() {
  flush_posted_ = true;  // In effect: FlushAll comes below.
  wakes_->Run();
  FlushAll();
  ArmTimer();
}

void GrpcLoop::FlushSoon(std::shared_ptr<Flushable> connection) {
  flush_soon_.push_back(std::move(connection));
  if (std::exchange(flush_posted_, true)) return;
  boost::asio::post(io_, [this] { FlushAll(); });
}

void GrpcLoop::FlushAll() {
  flush_posted_ = false;
  std::vector<std::shared_ptr<Flushable>> connections;
  connections.swap(flush_soon_);
  for (const auto& connection : connections) connection->Flush();
  connections.clear();
  // The room for the next time.
  if (flush_soon_.empty()) flush_soon_.swap(connections);
}

void GrpcLoop::AwaitTurn(const TurnGroup& group, std::shared_ptr<TakesTurns> stranger) {
  turns_.Push(group, std::move(stranger));
  ScheduleTurn();
}

void GrpcLoop::ScheduleTurn() {
  if (turns_.empty() || std::exchange(turn_scheduled_, true)) return;
  // One at a time: whoever else has something to do on this thread comes between.
  if (strangers_.MayBegin(clock_.MonotonicNow())) {
    boost::asio::post(io_, [this] { RunTurn(); });
  } else {
    timers_.Set(turn_timer_, strangers_.next());
    ArmTimer();
  }
}

void GrpcLoop::RunTurn() {
  turn_scheduled_ = false;
  turns_.Pop()->OnTurn();
  ScheduleTurn();
}

void GrpcLoop::ArmTimer() {
  const absl::optional<absl::Duration> next = timers_.next();
  // A time that has been put off is found out when the timer goes off.
  if (stopping_ || !next.has_value() || *next >= armed_) return;
  armed_ = *next;
  // It may be years.
  const absl::Duration wait =
      std::clamp(*next - clock_.MonotonicNow(), absl::ZeroDuration(), kLongestWait);
  timer_.expires_after(absl::ToChronoNanoseconds(wait + absl::Microseconds(100)));
  timer_.async_wait([this](boost::system::error_code cancelled) {
    if (cancelled) return;
    armed_ = absl::InfiniteDuration();
    flush_posted_ = true;  // In effect: FlushAll comes below.
    timers_.RunDue(clock_.MonotonicNow());
    FlushAll();
    ArmTimer();
  });
}

}  // namespace hookgate
