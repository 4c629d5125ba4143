#include "server/grpc_server/grpc_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace hookgate {
namespace {

using Result = GrpcSocket::Result;

// Then it is the turn of others on the same thread.
constexpr int kReadsInTurn = 4;
constexpr int kWritesInTurn = 4;
constexpr size_t kWriteBytes = 64 << 10;
// What is read of a stranger in one turn, or of one who wastes time: 4 KiB, more than an honest one
// has to send. In pieces, and none after the first that took so long: a piece may hold dozens of
// calls.
constexpr size_t kReadBytesOfStranger = 512;
constexpr int kReadsOfStrangerInTurn = 8;
constexpr absl::Duration kTurnOfStranger = absl::Microseconds(100);
// What is read at once of a peer that does not take its answers: each byte may cause some.
constexpr size_t kReadBytesWhileHeld = 1 << 10;
constexpr absl::Duration kDrainPingPatience = absl::Seconds(1);
constexpr absl::Duration kClosingPatience = absl::Seconds(2);
constexpr size_t kMaxDiscarded = 1 << 20;

// Connections that were made together do not all end together: up to a tenth less.
absl::Duration Spread(absl::Duration age, absl::Duration started) {
  return age - age * (absl::ToInt64Nanoseconds(started) % 1000) / 10'000;
}

}  // namespace

GrpcConnection::GrpcConnection(NetSocket socket, std::shared_ptr<ssl_ctx_st> context,
                               std::string peer, const BodyOrigin& origin, const GrpcShared& shared,
                               GrpcLoop& loop, Events events)
    : at_end_{std::move(events.on_end)},
      on_identified_(std::move(events.on_identified)),
      shared_(shared),
      loop_(loop),
      started_(shared.clock.MonotonicNow()),
      max_age_(Spread(shared.options.max_connection_age, started_)),
      origin_(origin),
      peer_(std::move(peer)),
      socket_(std::move(socket), std::move(context)),
      last_read_(started_),
      last_written_(started_),
      idle_since_(started_) {
  TrackState(started_);
}

GrpcConnection::~GrpcConnection() = default;

void GrpcConnection::Start() {
  boost::asio::post(loop_.io(), [self = shared_from_this()] {
    if (self->phase_ != Phase::kHandshake) return;  // It has been closed already.
    if (self->socket_.has_tls()) {
      self->Handshake();
    } else {
      self->Open();
    }
    self->SetTime();
  });
}

void GrpcConnection::Handshake() {
  switch (socket_.Handshake()) {
    case Result::kOk:
      return Open();
    case Result::kWaitToRead:
      return AwaitReadable();
    case Result::kWaitToWrite:
      return AwaitWritable();
    case Result::kEnd:
    case Result::kError:
      shared_.refusals.Note(GrpcRefusal::kHandshakeFailed, peer_, socket_.error());
      return CloseNow();
  }
}

void GrpcConnection::Open() {
  phase_ = Phase::kOpen;
  if (drain_asked_) return DrainNow();
  ReadInTurn();
}

void GrpcConnection::AwaitReadable() {
  if (awaiting_readable_) return;
  awaiting_readable_ = true;
  socket_.socket().async_wait(NetSocket::wait_read,
                              [self = shared_from_this()](boost::system::error_code error) {
                                self->awaiting_readable_ = false;
                                if (error) return self->CloseNow();
                                switch (self->phase_) {
                                  case Phase::kHandshake:
                                    self->Handshake();
                                    break;
                                  case Phase::kOpen:
                                    // Also while reading is held.
                                    if (std::exchange(self->writing_needs_read_, false)) {
                                      self->Flush();
                                    }
                                    self->ReadInTurn();
                                    break;
                                  case Phase::kClosing:
                                    self->ReadInTurn();
                                    break;
                                  case Phase::kClosed:
                                    return;
                                }
                                self->SetTime();
                              });
}

void GrpcConnection::AwaitWritable() {
  if (awaiting_writable_) return;
  awaiting_writable_ = true;
  socket_.socket().async_wait(NetSocket::wait_write,
                              [self = shared_from_this()](boost::system::error_code error) {
                                self->awaiting_writable_ = false;
                                if (error) return self->CloseNow();
                                if (self->phase_ == Phase::kHandshake) {
                                  self->Handshake();
                                } else if (self->phase_ == Phase::kOpen) {
                                  self->Flush();
                                  self->ReadIfHeld();
                                }
                                self->SetTime();
                              });
}

void GrpcConnection::OpenSession() {
  if (session_ != nullptr) return;
  session_ = std::make_unique<GrpcSession>(
      shared_, loop_.wakes(), loop_.timers(), *this,
      GrpcSession::Peer{std::move(peer_), socket_.certificate_names(), origin_});
}

void GrpcConnection::CountKeyUpdate() {
  if (!socket_.TakeKeyUpdate()) return;
  OpenSession();
  const bool may = session_->TakeEmptyWork();
  UpdateTrust();
  if (may) return;
  RefuseNow(GrpcRefusal::kTooManyEmptyFrames, "the last one an update of TLS keys");
}

// Who has an identity and floods all the same has a stranger's time: ending the connection is not
// enough, since the next one would have all of the thread's again.
void GrpcConnection::UpdateTrust() {
  if (session_ != nullptr) trusted_ = identified_ && !session_->is_wasteful();
}

void GrpcConnection::ReadInTurn() {
  if (!trusted_ && !loop_.HasTurnForStranger()) return AwaitTurn();
  TakeTurn();
}

void GrpcConnection::AwaitTurn() {
  if (std::exchange(awaiting_turn_, true)) return;
  loop_.AwaitTurn({origin_.network, identified_}, shared_from_this());
}

void GrpcConnection::OnTurn() {
  awaiting_turn_ = false;
  TakeTurn();
  SetTime();
}

void GrpcConnection::TakeTurn() {
  const bool is_counted = !trusted_;
  const absl::Duration begin = is_counted ? Now() : absl::ZeroDuration();
  if (phase_ == Phase::kOpen) {
    Read();
  } else if (phase_ == Phase::kClosing) {
    Discard();
  }
  if (is_counted) loop_.SpendOnStrangers(Now() - begin);
}

void GrpcConnection::Read() {
  if (phase_ != Phase::kOpen) return;
  const absl::Duration begin = trusted_ ? absl::ZeroDuration() : Now();
  for (int i = 0; i < (trusted_ ? kReadsInTurn : kReadsOfStrangerInTurn); ++i) {
    if (!trusted_ && i > 0 && Now() - begin >= kTurnOfStranger) break;
    // A flood of what has to be answered must not grow in memory: the peer takes its answers first.
    if (rest_ != nullptr && session_ != nullptr && !session_->may_receive()) {
      reading_held_ = true;
      return;
    }
    const size_t room = rest_ != nullptr ? kReadBytesWhileHeld
                        : trusted_       ? loop_.room().size()
                                         : kReadBytesOfStranger;
    size_t count = 0;
    const Result result = socket_.Read(loop_.room().data(), room, count);
    CountKeyUpdate();
    if (phase_ != Phase::kOpen) return;
    switch (result) {
      case Result::kOk:
        break;
      case Result::kWaitToRead:
        return AwaitReadable();
      case Result::kWaitToWrite:
        reading_held_ = true;
        return AwaitWritable();
      case Result::kEnd:
      case Result::kError:
        return CloseNow();
    }
    last_read_ = Now();
    OpenSession();
    // It is flushed below: what the loop is told besides costs it another look at all sockets.
    dirty_ = true;
    loop_.HoldWoken();
    session_->Receive({loop_.room().data(), count});
    loop_.RunWoken();
    UpdateTrust();
    Flush();
    if (phase_ != Phase::kOpen) return;
    if (count < room && !socket_.has_pending()) return AwaitReadable();
  }
  ReadSoon();
}

void GrpcConnection::ReadSoon() {
  if (!trusted_) return AwaitTurn();
  boost::asio::post(loop_.io(), [self = shared_from_this()] {
    if (self->phase_ != Phase::kOpen) return;
    self->Read();
    self->SetTime();
  });
}

// Not when the socket is readable: TLS may have what is to be read already.
void GrpcConnection::ReadIfHeld() {
  if (std::exchange(reading_held_, false)) ReadSoon();
}

void GrpcConnection::OnOutput() {
  if (std::exchange(dirty_, true)) return;
  loop_.FlushSoon(shared_from_this());
}

void GrpcConnection::Flush() {
  Send();
  SetTime();  // The peer may take no bytes, or have no calls any more.
}

void GrpcConnection::Send() {
  dirty_ = false;
  if (phase_ != Phase::kOpen) return;
  for (int i = 0; i < kWritesInTurn; ++i) {
    OutBuffer& out = rest_ != nullptr ? *rest_ : loop_.scratch();
    if (rest_ == nullptr) {
      if (session_ == nullptr) return;
      session_->Collect(kWriteBytes, out);
      if (out.empty()) {
        if (session_->ended()) CloseGently();
        return;
      }
    }
    const size_t before = out.size();
    const Result result = socket_.Write(out, loop_.room().data(), loop_.room().size());
    if (rest_ == nullptr || out.size() < before) last_written_ = Now();
    if (result == Result::kWaitToRead || result == Result::kWaitToWrite) {
      if (rest_ == nullptr) {
        rest_ = std::make_unique<OutBuffer>(std::move(out));
        out = OutBuffer();
      }
      if (result == Result::kWaitToWrite) {
        AwaitWritable();
      } else {
        writing_needs_read_ = true;
        AwaitReadable();
      }
      return;
    }
    if (result != Result::kOk) {
      out.Reset();
      return CloseNow();
    }
    rest_ = nullptr;
    ReadIfHeld();
  }
  OnOutput();  // More may be there; the others first.
}

void GrpcConnection::OnIdentified() {
  identified_ = true;
  TrackState(Now());
  on_identified_();
}

void GrpcConnection::OnBusy(bool busy) {
  const absl::Duration now = Now();
  if (!busy) idle_since_ = now;
  TrackState(now);
}

void GrpcConnection::TrackState(absl::Duration now) {
  if (!identified_) {
    SetState(ConnectionState::kIdleUnproven, now);
  } else if (session_ != nullptr && session_->has_calls()) {
    SetState(ConnectionState::kBusy, now);
  } else {
    SetState(ConnectionState::kIdleProven, now);
  }
}

void GrpcConnection::Drain() {
  boost::asio::post(loop_.io(), [self = shared_from_this()] {
    self->drain_asked_ = true;
    if (self->phase_ == Phase::kOpen) self->DrainNow();
    // The peer could not read a GOAWAY yet.
    if (self->phase_ == Phase::kHandshake) self->CloseNow();
    self->SetTime();
  });
}

void GrpcConnection::DrainNow() {
  if (session_ == nullptr) return CloseNow();
  session_->HurryRequests(shared_.options.drain_patience);
  if (session_->draining()) return;
  drain_since_ = Now();
  // A call that is under way to a server that goes down is made again elsewhere.
  if (drain_asked_ && !session_->has_calls()) session_->StopTakingCalls();
  session_->BeginDrain();
  Flush();
}

void GrpcConnection::Shutdown() {
  boost::asio::post(loop_.io(), [self = shared_from_this()] {
    self->ShutdownNow();
    self->SetTime();
  });
}

void GrpcConnection::ShutdownNow() {
  if (phase_ == Phase::kClosed) return;
  if (session_ != nullptr) {
    session_->Shutdown();
    if (rest_ != nullptr)
      return CloseNow();  // Its end would wait behind what the peer does not take.
    Flush();
    // Of strangers there may be many.
    if (phase_ == Phase::kClosing && identified_) return;
  }
  CloseNow();
}

void GrpcConnection::MakeRoom() {
  boost::asio::post(loop_.io(), [self = shared_from_this()] {
    if (self->phase_ == Phase::kClosed) return;
    self->shared_.refusals.Note(GrpcRefusal::kTooManyConnections, self->peer(),
                                "others need its place");
    self->ShutdownNow();
    self->SetTime();
  });
}

void GrpcConnection::RefuseNow(GrpcRefusal refusal, absl::string_view detail) {
  if (session_ == nullptr) {
    shared_.refusals.Note(refusal, peer_, detail);
    return CloseNow();
  }
  session_->Refuse(refusal, detail);
  if (rest_ != nullptr) return CloseNow();
  Flush();
}

void GrpcConnection::CloseGently() {
  phase_ = Phase::kClosing;
  trusted_ = trusted_ && drain_asked_;  // What comes now is of no use.
  closing_until_ = Now() + (drain_asked_ ? shared_.options.drain_patience : kClosingPatience);
  session_ = nullptr;
  socket_.ShutdownWrite();
  Discard();
}

void GrpcConnection::Discard() {
  for (int i = 0; i < kReadsInTurn; ++i) {
    size_t count = 0;
    const Result result = socket_.Read(loop_.room().data(), loop_.room().size(), count);
    if (result == Result::kWaitToRead) return AwaitReadable();
    discarded_bytes_ += count;
    if (result != Result::kOk || discarded_bytes_ > kMaxDiscarded) return CloseNow();
  }
  if (trusted_) return AwaitReadable();
  AwaitTurn();
}

void GrpcConnection::CloseNow() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  session_ = nullptr;
  rest_ = nullptr;
  socket_.Close();
  loop_.timers().Cancel(*this);
}

absl::Duration GrpcConnection::NextTime() const {
  const GrpcServerOptions& options = shared_.options;
  if (phase_ == Phase::kClosed) return absl::InfiniteDuration();
  if (phase_ == Phase::kClosing) return closing_until_;
  absl::Duration next = absl::InfiniteDuration();
  const auto at = [&next](absl::Duration when) { next = std::min(next, when); };
  if (session_ == nullptr || !session_->settings_received()) {
    at(started_ + options.handshake_timeout);
  }
  if (session_ == nullptr) return next;
  if (session_->header_block_since().has_value()) at(HeaderBlockEnds());
  if (rest_ != nullptr) at(last_written_ + options.write_timeout);
  at(session_->ping_pending() ? pinged_at_ + options.keepalive_timeout
                              : last_read_ + options.keepalive_interval);
  if (session_->draining()) {
    if (!session_->stopped()) at(drain_since_ + kDrainPingPatience);
    if (aged_) at(drain_since_ + options.max_connection_age_grace);
  } else {
    if (!session_->has_calls()) at(idle_since_ + IdleTimeout());
    at(started_ + max_age_);
  }
  return next;
}

const std::string& GrpcConnection::peer() const {
  return session_ == nullptr ? peer_ : session_->peer().address;
}

absl::Duration GrpcConnection::IdleTimeout() const {
  return identified_ ? shared_.options.idle_timeout : shared_.options.unidentified_idle_timeout;
}

absl::Duration GrpcConnection::HeaderBlockEnds() const {
  const absl::Duration since = *session_->header_block_since();
  const absl::Duration ends = since + shared_.options.header_timeout;
  if (!session_->draining()) return ends;
  return std::min(ends, std::max(since, drain_since_) + shared_.options.drain_patience);
}

void GrpcConnection::SetTime() {
  const absl::Duration next = NextTime();
  // What has been put off is found out when the time has come.
  if (next < set_for_) {
    set_for_ = next;
    loop_.timers().Set(*this, next);
  }
  loop_.ArmTimer();
}

void GrpcConnection::OnTime(absl::Duration now) {
  const std::shared_ptr<GrpcConnection> self = shared_from_this();  // It may close.
  set_for_ = absl::InfiniteDuration();
  if (phase_ == Phase::kClosing) {
    if (now >= closing_until_) CloseNow();
  } else if (phase_ != Phase::kClosed) {
    CheckTimes(now);
  }
  SetTime();
}

void GrpcConnection::CheckTimes(absl::Duration now) {
  const GrpcServerOptions& options = shared_.options;
  if ((session_ == nullptr || !session_->settings_received()) &&
      now >= started_ + options.handshake_timeout) {
    return RefuseNow(GrpcRefusal::kHandshakeTimeout, "");
  }
  if (session_ == nullptr) return;
  if (session_->header_block_since().has_value() && now >= HeaderBlockEnds()) {
    return RefuseNow(GrpcRefusal::kHeaderTimeout, "");
  }
  if (rest_ != nullptr && now >= last_written_ + options.write_timeout) {
    return RefuseNow(GrpcRefusal::kWriteTimeout, "");
  }
  if (session_->ping_pending()) {
    if (last_read_ > pinged_at_) {
      session_->ForgetPing();  // It is there, if slow.
    } else if (now >= pinged_at_ + options.keepalive_timeout) {
      return RefuseNow(GrpcRefusal::kKeepaliveTimeout, "");
    }
  } else if (now >= last_read_ + options.keepalive_interval) {
    pinged_at_ = now;
    session_->Ping();
  }
  if (session_->draining()) return CheckDrain(now);
  if (now >= started_ + max_age_) {
    aged_ = true;
    session_->TellGoAway();
    return DrainNow();
  }
  if (!session_->has_calls() && now >= idle_since_ + IdleTimeout()) DrainNow();
}

void GrpcConnection::CheckDrain(absl::Duration now) {
  if (!session_->stopped() && now >= drain_since_ + kDrainPingPatience) {
    session_->StopTakingCalls();
  }
  if (aged_ && now >= drain_since_ + shared_.options.max_connection_age_grace) ShutdownNow();
}

}  // namespace hookgate
