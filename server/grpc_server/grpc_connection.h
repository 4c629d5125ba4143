// One connection of a GrpcServer: its socket, and how long each thing may take.
//
//   handshake  TLS, if there is any, and the peer's first SETTINGS    handshake_timeout
//   open       a header block that has begun                          header_timeout
//              bytes that the peer does not take                      write_timeout
//              no byte from the peer: a ping                          keepalive_*
//              no calls: a graceful end                               idle_timeout
//   closing    nothing more is sent; what still comes is thrown away for a moment, since closing at
//              once would reset the connection and destroy the last bytes
//
// A graceful end takes two steps: GOAWAY without a limit and a ping; when that is answered, or
// after a second, GOAWAY with the last call that is taken. When that has ended, the connection
// closes.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_CONNECTION_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_CONNECTION_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/grpc_server/grpc_loop.h"
#include "server/grpc_server/grpc_session.h"
#include "server/grpc_server/grpc_socket.h"
#include "server/grpc_server/timer_queue.h"
#include "server/net/connection_table.h"

namespace hookgate {

// All work runs on the loop's thread. Lives as long as an operation is pending, or the loop is
// about to flush it.
class GrpcConnection final : public SessionOwner,
                             public Flushable,
                             public TakesTurns,
                             public Timed,
                             public TrackedConnection,
                             public std::enable_shared_from_this<GrpcConnection> {
 public:
  struct Events {
    std::function<void()> on_identified;  // on the loop's thread
    // Once, at the very end of its destruction: nothing of the connection uses its loop afterwards.
    std::function<void()> on_end;
  };

  // `peer` is "ipv4:127.0.0.1:50123", `origin` whom its messages count with; `context` null for
  // plain text. `shared` and `loop` outlive it.
  GrpcConnection(NetSocket socket, std::shared_ptr<ssl_ctx_st> context, std::string peer,
                 const BodyOrigin& origin, const GrpcShared& shared, GrpcLoop& loop, Events events);
  ~GrpcConnection();

  // Once; any thread.
  void Start();

  // A graceful end. Any thread, harmless when repeated.
  void Drain();
  // Ends its calls, tells the peer, and closes. Any thread.
  void Shutdown();
  void MakeRoom() override;

  // From its loop.
  void Flush() override;
  void OnTurn() override;
  void OnTime(absl::Duration now) override;

 private:
  enum class Phase { kHandshake, kOpen, kClosing, kClosed };
  struct AtEnd {
    ~AtEnd() { run(); }
    const std::function<void()> run;
  };

  // From its session.
  void OnOutput() override;
  void OnIdentified() override;
  void OnBusy(bool busy) override;

  void Handshake();
  void Open();
  void OpenSession();
  void AwaitReadable();
  void AwaitWritable();
  void UpdateTrust();
  // Reads, or discards what comes, as soon as the connection has a turn for it.
  void ReadInTurn();
  void AwaitTurn();
  void TakeTurn();
  void Read();
  void CountKeyUpdate();
  void ReadSoon();
  void ReadIfHeld();
  void Send();
  void DrainNow();
  void ShutdownNow();
  // Nothing more is sent.
  void CloseGently();
  void Discard();
  void CloseNow();
  void RefuseNow(GrpcRefusal refusal, absl::string_view detail);

  const std::string& peer() const;
  absl::Duration IdleTimeout() const;
  absl::Duration HeaderBlockEnds() const;
  absl::Duration NextTime() const;
  void CheckTimes(absl::Duration now);
  void CheckDrain(absl::Duration now);
  void SetTime();
  void TrackState(absl::Duration now);
  absl::Duration Now() const { return shared_.clock.MonotonicNow(); }

  // Constant after construction.
  const AtEnd at_end_;  // first, since the first member is destroyed last
  const std::function<void()> on_identified_;
  const GrpcShared& shared_;
  GrpcLoop& loop_;
  const absl::Duration started_;
  const absl::Duration max_age_;
  const BodyOrigin origin_;

  // Touched only on the loop's thread.
  std::string peer_;  // the session's, once there is one
  GrpcSocket socket_;
  Phase phase_ = Phase::kHandshake;
  std::unique_ptr<GrpcSession> session_;  // once anything has come, until nothing more is sent
  std::unique_ptr<OutBuffer> rest_;       // what the socket did not take
  absl::Duration set_for_ = absl::InfiniteDuration();  // in the loop's timers
  absl::Duration last_read_;
  absl::Duration last_written_;  // when the socket took bytes, or there were some again
  absl::Duration idle_since_;
  absl::Duration pinged_at_;
  absl::Duration drain_since_;
  absl::Duration closing_until_;
  size_t discarded_bytes_ = 0;
  bool dirty_ = false;  // the loop will flush it
  bool awaiting_readable_ = false;
  bool awaiting_writable_ = false;
  bool awaiting_turn_ = false;
  bool reading_held_ = false;        // until the peer has taken what waits for it
  bool writing_needs_read_ = false;  // TLS has to read before it can send what waits
  bool identified_ = false;
  bool trusted_ = false;  // identified, and not wasteful: is read from as soon as it has something
  bool drain_asked_ = false;
  bool aged_ = false;  // drains because of its age
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_CONNECTION_H_
