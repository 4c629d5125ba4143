#include "server/grpc_server/grpc_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/nghttp2_callbacks.h"
#include "server/grpc_server/status_trailers.h"

namespace hookgate {
namespace {

// A list of header fields so many times as long as is answered ends the connection: a block of
// kilobytes can stand for gigabytes.
constexpr size_t kHeaderListFactor = 4;
// What one DATA frame holds at most, if its first message is long; the peer may have it smaller.
// nghttp2 keeps as much memory for each connection that has had such a frame.
constexpr size_t kMaxDataFrame = 64 << 10;
// What it holds otherwise: nghttp2 has that much memory in any case.
constexpr size_t kUsualDataFrame = 16 << 10;
// That all calls of a connection together may have under way to us.
constexpr int32_t kConnectionWindow = 1 << 20;
// Bytes of answers that a connection may hold before they count for the budget of all.
constexpr size_t kFreeAnswerBytes = 64 << 10;
// Of an upload whose status is out, beyond a message.
constexpr size_t kDiscardedExtra = 64 << 10;
// What an honest client sends at most without content: for each DATA frame that it gets
// WINDOW_UPDATE twice and PING with its answer, and as many for each call.
constexpr int kEmptyFramesPerData = 4;
// Of a frame that ends where the client's windows do: it may have opened them for a byte, to have
// another frame for each.
constexpr size_t kBytesPerEmptyFrame = 256;
constexpr int kEmptyFramesPerCall = 8;
// Of DATA, what a frame of a message that is sent in pieces never is.
constexpr size_t kSmallDataBytes = 256;
constexpr int kIdleFramesPerMessage = 4;
// Of what is thrown away unseen: the reading of so many bytes costs what that of a small frame
// does.
constexpr int64_t kBytesPerIdleFrame = 64;

// For people who look at the port with a browser or curl.
constexpr absl::string_view kNotGrpc =
    "This port speaks gRPC: call its methods by POST, with content-type application/grpc.\n";

constexpr size_t kFrameHeaderBytes = 9;
constexpr uint8_t kDrainPing[8] = {'d', 'r', 'a', 'i', 'n', 0, 0, 0};
constexpr uint8_t kKeepalivePing[8] = {'a', 'l', 'i', 'v', 'e', 0, 0, 0};

// nghttp2 copies both. Fields that differ from call to call do not push others out of the table.
nghttp2_nv Field(absl::string_view name, absl::string_view value,
                 uint8_t flags = NGHTTP2_NV_FLAG_NONE) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          flags};
}

// That every response begins with.
std::vector<nghttp2_nv> ResponseFields() {
  return {Field(":status", "200"), Field("content-type", "application/grpc"),
          Field("grpc-accept-encoding", "identity")};
}

void AddFields(const std::vector<std::pair<std::string, std::string>>& metadata,
               std::vector<nghttp2_nv>& fields) {
  for (const auto& [name, value] : metadata) {
    fields.push_back(Field(name, value, NGHTTP2_NV_FLAG_NO_INDEX));
  }
}

// nghttp2 calls it for the text of kNotGrpc; the source is how much of it has been sent.
ssize_t ReadNotGrpc(nghttp2_session*, int32_t, uint8_t* bytes, size_t size, uint32_t* flags,
                    nghttp2_data_source* source, void*) {
  const absl::string_view rest = kNotGrpc.substr(static_cast<size_t>(source->fd));
  const size_t count = rest.copy(reinterpret_cast<char*>(bytes), size);
  source->fd += static_cast<int>(count);
  if (count == rest.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(count);
}

bool EndsStream(uint8_t flags) { return (flags & NGHTTP2_FLAG_END_STREAM) != 0; }

absl::Status MessageTooLarge(size_t max_bytes) {
  return ErrorWithReason(
      absl::StatusCode::kResourceExhausted, reason::kBodyTooLarge,
      absl::StrCat("a message to this method may have ", max_bytes, " bytes; this one has more"));
}

// What a call that ended without a status of its own comes to.
absl::StatusCode CodeOf(CallEnd end) {
  switch (end) {
    case CallEnd::kDeadline:
      return absl::StatusCode::kDeadlineExceeded;
    case CallEnd::kShutdown:
      return absl::StatusCode::kUnavailable;
    case CallEnd::kFinished:
    case CallEnd::kCancelled:
    case CallEnd::kConnectionLost:
      break;
  }
  return absl::StatusCode::kCancelled;
}

}  // namespace

GrpcSession::GrpcSession(const GrpcShared& shared, std::shared_ptr<WakeQueue> wakes,
                         TimerQueue& timers, SessionOwner& owner, Peer peer)
    : shared_(shared),
      wakes_(std::move(wakes)),
      timers_(timers),
      owner_(owner),
      peer_(std::move(peer)),
      inbound_(shared.options.max_inbound_bytes_per_connection, shared.inbound, peer_.origin),
      now_(shared.clock.MonotonicNow()),
      empty_frames_(shared.options.empty_frames_burst, shared.options.empty_frames_per_second,
                    now_),
      idle_frames_(shared.options.empty_frames_burst, shared.options.empty_frames_per_second, now_),
      resets_(shared.options.resets_burst, shared.options.resets_per_second, now_) {
  if (nghttp2_session_server_new2(&session_, Http2Callbacks(), static_cast<Http2Events*>(this),
                                  Http2Options()) != 0) {
    std::abort();  // out of memory
  }
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
       static_cast<uint32_t>(shared.options.max_calls_per_connection)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<uint32_t>(shared.options.max_header_list_bytes)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

GrpcSession::~GrpcSession() {
  while (!calls_.empty()) {
    ServerCall& call = calls_.front();
    EndHandler(call, end_of_rest_);
    LetGo(call);
  }
  nghttp2_session_del(session_);
}

void GrpcSession::Receive(absl::string_view bytes) {
  if (ended() || doomed_) return;
  now_ = shared_.clock.MonotonicNow();
  skipped_bytes_ += static_cast<int64_t>(bytes.size());
  const auto taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  for (; skipped_bytes_ >= kBytesPerIdleFrame; skipped_bytes_ -= kBytesPerIdleFrame) {
    idle_frames_.Take(now_);
  }
  if (doomed_) {
    Terminate(doom_error_);
  } else if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    Doom(GrpcRefusal::kNotHttp2, NGHTTP2_PROTOCOL_ERROR, "");
    dead_ = true;  // The peer would not understand an answer.
  } else if (taken == NGHTTP2_ERR_FLOODED) {
    Refuse(GrpcRefusal::kTooManyEmptyFrames, "more than it reads the answers of");
  } else if (taken < 0) {
    Doom(GrpcRefusal::kProtocolError, NGHTTP2_INTERNAL_ERROR,
         nghttp2_strerror(static_cast<int>(taken)));
    Terminate(doom_error_);
  }
  owner_.OnOutput();
}

bool GrpcSession::is_wasteful() {
  const absl::Duration now = shared_.clock.MonotonicNow();
  // Whoever gives up on a slow gateway cancels hundreds of calls at once, and means well.
  return !empty_frames_.IsNearlyFull(now) || !idle_frames_.IsNearlyFull(now) ||
         !resets_.IsHalfFull(now);
}

bool GrpcSession::TakeEmptyWork() { return empty_frames_.Take(shared_.clock.MonotonicNow()); }

void GrpcSession::Collect(size_t max_bytes, OutBuffer& out) {
  if (dead_) return;
  now_ = shared_.clock.MonotonicNow();
  out_ = &out;
  out_max_ = max_bytes;
  while (out.size() < max_bytes) {
    const uint8_t* bytes = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
      Log(Severity::kError, "HTTP/2 cannot go on",
          {{"peer", peer_.address}, {"error", nghttp2_strerror(static_cast<int>(size))}});
      dead_ = true;
      break;
    }
    if (size == 0) break;
    out.Add({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  }
  out_ = nullptr;
}

bool GrpcSession::has_output() const { return !dead_ && nghttp2_session_want_write(session_) != 0; }

bool GrpcSession::may_receive() const {
  return nghttp2_session_get_outbound_queue_size(session_) <
         static_cast<size_t>(shared_.options.max_outbound_frames);
}

bool GrpcSession::ended() const {
  return dead_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

void GrpcSession::Ping() {
  ping_pending_ = true;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kKeepalivePing);
  owner_.OnOutput();
}

void GrpcSession::OnPingAnswer(absl::string_view payload) {
  ping_pending_ = false;
  const bool of_drain =
      std::equal(payload.begin(), payload.end(), std::begin(kDrainPing), std::end(kDrainPing));
  if (of_drain && draining_) StopTakingCalls();
}

void GrpcSession::BeginDrain() {
  if (draining_) return;
  draining_ = true;
  nghttp2_submit_shutdown_notice(session_);  // OnFrameSent pings behind it.
  owner_.OnOutput();
}

void GrpcSession::StopTakingCalls() {
  if (stopped_) return;
  draining_ = true;
  stopped_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  owner_.OnOutput();
}

void GrpcSession::TellGoAway() {
  for (ServerCall& call : calls_) {
    if (call.handler_ != nullptr) call.handler_->OnGoAway();
  }
}

void GrpcSession::HurryRequests(absl::Duration patience) {
  const absl::Duration latest = shared_.clock.MonotonicNow() + patience;
  for (ServerCall& call : calls_) {
    // An answer that its client takes slowly has as long as it likes, up to the end of the drain.
    const bool answering = call.finish_asked() && !call.status_sent_;
    if (answering || call.phase_deadline_ == absl::InfiniteDuration()) continue;
    call.phase_deadline_ = std::min(call.phase_deadline_, latest);
    SetTimer(call);
  }
}

void GrpcSession::Shutdown() {
  end_of_rest_ = CallEnd::kShutdown;
  shut_down_ = true;
  now_ = shared_.clock.MonotonicNow();
  const absl::Status status =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                      "the gateway ends this connection: connect again, and repeat the call");
  for (ServerCall& call : calls_) {
    if (call.handler_ != nullptr) EndCall(call, CallEnd::kShutdown, status);
    if (call.status_sent_) ResetQuietly(call);
  }
  StopTakingCalls();
}

void GrpcSession::ResetQuietly(ServerCall& call) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream_id_, NGHTTP2_NO_ERROR);
  owner_.OnOutput();
}

void GrpcSession::Refuse(GrpcRefusal refusal, absl::string_view detail) {
  Doom(refusal, NGHTTP2_ENHANCE_YOUR_CALM, detail);
  Terminate(doom_error_);
}

bool GrpcSession::Doom(GrpcRefusal refusal, uint32_t error_code, absl::string_view detail) {
  if (!doomed_) {
    doomed_ = true;
    doom_error_ = error_code;
    shared_.refusals.Note(refusal, peer_.address, detail);
  }
  return false;
}

void GrpcSession::Terminate(uint32_t error_code) {
  nghttp2_session_terminate_session(session_, error_code);
  owner_.OnOutput();
}

// Those of streams that have ended, or that come after the last GOAWAY, it skips.
bool GrpcSession::ReadsHeadersOf(int32_t stream_id) const {
  return CallOf(stream_id) != nullptr ||
         (!stopped_ && stream_id > nghttp2_session_get_last_proc_stream_id(session_));
}

bool GrpcSession::OnBeginFrame(int32_t stream_id, uint8_t type, uint8_t flags, size_t length) {
  last_received_ = type;
  if (type != NGHTTP2_CONTINUATION) {
    skips_headers_ = type == NGHTTP2_HEADERS && !ReadsHeadersOf(stream_id);
    header_block_since_.reset();
    if (type == NGHTTP2_HEADERS && !skips_headers_) header_block_since_ = now_;
  }
  if (skips_headers_) {
    idle_frames_.Take(now_);
  } else {
    skipped_bytes_ -= static_cast<int64_t>(kFrameHeaderBytes + length);
  }
  switch (type) {
    case NGHTTP2_DATA:
      // Padding may be all that is in it.
      if ((length > 0 && (flags & NGHTTP2_FLAG_PADDED) == 0) || EndsStream(flags)) {
        if (length < kSmallDataBytes) idle_frames_.Take(now_);
        return true;
      }
      break;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_GOAWAY:
    case NGHTTP2_WINDOW_UPDATE:
      break;
    case NGHTTP2_RST_STREAM:
      if (CallOf(stream_id) == nullptr) idle_frames_.Take(now_);
      return resets_.Take(now_) || Doom(GrpcRefusal::kTooManyResets, NGHTTP2_ENHANCE_YOUR_CALM,
                                        "calls that it has cancelled");
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
      return true;
    default:
      idle_frames_.Take(now_);
      return true;
  }
  return empty_frames_.Take(now_) ||
         Doom(GrpcRefusal::kTooManyEmptyFrames, NGHTTP2_ENHANCE_YOUR_CALM,
              absl::StrCat("the last one of type ", static_cast<int>(type)));
}

void GrpcSession::OnBeginHeaders() { head_.Begin(shared_.options.max_header_list_bytes); }

bool GrpcSession::OnHeader(absl::string_view name, absl::string_view value) {
  head_.Add(name, value);
  return head_.list_bytes() <= kHeaderListFactor * shared_.options.max_header_list_bytes ||
         Doom(GrpcRefusal::kHeadersTooLarge, NGHTTP2_ENHANCE_YOUR_CALM, "");
}

void GrpcSession::OnHeadersEnd(int32_t stream_id, bool is_request, bool end_stream) {
  header_block_since_.reset();
  if (is_request) {
    OpenCall(stream_id, end_stream);
  } else if (end_stream) {
    ServerCall* const call = CallOf(stream_id);
    if (call != nullptr) OnEndStream(*call);
  }
  // It may be long, and most connections rest.
  head_ = RequestHead();
}

ServerCall* GrpcSession::CallOf(int32_t stream_id) const {
  return static_cast<ServerCall*>(nghttp2_session_get_stream_user_data(session_, stream_id));
}

void GrpcSession::OpenCall(int32_t stream_id, bool end_stream) {
  const auto call = std::make_shared<ServerCall>(wakes_, *this, stream_id);
  call->self_ = call;
  if (calls_.empty()) owner_.OnBusy(true);
  calls_.push_back(*call);
  ++call_count_;
  nghttp2_session_set_stream_user_data(session_, stream_id, call.get());
  empty_frames_.Earn(kEmptyFramesPerCall);
  idle_frames_.Earn(kIdleFramesPerMessage);
  // Otherwise one stream is sent until it has nothing left, and the others wait (RFC 9218).
  const nghttp2_extpri in_turns = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
  nghttp2_session_change_extpri_stream_priority(session_, stream_id, &in_turns,
                                                /*ignore_client_signal=*/1);
  if (head_.http_status() != 200) {
    shared_.refusals.Note(GrpcRefusal::kMalformedCall, peer_.address, "not a call of gRPC");
    AnswerHttp(*call, head_.http_status());
  } else if (const absl::Status started = StartCall(*call, end_stream); !started.ok()) {
    MethodTable::Observer* const observer = shared_.table.observer();
    const MethodTable::Entry* const method = shared_.table.Find(head_.path());
    if (observer != nullptr && method != nullptr) {
      observer->OnCallEnd(*method, /*begun=*/false, started.code(), absl::ZeroDuration());
    }
    SubmitStatus(*call, started);
  }
  if (end_stream) OnEndStream(*call);
}

absl::Status GrpcSession::StartCall(ServerCall& call, bool end_stream) {
  if (const absl::Status checked = head_.Check(); !checked.ok()) {
    shared_.refusals.Note(head_.too_large()                ? GrpcRefusal::kCallHeadersTooLarge
                          : absl::IsUnimplemented(checked) ? GrpcRefusal::kMessageCompressed
                                                           : GrpcRefusal::kMalformedCall,
                          peer_.address, std::string(checked.message()));
    return checked;
  }
  CallInfo info = {.method = head_.path(),
                   .peer = peer_.address,
                   .certificate_names = peer_.certificate_names,
                   .metadata = head_.TakeMetadata()};
  if (head_.timeout().has_value()) info.deadline = now_ + *head_.timeout();
  const Admission admission = shared_.table.AskToAdmit(info);
  if (admission.identified) Identified();
  if (has_too_many_calls()) {
    shared_.refusals.Note(GrpcRefusal::kTooManyCalls, peer_.address, "on one connection");
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyStreams,
        absl::StrCat("the connection has ", shared_.options.max_calls_per_unidentified_connection,
                     " open calls, the most that it may have before one of them has identified the "
                     "caller"));
  }
  RETURN_IF_ERROR(admission.status);
  call.method_ = shared_.table.Find(info.method);
  if (call.method_ == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("there is no method ", info.method.substr(0, 200), " here"));
  }
  if (head_.timeout() == absl::ZeroDuration()) {
    return absl::DeadlineExceededError("the call came without time left");
  }
  if (shared_.open_calls.load(std::memory_order_relaxed) >= shared_.options.max_calls) {
    shared_.refusals.Note(GrpcRefusal::kTooManyCalls, peer_.address, "");
    return ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kTooManyStreams,
                           absl::StrCat("the gateway has ", shared_.options.max_calls,
                                        " open calls already, the most that it accepts"));
  }
  ASSIGN_OR_RETURN(call.handler_,
                   shared_.table.Begin(*call.method_, call.shared_from_this(), info));
  if (call.handler_ == nullptr) return absl::InternalError("the method has no handler");
  shared_.open_calls.fetch_add(1, std::memory_order_relaxed);
  if (shared_.table.observer() != nullptr) {
    call.begin_ = shared_.clock.MonotonicNow();
    shared_.table.observer()->OnCallBegin(*call.method_);
  }
  if (info.deadline.has_value()) call.deadline_ = *info.deadline;
  if (call.method_->kind != MethodTable::Kind::kBidirectional && !end_stream) {
    call.phase_deadline_ =
        now_ + (draining_ ? shared_.options.drain_patience : shared_.options.message_timeout);
  }
  SetTimer(call);
  return absl::OkStatus();
}

// Not told to the client as a limit that grows later: gRPC C++ 1.51 never begins a call that waits
// for that, before another one has ended.
bool GrpcSession::has_too_many_calls() const {
  return !identified_ && call_count_ > shared_.options.max_calls_per_unidentified_connection;
}

void GrpcSession::Identified() {
  if (!std::exchange(identified_, true)) owner_.OnIdentified();
}

void GrpcSession::AnswerHttp(ServerCall& call, int status) {
  const std::string text = absl::StrCat(status);
  const nghttp2_nv fields[] = {Field(":status", text), Field("content-type", "text/plain"),
                               Field("allow", "POST")};
  nghttp2_data_provider provider = {};
  provider.read_callback = ReadNotGrpc;
  // "allow" is only for 405.
  nghttp2_submit_response(session_, call.stream_id_, fields, status == 405 ? 3 : 2, &provider);
  call.response_begun_ = true;
  call.status_submitted_ = true;
  // A peer that does not take the text is not waited for.
  call.phase_deadline_ = now_ + shared_.options.write_timeout;
  SetTimer(call);
}

void GrpcSession::OnData(int32_t stream_id, absl::string_view bytes) {
  nghttp2_session_consume_connection(session_, bytes.size());
  ServerCall* const call = CallOf(stream_id);
  if (call == nullptr) return;
  if (call->handler_ == nullptr || call->finish_asked()) {
    Discard(*call, bytes.size());
  } else {
    AddInbound(*call, bytes);
  }
}

void GrpcSession::OnDataEnd(int32_t stream_id) {
  ServerCall* const call = CallOf(stream_id);
  if (call != nullptr) OnEndStream(*call);
}

// The status of the call is on its way, or out. The client may not have heard of it, and a proxy
// may not pass it on, before all of the upload has been sent: so it is taken, within limits.
void GrpcSession::Discard(ServerCall& call, size_t bytes) {
  call.discarded_bytes_ += static_cast<uint32_t>(bytes);
  if (call.discarded_bytes_ <= shared_.options.max_message_bytes + kDiscardedExtra) {
    nghttp2_session_consume_stream(session_, call.stream_id_, bytes);
  } else if (call.status_sent_) {
    ResetQuietly(call);
  }
}

void GrpcSession::AddInbound(ServerCall& call, absl::string_view bytes) {
  if (call.inbound_ == nullptr) call.inbound_ = std::make_unique<CallInbound>(inbound_);
  if (!call.inbound_->Add(bytes, call.weak_from_this())) return RefuseForRoom(call);
  DeliverMessages(call);
}

void GrpcSession::RefuseForRoom(ServerCall& call) {
  RefuseCall(call, GrpcRefusal::kTooManyInboundBytes,
             ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kTooManyBodies,
                             "too many requests are arriving at once: try again soon"));
}

void GrpcSession::ReleaseWindow(const ServerCall& call, size_t bytes) {
  if (bytes == 0 || call.remote_closed_) return;
  nghttp2_session_consume_stream(session_, call.stream_id_, bytes);
}

void GrpcSession::OnEndStream(ServerCall& call) {
  call.remote_closed_ = true;
  if (call.handler_ == nullptr || call.finish_asked()) return;
  call.phase_deadline_ = absl::InfiniteDuration();
  SetTimer(call);
  DeliverMessages(call);
}

void GrpcSession::DeliverMessages(ServerCall& call) {
  const bool one = call.method_->kind != MethodTable::Kind::kBidirectional;
  while (call.handler_ != nullptr && !call.finish_asked() && call.inbound_ != nullptr &&
         call.wanted_messages_.load() > 0) {
    CallInbound& inbound = *call.inbound_;
    const size_t limit = call.method_->method.max_message_bytes;
    const size_t max_bytes = limit > 0 ? limit : shared_.options.max_message_bytes;
    size_t used = 0;
    std::string message;
    const MessageReader::Result result = inbound.Next(max_bytes, message, used);
    ReleaseWindow(call, used);
    switch (result) {
      case MessageReader::Result::kIncomplete:
        if (one) return DeliverTheMessage(call);
        return AwaitRest(call);
      case MessageReader::Result::kMessage:
        idle_frames_.Earn(kIdleFramesPerMessage);
        if (one) {
          if (inbound.has_only()) return RefuseNumber(call);
          inbound.KeepOnly(std::move(message));
        } else {
          call.wanted_messages_.fetch_sub(1);
          inbound.EndMessage();  // What is left asks again when more comes.
          if (!inbound.has_begun()) call.inbound_ = nullptr;
          call.handler_->OnMessage(std::move(message));
        }
        break;
      case MessageReader::Result::kTooLarge:
        return RefuseCall(call, GrpcRefusal::kMessageTooLarge, MessageTooLarge(max_bytes));
      case MessageReader::Result::kCompressed:
        return RefuseCall(
            call, GrpcRefusal::kMessageCompressed,
            absl::InternalError("the message is marked as compressed, but the call has no "
                                "grpc-encoding: send messages without compression"));
      case MessageReader::Result::kMalformed:
        return RefuseCall(
            call, GrpcRefusal::kMalformedCall,
            ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kMalformedRequest,
                            "the call's bytes are not gRPC's messages"));
    }
  }
  if (one) return DeliverTheMessage(call);
  AwaitRest(call);
}

// Where the client sends one message: it is known to be the only one when the client's side ends.
void GrpcSession::DeliverTheMessage(ServerCall& call) {
  if (call.handler_ == nullptr || call.finish_asked() || !call.remote_closed_ ||
      call.half_close_told_ || call.wanted_messages_.load() == 0) {
    return;
  }
  CallInbound* const inbound = call.inbound_.get();
  if (inbound != nullptr && inbound->has_begun()) {
    return inbound->has_only() ? RefuseNumber(call) : RefuseTruncated(call);
  }
  if (inbound == nullptr || !inbound->has_only()) return RefuseNumber(call);
  std::string message = inbound->TakeOnly();
  call.inbound_ = nullptr;
  call.wanted_messages_.fetch_sub(1);
  call.half_close_told_ = true;
  call.handler_->OnMessage(std::move(message));
  call.handler_->OnHalfClose();
}

// Where the client sends a stream.
void GrpcSession::AwaitRest(ServerCall& call) {
  if (call.handler_ == nullptr || call.finish_asked()) return;
  const bool begun = call.inbound_ != nullptr && call.inbound_->has_begun();
  const bool wanted = call.wanted_messages_.load() > 0;
  if (call.remote_closed_) {
    if (begun && wanted) return RefuseTruncated(call);
    if (begun || call.half_close_told_) return;
    call.half_close_told_ = true;
    call.handler_->OnHalfClose();
    return;
  }
  if (!begun || !wanted) {
    if (call.phase_deadline_ == absl::InfiniteDuration()) return;
    call.phase_deadline_ = absl::InfiniteDuration();
  } else if (call.phase_deadline_ == absl::InfiniteDuration()) {
    call.phase_deadline_ =
        now_ + (draining_ ? shared_.options.drain_patience : shared_.options.message_timeout);
  }
  SetTimer(call);
}

void GrpcSession::RefuseNumber(ServerCall& call) {
  RefuseCall(call, GrpcRefusal::kMalformedCall,
             absl::UnimplementedError("the method takes one message: send exactly one"));
}

void GrpcSession::RefuseTruncated(ServerCall& call) {
  RefuseCall(call, GrpcRefusal::kMalformedCall,
             ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kMalformedRequest,
                             "the call's bytes end within a message"));
}

void GrpcSession::OnNotes(ServerCall& call, uint8_t notes) {
  if (call.handler_ == nullptr) return;
  now_ = shared_.clock.MonotonicNow();
  if ((notes & ServerCall::kGiveUp) != 0) {
    if (call.holding_ != nullptr) {
      const ServerCall::Holding& holding = *call.holding_;
      if (holding.answer != nullptr && holding.answer->has_given_up()) {
        return RefuseForAnswers(call);
      }
      if (holding.refused || (holding.message != nullptr && holding.message->has_given_up())) {
        return RefuseForRest(call);
      }
    }
    // It may have got all of its message in the meantime, and hold the next one.
    if (call.inbound_ != nullptr && call.inbound_->has_given_up()) return RefuseForRoom(call);
  }
  if ((notes & ServerCall::kRead) != 0) DeliverMessages(call);
  if ((notes & ServerCall::kWoken) != 0) TrySend(call);
  if (call.finish_asked()) TryFinish(call);
}

size_t GrpcSession::MaxDataFrame(int32_t stream_id) {
  ServerCall* const call = CallOf(stream_id);
  const bool is_long =
      call != nullptr && NextMessage(*call) &&
      MessageReader::kPrefixBytes + call->message_->size() - call->message_sent_ > kUsualDataFrame;
  return is_long ? kMaxDataFrame : kUsualDataFrame;
}

bool GrpcSession::NextMessage(ServerCall& call) {
  if (call.message_ != nullptr) return true;
  if (call.exhausted_ || call.handler_ == nullptr || call.finish_asked()) return false;
  call.message_ = call.handler_->NextMessage();
  call.message_sent_ = 0;
  call.exhausted_ = call.message_ == nullptr;
  return !call.exhausted_;
}

// An answer is there whether it can be sent or not: a client that does not take its answers could
// have any number of them.
bool GrpcSession::HoldAnswer(ServerCall& call) {
  if (call.holds_answer_) return true;
  const size_t size = call.message_->size();
  call.holds_answer_ = true;
  answer_bytes_ += size;
  bool room =
      answer_bytes_ == size || answer_bytes_ <= shared_.options.max_outbound_bytes_per_connection;
  if (room && answer_bytes_ > kFreeAnswerBytes) {
    call.holding_ = std::make_unique<ServerCall::Holding>();
    call.holding_->answer =
        std::make_unique<BodyBudget::Share>(shared_.outbound, peer_.origin, call.weak_from_this());
    room = call.holding_->answer->Grow(static_cast<int64_t>(size));
  }
  if (!room) RefuseForAnswers(call);
  return room;
}

void GrpcSession::RefuseForAnswers(ServerCall& call) {
  RefuseCall(call, GrpcRefusal::kTooManyOutboundBytes,
             ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kTooManyAnswers,
                             "too many responses wait for their clients: read them faster, or ask "
                             "for less at once"));
}

void GrpcSession::HoldRest(ServerCall& call) {
  if (call.holding_ != nullptr || call.method_->kind == MethodTable::Kind::kUnary) return;
  call.holding_ = std::make_unique<ServerCall::Holding>();
  call.holding_->message = shared_.held.Hold(call.message_, peer_.origin, call.weak_from_this());
  if (call.holding_->message != nullptr) return;
  call.holding_->refused = true;
  call.GiveUpBody();  // Not while nghttp2 asks for its bytes.
}

void GrpcSession::RefuseForRest(ServerCall& call) {
  RefuseCall(call, GrpcRefusal::kTooManyOutboundBytes,
             ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kTooManyAnswers,
                             "too many streams do not take what they are sent: read faster"));
}

void GrpcSession::DropMessage(ServerCall& call) {
  if (call.holds_answer_) answer_bytes_ -= call.message_->size();
  call.holds_answer_ = false;
  call.holding_ = nullptr;
  call.message_ = nullptr;
}

void GrpcSession::TrySend(ServerCall& call) {
  call.exhausted_ = false;
  if (call.handler_ == nullptr || call.finish_asked() || call.status_submitted_) return;
  if (call.response_begun_) {
    if (!call.deferred_) return;
    call.deferred_ = false;
    nghttp2_session_resume_data(session_, call.stream_id_);
  } else {
    // A call that ends with an error before its first message is answered by trailers alone. So the
    // headers wait for a message, unless it could not be sent and must not be asked for.
    const bool unary = call.method_->kind == MethodTable::Kind::kUnary;
    const bool open = nghttp2_session_get_remote_window_size(session_) > 0 &&
                      nghttp2_session_get_stream_remote_window_size(session_, call.stream_id_) > 0;
    if ((open || unary) && !NextMessage(call)) return;
    if (unary && !HoldAnswer(call)) return;
    std::vector<nghttp2_nv> fields = ResponseFields();
    if (call.metadata_ != nullptr) AddFields(call.metadata_->initial, fields);
    const nghttp2_data_provider provider = MessageSource();
    nghttp2_submit_response(session_, call.stream_id_, fields.data(), fields.size(), &provider);
    call.response_begun_ = true;
  }
  owner_.OnOutput();
}

int64_t GrpcSession::ReadData(int32_t stream_id, size_t max_bytes, uint32_t* data_flags) {
  ServerCall* const call = CallOf(stream_id);
  if (call == nullptr) return NGHTTP2_ERR_DEFERRED;
  size_t total = 0;
  while (total < max_bytes && NextMessage(*call)) {
    if (total == 0) data_gap_ = out_->AddGap(kFrameHeaderBytes);
    total += AddPartOf(*call, max_bytes - total);
  }
  data_earns_ = kEmptyFramesPerData;
  if (total == max_bytes) {
    data_earns_ = static_cast<int>(std::min<size_t>(data_earns_, total / kBytesPerEmptyFrame));
  }
  if (call->message_ != nullptr) {
    HoldRest(*call);
    if (call->finish_asked()) TryFinish(*call);  // It has more time.
  }
  if (call->message_ == nullptr && (call->finish_asked() || call->status_submitted_)) {
    if (!call->status_submitted_) SubmitStatus(*call, call->status());
    *data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (total == 0) return 0;  // Such a frame is not sent.
  } else if (total == 0) {
    call->deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return static_cast<int64_t>(total);
}

bool GrpcSession::OnDataHeader(absl::string_view header) {
  out_->FillGap(data_gap_, header);
  empty_frames_.Earn(data_earns_);
  return out_->size() < out_max_;
}

size_t GrpcSession::AddPartOf(ServerCall& call, size_t max_bytes) {
  constexpr size_t kPrefix = MessageReader::kPrefixBytes;
  const std::string& message = *call.message_;
  size_t added = 0;
  if (call.message_sent_ < kPrefix) {
    const auto size = static_cast<uint32_t>(message.size());
    const std::array<char, kPrefix> prefix = {
        0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
        static_cast<char>(size >> 8), static_cast<char>(size)};
    added = std::min(kPrefix - call.message_sent_, max_bytes);
    out_->Add({prefix.data() + call.message_sent_, added});
    call.message_sent_ += added;
  }
  if (call.message_sent_ >= kPrefix) {
    const size_t offset = call.message_sent_ - kPrefix;
    const size_t count = std::min(message.size() - offset, max_bytes - added);
    out_->AddShared(call.message_, absl::string_view(message).substr(offset, count));
    call.message_sent_ += count;
    added += count;
  }
  if (call.message_sent_ == kPrefix + message.size()) DropMessage(call);
  return added;
}

void GrpcSession::TryFinish(ServerCall& call) {
  if (call.status_submitted_) return;
  if (call.message_ == nullptr) return SubmitStatus(call, call.status());
  // ReadData sends the status behind the message. A client that does not take it holds it no longer
  // than one that does not read at all.
  call.phase_deadline_ = now_ + shared_.options.write_timeout;
  SetTimer(call);
}

void GrpcSession::SubmitStatus(ServerCall& call, const absl::Status& status) {
  const StatusTrailers trailers = ToTrailers(status);
  std::vector<nghttp2_nv> fields;
  if (!call.response_begun_) {
    fields = ResponseFields();
    if (call.metadata_ != nullptr) AddFields(call.metadata_->initial, fields);
  }
  fields.push_back(Field("grpc-status", trailers.code));
  if (!trailers.message.empty()) {
    fields.push_back(Field("grpc-message", trailers.message, NGHTTP2_NV_FLAG_NO_INDEX));
  }
  if (!trailers.details.empty()) {
    fields.push_back(Field("grpc-status-details-bin", trailers.details, NGHTTP2_NV_FLAG_NO_INDEX));
  }
  if (call.metadata_ != nullptr) AddFields(call.metadata_->trailing, fields);
  if (call.response_begun_) {
    nghttp2_submit_trailer(session_, call.stream_id_, fields.data(), fields.size());
  } else {
    nghttp2_submit_response(session_, call.stream_id_, fields.data(), fields.size(), nullptr);
    call.response_begun_ = true;
  }
  call.status_submitted_ = true;
  // The rest of the request is not needed.
  call.inbound_ = nullptr;
  call.phase_deadline_ = absl::InfiniteDuration();
  SetTimer(call);
  owner_.OnOutput();
}

void GrpcSession::RefuseCall(ServerCall& call, GrpcRefusal refusal, const absl::Status& status) {
  shared_.refusals.Note(refusal, peer_.address, std::string(status.message()));
  EndCall(call, CallEnd::kConnectionLost, status);
}

void GrpcSession::EndCall(ServerCall& call, CallEnd end, const absl::Status& status) {
  const bool within_message = call.message_ != nullptr && call.message_sent_ > 0;
  NoteEnd(call, call.status_submitted_ ? call.status().code() : status.code());
  EndHandler(call, end);
  if (call.status_submitted_) return;
  if (within_message) {
    call.status_submitted_ = true;
    // gRPC's names for them are RESOURCE_EXHAUSTED and CANCELLED.
    nghttp2_submit_rst_stream(
        session_, NGHTTP2_FLAG_NONE, call.stream_id_,
        absl::IsResourceExhausted(status) ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_CANCEL);
    owner_.OnOutput();
  } else {
    SubmitStatus(call, status);
  }
}

void GrpcSession::EndHandler(ServerCall& call, CallEnd end) {
  call.inbound_ = nullptr;
  DropMessage(call);
  call.deadline_ = absl::InfiniteDuration();
  call.phase_deadline_ = absl::InfiniteDuration();
  SetTimer(call);
  if (end == CallEnd::kFinished) {
    NoteEnd(call, call.status().code());
  } else {
    NoteEnd(call, CodeOf(end));
  }
  const std::shared_ptr<CallHandler> handler = std::exchange(call.handler_, nullptr);
  if (handler == nullptr) return;
  shared_.open_calls.fetch_sub(1, std::memory_order_relaxed);
  handler->OnEnd(end);
}

void GrpcSession::NoteEnd(ServerCall& call, absl::StatusCode code) {
  MethodTable::Observer* const observer = shared_.table.observer();
  if (observer == nullptr || call.handler_ == nullptr || call.end_noted_) return;
  call.end_noted_ = true;
  observer->OnCallEnd(*call.method_, /*begun=*/true, code,
                      shared_.clock.MonotonicNow() - call.begin_);
}

void GrpcSession::SetTimer(ServerCall& call) {
  timers_.Set(call, std::min(call.deadline_, call.phase_deadline_));
}

void GrpcSession::OnCallTime(ServerCall& call, absl::Duration now) {
  now_ = now;
  if (now >= call.deadline_) {
    EndCall(call, CallEnd::kDeadline,
            absl::DeadlineExceededError("the deadline of the call has passed"));
  } else if (now < call.phase_deadline_) {
    SetTimer(call);
  } else if (call.status_sent_ || call.handler_ == nullptr) {
    call.phase_deadline_ = absl::InfiniteDuration();
    ResetQuietly(call);
  } else if (call.finish_asked()) {
    RefuseCall(call, GrpcRefusal::kWriteTimeout,
               absl::CancelledError("the client has stopped reading the call's last message"));
  } else {
    RefuseCall(call, GrpcRefusal::kMessageTimeout,
               ErrorWithReason(absl::StatusCode::kDeadlineExceeded, reason::kRequestTimeout,
                               "the call's message did not arrive in time: send it faster"));
  }
}

void GrpcSession::OnFrameSent(int32_t stream_id, uint8_t type, uint8_t flags, uint32_t error_code) {
  if (type == NGHTTP2_GOAWAY && draining_ && !stopped_) {
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainPing);
  }
  // gRPC in Go says goodbye by the largest stream there can be, which nghttp2 does not take; the
  // connection ends either way, and nobody has to look at it.
  const bool goodbye = last_received_ == NGHTTP2_GOAWAY;
  if (type == NGHTTP2_GOAWAY && error_code != NGHTTP2_NO_ERROR && !goodbye && !doomed_) {
    // Found by nghttp2.
    Doom(error_code == NGHTTP2_ENHANCE_YOUR_CALM ? GrpcRefusal::kTooManyEmptyFrames
                                                 : GrpcRefusal::kProtocolError,
         error_code, last_error_);
  }
  // A client can have the server reset its calls by what it may not send.
  if (type == NGHTTP2_RST_STREAM && error_code != NGHTTP2_NO_ERROR && !resets_.Take(now_)) {
    Refuse(GrpcRefusal::kTooManyResets, "calls that were reset because of what it sent");
  }
  if ((type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) || !EndsStream(flags)) return;
  ServerCall* const call = CallOf(stream_id);
  if (call == nullptr) return;
  call->status_sent_ = true;
  resets_.Earn(1);
  EndHandler(*call, CallEnd::kFinished);
  if (call->remote_closed_) return;
  // A stream that waits for its client costs memory, whether it has a handler or not.
  const bool full =
      shared_.open_calls.load(std::memory_order_relaxed) >= shared_.options.max_calls ||
      has_too_many_calls();
  if (shut_down_ || full) return ResetQuietly(*call);
  call->phase_deadline_ =
      now_ + (draining_ ? shared_.options.drain_patience : shared_.options.upload_patience);
  SetTimer(*call);
}

void GrpcSession::OnStreamClosed(int32_t stream_id) {
  ServerCall* const call = CallOf(stream_id);
  if (call == nullptr) return;
  EndHandler(*call, doomed_ ? CallEnd::kConnectionLost : CallEnd::kCancelled);
  LetGo(*call);
}

void GrpcSession::LetGo(ServerCall& call) {
  timers_.Cancel(call);
  call.session_ = nullptr;
  nghttp2_session_set_stream_user_data(session_, call.stream_id_, nullptr);
  calls_.erase(calls_.iterator_to(call));
  --call_count_;
  const std::shared_ptr<ServerCall> last = std::exchange(call.self_, nullptr);
  if (calls_.empty()) owner_.OnBusy(false);
}

}  // namespace hookgate
