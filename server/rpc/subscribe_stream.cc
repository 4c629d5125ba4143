#include "server/rpc/subscribe_stream.h"

#include <algorithm>
#include <utility>

#include "hookgate/v1/admin_service.pb.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/grpc_server/unary_method.h"

namespace hookgate {
namespace {

using Step = SubscribeSession::Step;
using hookgate::v1::SubscribeRequest;

// Reads a batch, and, behind what others want by then, the next ones ahead.
void ReadPages(BatchSource& batches, Executor& pages, SelectionPtr selection, Sequence after,
               int ahead) {
  pages.Post([&batches, &pages, selection = std::move(selection), after, ahead] {
    const absl::optional<Sequence> next = batches.Read(*selection, after, ahead);
    if (next.has_value()) ReadPages(batches, pages, selection, *next, ahead + 1);
  });
}

// Not FAILED_PRECONDITION: the client would take it that events are gone.
absl::Status ReplicaIsBehind() {
  return ErrorWithReason(
      absl::StatusCode::kUnavailable, reason::kReplicaBehind,
      "after_cursor is of an event that this replica does not have yet, and it is "
      "behind the others: call again, or another one");
}

}  // namespace

SubscribeStream::SubscribeStream(std::shared_ptr<Call> call, std::shared_ptr<const Caller> caller,
                                 std::shared_ptr<const StreamContext> context)
    : call_(std::move(call)),
      caller_(std::move(caller)),
      context_(std::move(context)),
      open_time_(context_->clock.WallNow()) {
  call_->ReadNext();
}

void SubscribeStream::OnMessage(std::string bytes) {
  SubscribeRequest request;
  absl::Status started = ParseRequest(bytes, request);
  if (started.ok()) started = CheckRequest(request);
  if (started.ok()) started = Start(std::move(request));
  if (!started.ok()) End(started);
}

void SubscribeStream::OnHalfClose() {
  if (state_ != State::kWaiting) return;
  End(ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                      "the call has no request: send one message"));
}

absl::Status SubscribeStream::CheckRequest(const SubscribeRequest& request) const {
  RETURN_IF_ERROR(caller_->CheckSources(Right::kSubscribe, request.filter().sources()));
  // After the rights: who has none for a source must not learn whether there is one.
  return caller_->CheckSourcesExist(request.filter().sources(), "filter.sources");
}

absl::Status SubscribeStream::Start(SubscribeRequest request) {
  client_name_ = request.client_name();
  RETURN_IF_ERROR(context_->registry.Add(shared_from_this()));
  state_ = State::kStarted;
  // Rights may have changed before the registry held the stream.
  RETURN_IF_ERROR(caller_->CheckSources(Right::kSubscribe, request.filter().sources()));
  if (!request.has_start_position()) {
    // Before it waits: there may be as many of them as streams, and each may be as large as a
    // request.
    RETURN_IF_ERROR(SubscribeSettings::Check(request));
    PostFindStart(std::move(request),
                  context_->clock.MonotonicNow() + context_->cursors_ahead.patience);
    return absl::OkStatus();
  }
  // Known without the disk.
  ASSIGN_OR_RETURN(SubscribeSettings settings,
                   SubscribeSettings::FromRequest(request, context_->selections, context_->log));
  Open(std::move(settings));
  return absl::OkStatus();
}

void SubscribeStream::PostFindStart(SubscribeRequest request, absl::Duration deadline) {
  context_->openings.Post([self = shared_from_this(), request = std::move(request),
                           deadline]() mutable { self->FindStart(std::move(request), deadline); });
}

// The cursor is looked at before the log is asked: what is not ahead then will not be ahead later.
void SubscribeStream::FindStart(SubscribeRequest request, absl::Duration deadline) {
  std::unique_ptr<Ahead> ahead;
  absl::StatusOr<SubscribeSettings> settings;
  const CursorsAhead& cursors_ahead = context_->cursors_ahead;
  const auto sequence = cursors_ahead.patience > absl::ZeroDuration()
                            ? SequenceBeyondHead(request.after_cursor(), context_->log)
                            : absl::nullopt;
  if (sequence.has_value() && context_->clock.MonotonicNow() < deadline) {
    ahead = std::make_unique<Ahead>(Ahead{std::move(request), *sequence, deadline});
  } else if (sequence.has_value() && !cursors_ahead.is_complete()) {
    settings = ReplicaIsBehind();
  } else {
    settings = SubscribeSettings::FromRequest(request, context_->selections, context_->log);
  }
  {
    absl::MutexLock lock(&mu_);
    if (ahead != nullptr) {
      notes().ahead = std::move(ahead);
    } else {
      notes().opened = std::move(settings);
    }
  }
  call_->Wake();
}

// Without a thread that waits: each commit wakes it, as it does streams that have caught up.
void SubscribeStream::AwaitStart() {
  if (ahead_ == nullptr) return;
  if (context_->clock.MonotonicNow() < ahead_->deadline &&
      context_->watch.Await(ahead_->sequence - 1, ahead_->deadline, shared_from_this())) {
    return;
  }
  const std::unique_ptr<Ahead> ahead = std::move(ahead_);
  PostFindStart(std::move(ahead->request), ahead->deadline);
}

void SubscribeStream::Open(SubscribeSettings settings) {
  session_.emplace(std::move(settings), context_->batches, context_->log, context_->clock);
  position_ = session_->position();
  opened_ = &*session_;
  caller_->LogLine(Severity::kInfo, "stream opened",
                   {{"client", client_name_}, {"after", session_->position()}});
  call_->Wake();
}

void SubscribeStream::OnGoAway() { Drain(absl::ZeroDuration()); }

void SubscribeStream::Drain(absl::Duration reconnect_delay) {
  {
    absl::MutexLock lock(&mu_);
    notes().drain_delay = reconnect_delay;
  }
  call_->Wake();
}

void SubscribeStream::Recheck() {
  {
    absl::MutexLock lock(&mu_);
    notes().recheck = true;
  }
  call_->Wake();
}

SubscribeStream::Notes& SubscribeStream::notes() {
  if (notes_ == nullptr) notes_ = std::make_unique<Notes>();
  return *notes_;
}

Message SubscribeStream::NextMessage() {
  while (state_ == State::kStarted) {
    const absl::Status heard = TakePendingRequests();
    if (!heard.ok()) {
      End(heard);
      return nullptr;
    }
    if (!session_.has_value()) {
      AwaitStart();
      return nullptr;
    }
    Step step = session_->Next();
    Show(step);
    switch (step.action) {
      case Step::Action::kWrite:
        if (step.events > 0 && context_->metrics != nullptr) {
          context_->metrics->NoteDelivered(DeliveringRpc::kSubscribe, step.events);
        }
        return std::move(step.frame);
      case Step::Action::kReadLog:
        StartReading();
        break;
      case Step::Action::kPause:
      case Step::Action::kWait:
        if (Rest(step)) return nullptr;
        break;
      case Step::Action::kEnd:
        End(step.status);
        return nullptr;
    }
  }
  return nullptr;
}

void SubscribeStream::Show(const Step& step) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  position_.store(session_->position(), kRelaxed);
  caught_up_.store(session_->caught_up(), kRelaxed);
  if (step.action != Step::Action::kWrite) return;
  // Nobody else writes them.
  sent_events_.store(sent_events_.load(kRelaxed) + step.events, kRelaxed);
  sent_bytes_.store(sent_bytes_.load(kRelaxed) + static_cast<int64_t>(step.frame->size()),
                    kRelaxed);
}

bool SubscribeStream::Describe(hookgate::v1::StreamInfo& info) {
  using hookgate::v1::StreamInfo;
  info.set_method(StreamInfo::METHOD_SUBSCRIBE);
  info.set_state(StreamInfo::STATE_OPENING);
  info.set_client_name(client_name_);
  info.set_address(caller_->peer());
  info.set_principal(caller_->name());
  *info.mutable_open_time() = ToProto(open_time_);
  const SubscribeSession* const opened = opened_;
  if (opened == nullptr) return true;
  const Sequence position = position_;
  const int64_t lag = std::max<int64_t>(context_->log.Position().head - position, 0);
  info.set_state(IsBehind(lag) ? StreamInfo::STATE_BEHIND : StreamInfo::STATE_LIVE);
  *info.mutable_filter() = opened->selection()->filter().ToProto();
  *info.mutable_heartbeat_interval() = ToProto(opened->heartbeat_interval());
  info.set_cursor(FormatCursor(context_->log.history(), position));
  info.set_lag_events(lag);
  info.set_sent_events(sent_events_);
  info.set_sent_bytes(sent_bytes_);
  return true;
}

void SubscribeStream::CountIfBehind(int64_t head, StreamsBehind& behind) {
  if (opened_ != nullptr && IsBehind(head - position_)) ++behind.subscribe;
}

absl::Status SubscribeStream::TakePendingRequests() {
  std::unique_ptr<Notes> heard;
  {
    absl::MutexLock lock(&mu_);
    if (notes_ == nullptr) return absl::OkStatus();
    if (notes_->ahead != nullptr) ahead_ = std::move(notes_->ahead);
    // There is nothing yet that a client would have to know before it goes.
    if (ahead_ != nullptr && notes_->drain_delay.has_value()) {
      return SubscribeSession::GoodbyeError();
    }
    // Before the session is there, nothing else can be heard.
    if (!session_.has_value() && !notes_->opened.has_value()) return absl::OkStatus();
    heard = std::move(notes_);
  }
  if (heard->opened.has_value()) {
    RETURN_IF_ERROR(heard->opened->status());
    Open(**std::move(heard->opened));
  }
  if (heard->read.has_value()) session_->TakeRead(*std::move(heard->read));
  if (heard->drain_delay.has_value()) session_->Drain(*heard->drain_delay);
  if (!heard->recheck) return absl::OkStatus();
  return caller_->CheckSources(Right::kSubscribe, session_->selection()->filter().sources());
}

void SubscribeStream::StartReading() {
  const auto note = [self = shared_from_this()](const absl::StatusOr<BatchFramePtr>& batch) {
    {
      absl::MutexLock lock(&self->mu_);
      self->notes().read = batch;
    }
    self->call_->Wake();
  };
  if (session_->AwaitLog(note)) {
    ReadPages(context_->batches, context_->pages, session_->selection(), session_->position(),
              /*ahead=*/0);
  }
}

bool SubscribeStream::Rest(const Step& step) {
  if (step.action == Step::Action::kPause) {
    context_->watch.AwaitNextRound(step.seen, step.deadline, shared_from_this());
    return true;
  }
  return context_->watch.Await(step.seen, step.deadline, shared_from_this());
}

void SubscribeStream::End(const absl::Status& status) {
  if (state_ == State::kStarted) {
    caller_->LogLine(Severity::kInfo, "stream ended",
                     {{"client", client_name_}, {"status", status.ToString()}});
  }
  state_ = State::kEnded;
  call_->Finish(status);
}

void SubscribeStream::OnEnd(CallEnd) {
  if (state_ == State::kStarted) End(absl::CancelledError("the client has gone"));
  context_->watch.Forget(this);
  context_->registry.Remove(this);
}

}  // namespace hookgate
