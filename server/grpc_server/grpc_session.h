// HTTP/2 and gRPC's protocol on one connection, as bytes in and bytes out: knows no socket. nghttp2
// stays behind this header.
//
//   session.Receive(bytes);       // calls handlers
//   session.Collect(max, out);    // asks them for messages
//
// All on one thread.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_SESSION_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_SESSION_H_

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/access/certificate_name.h"
#include "server/grpc_server/call_inbound.h"
#include "server/grpc_server/frame_limiter.h"
#include "server/grpc_server/grpc_refusal.h"
#include "server/grpc_server/grpc_server_options.h"
#include "server/grpc_server/held_messages.h"
#include "server/grpc_server/http2_events.h"
#include "server/grpc_server/method_table.h"
#include "server/grpc_server/out_buffer.h"
#include "server/grpc_server/refusal_log.h"
#include "server/grpc_server/request_head.h"
#include "server/grpc_server/server_call.h"
#include "server/grpc_server/timer_queue.h"
#include "server/grpc_server/wake_queue.h"
#include "server/net/body_budget.h"

struct nghttp2_session;

namespace hookgate {

// What all sessions of a server share, and what outlives them.
struct GrpcShared {
  const GrpcServerOptions& options;
  const MethodTable& table;
  const Clock& clock;
  RefusalLog& refusals;
  BodyBudget& inbound;               // of all connections
  BodyBudget& outbound;              // answers, of all connections
  HeldMessages& held;                // the same
  std::atomic<int64_t>& open_calls;  // that have a handler
};

// The connection that a session is on.
class SessionOwner {
 public:
  // There is something to Collect. Must not call the session before it returns.
  virtual void OnOutput() = 0;
  // A caller on this connection has proven who it is.
  virtual void OnIdentified() = 0;
  // The first call began, or the last one ended.
  virtual void OnBusy(bool busy) = 0;

 protected:
  ~SessionOwner() = default;
};

class GrpcSession final : private Http2Events {
 public:
  struct Peer {
    std::string address;                             // "ipv4:127.0.0.1:50123"
    std::vector<CertificateName> certificate_names;  // of its verified certificate
    BodyOrigin origin = {};                          // whom its messages count with
  };

  // All of them outlive the session, but for `wakes` and `peer`.
  GrpcSession(const GrpcShared& shared, std::shared_ptr<WakeQueue> wakes, TimerQueue& timers,
              SessionOwner& owner, Peer peer);
  // Calls that are left hear kConnectionLost.
  ~GrpcSession();
  GrpcSession(const GrpcSession&) = delete;
  GrpcSession& operator=(const GrpcSession&) = delete;

  // Takes what the peer has sent. Nothing if it has ended.
  void Receive(absl::string_view bytes);

  // The peer has made the connection do something that brought no bytes. False: too often, counted
  // together with frames that carry nothing; it is to be refused.
  bool TakeEmptyWork();
  // Whether the peer has lately sent more than a tenth of the frames that it may send for nothing,
  // or as many that are thrown away or hold next to nothing, for which a connection is not ended:
  // no honest client does.
  bool is_wasteful();

  // Adds what can be sent now to `out`, until that holds `max_bytes` or a little more. To be called
  // only when the socket takes bytes: handlers are asked for their messages by it.
  void Collect(size_t max_bytes, OutBuffer& out);
  bool has_output() const;

  // Whether more may be read: not while frames wait that the peer has caused, such as answers to
  // its pings, and does not take.
  bool may_receive() const;
  // Nothing will be sent or taken any more, once what there is has been collected.
  bool ended() const;

  // For the connection's time-outs.
  bool settings_received() const { return settings_received_; }
  // The header block that is arriving began then.
  const absl::optional<absl::Duration>& header_block_since() const { return header_block_since_; }
  bool has_calls() const { return !calls_.empty(); }
  // Pings the peer; ping_pending until it answers.
  void Ping();
  bool ping_pending() const { return ping_pending_; }
  void ForgetPing() { ping_pending_ = false; }

  // The first step of a graceful end: the peer is told to make no new calls here. The second one
  // follows by itself when it has heard of it, or with EndCalls.
  void BeginDrain();
  bool draining() const { return draining_; }
  bool stopped() const { return stopped_; }
  // From now on new calls are not taken, and the session ends with the last of those there are.
  void StopTakingCalls();
  // Tells every handler OnGoAway.
  void TellGoAway();
  // Requests that are not whole yet end after `patience`. So do uploads whose status is out.
  void HurryRequests(absl::Duration patience);
  // Ends every call with UNAVAILABLE, and then the session.
  void Shutdown();
  // Ends the session because of what the peer did. It is noted, and told by GOAWAY.
  void Refuse(GrpcRefusal refusal, absl::string_view detail);

  const Peer& peer() const { return peer_; }

  // For ServerCall.
  void OnNotes(ServerCall& call, uint8_t notes);
  void OnCallTime(ServerCall& call, absl::Duration now);

 private:
  using CallList = boost::intrusive::list<ServerCall, boost::intrusive::constant_time_size<false>>;

  // From nghttp2. Where one returns false, the session is to be refused, for doom_.
  bool OnBeginFrame(int32_t stream_id, uint8_t type, uint8_t flags, size_t length) override;
  void OnBeginHeaders() override;
  bool OnHeader(absl::string_view name, absl::string_view value) override;
  void OnHeadersEnd(int32_t stream_id, bool is_request, bool end_stream) override;
  void OnData(int32_t stream_id, absl::string_view bytes) override;
  void OnDataEnd(int32_t stream_id) override;
  void OnSettings() override { settings_received_ = true; }
  void OnPingAnswer(absl::string_view payload) override;
  void OnInvalidFrame() override { header_block_since_.reset(); }
  void OnError(absl::string_view text) override { last_error_ = std::string(text); }
  void OnFrameSent(int32_t stream_id, uint8_t type, uint8_t flags, uint32_t error_code) override;
  void OnStreamClosed(int32_t stream_id) override;
  size_t MaxDataFrame(int32_t stream_id) override;
  int64_t ReadData(int32_t stream_id, size_t max_bytes, uint32_t* data_flags) override;
  bool OnDataHeader(absl::string_view header) override;

  // Whether nghttp2 looks into a header block of that stream, and says so when it ends.
  bool ReadsHeadersOf(int32_t stream_id) const;
  void OnEndStream(ServerCall& call);
  ServerCall* CallOf(int32_t stream_id) const;
  void OpenCall(int32_t stream_id, bool end_stream);
  absl::Status StartCall(ServerCall& call, bool end_stream);
  void AnswerHttp(ServerCall& call, int status);

  // As many as are asked for and have come.
  void DeliverMessages(ServerCall& call);
  void DeliverTheMessage(ServerCall& call);
  void AwaitRest(ServerCall& call);
  void RefuseNumber(ServerCall& call);
  void RefuseTruncated(ServerCall& call);
  void RefuseForRoom(ServerCall& call);
  void AddInbound(ServerCall& call, absl::string_view bytes);
  void Discard(ServerCall& call, size_t bytes);
  void ReleaseWindow(const ServerCall& call, size_t bytes);

  // Counts message_, which is the call's answer. False, and the call is refused, if there is no
  // room.
  bool HoldAnswer(ServerCall& call);
  void RefuseForAnswers(ServerCall& call);
  // Counts message_ of a stream, which its client has taken a part of. Without room the call is
  // refused, soon.
  void HoldRest(ServerCall& call);
  void RefuseForRest(ServerCall& call);
  void DropMessage(ServerCall& call);
  // Whether message_ of the call is one, after asking the handler.
  bool NextMessage(ServerCall& call);
  // Adds bytes of it to what is collected; returns how many.
  size_t AddPartOf(ServerCall& call, size_t max_bytes);
  void TrySend(ServerCall& call);
  void TryFinish(ServerCall& call);
  void SubmitStatus(ServerCall& call, const absl::Status& status);
  // Ends a call for a reason of the server's. Its handler hears `end`.
  void EndCall(ServerCall& call, CallEnd end, const absl::Status& status);
  void RefuseCall(ServerCall& call, GrpcRefusal refusal, const absl::Status& status);
  // The client has its status: what it still sends is of no use.
  void ResetQuietly(ServerCall& call);
  void EndHandler(ServerCall& call, CallEnd end);
  // Tells the observer that a call which a handler has ends so; once.
  void NoteEnd(ServerCall& call, absl::StatusCode code);
  void LetGo(ServerCall& call);
  void SetTimer(ServerCall& call);
  bool has_too_many_calls() const;
  void Identified();

  bool Doom(GrpcRefusal refusal, uint32_t error_code, absl::string_view detail);
  void Terminate(uint32_t error_code);

  // Constant after construction.
  const GrpcShared& shared_;
  const std::shared_ptr<WakeQueue> wakes_;
  TimerQueue& timers_;
  SessionOwner& owner_;
  const Peer peer_;

  nghttp2_session* session_ = nullptr;
  ConnectionInbound inbound_;
  absl::Duration now_;       // of the event that is being handled
  CallList calls_;           // each holds itself until it is let go
  int call_count_ = 0;       // of calls_
  size_t answer_bytes_ = 0;  // that unary calls hold
  RequestHead head_;         // that is arriving; empty between two
  FrameLimiter empty_frames_;
  FrameLimiter idle_frames_;  // that are thrown away, or small; without an end
  // Received, less those of the frames that nghttp2 has told of and does not skip.
  int64_t skipped_bytes_ = 0;
  bool skips_headers_ = false;  // of the header block that came last
  FrameLimiter resets_;
  absl::optional<absl::Duration> header_block_since_;
  OutBuffer* out_ = nullptr;  // while Collect runs
  size_t out_max_ = 0;
  size_t data_gap_ = 0;     // where the header of the DATA frame goes that is being collected
  int data_earns_ = 0;      // empty frames, by the DATA frame that is being made
  std::string last_error_;  // of nghttp2, about what the peer has sent
  CallEnd end_of_rest_ = CallEnd::kConnectionLost;
  bool settings_received_ = false;
  bool identified_ = false;
  bool ping_pending_ = false;
  bool draining_ = false;
  bool shut_down_ = false;
  bool stopped_ = false;       // the last GOAWAY has been submitted
  bool doomed_ = false;        // the peer has been refused
  uint8_t last_received_ = 0;  // type of the frame
  uint32_t doom_error_ = 0;
  bool dead_ = false;  // nghttp2 has given up
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_SESSION_H_
