#include "server/rpc/subscribe_stream.h"

#include <utility>

#include "server/base/logging.h"
#include "server/rpc/byte_buffer.h"
#include "server/rpc/grpc_status.h"

namespace hookgate {
namespace {

using Step = SubscribeSession::Step;

// Reads a batch, and, behind what others want by then, the next ones ahead.
void ReadPages(BatchSource& batches, Executor& pages, SelectionPtr selection, Sequence after,
               int ahead) {
  pages.Post([&batches, &pages, selection = std::move(selection), after, ahead] {
    const absl::optional<Sequence> next = batches.Read(*selection, after, ahead);
    if (next.has_value()) ReadPages(batches, pages, selection, *next, ahead + 1);
  });
}

}  // namespace

SubscribeStream::SubscribeStream(std::string client_name, Caller caller,
                                 const StreamContext& context)
    : client_name_(std::move(client_name)), caller_(std::move(caller)), context_(context) {}

void SubscribeStream::Start(hookgate::v1::SubscribeRequest request) {
  if (request.has_start_position()) {  // Known without the disk.
    Open(request);
    return;
  }
  context_.openings.Post(
      [self = shared_from_this(), request = std::move(request)] { self->Open(request); });
}

void SubscribeStream::Open(const hookgate::v1::SubscribeRequest& request) {
  // Rights may have changed before the registry held the stream.
  const absl::Status allowed = caller_.CheckSources(Right::kSubscribe, request.filter().sources());
  if (!allowed.ok()) {
    End(allowed);
    return;
  }
  auto settings = SubscribeSettings::FromRequest(request, context_.selections, context_.log);
  if (!settings.ok()) {
    End(settings.status());
    return;
  }
  session_.emplace(*std::move(settings), context_.batches, context_.log, context_.clock);
  caller_.LogLine(Severity::kInfo, "stream opened",
                  {{"client", client_name_}, {"after", session_->position()}});
  Advance();
}

void SubscribeStream::Wake() {
  {
    absl::MutexLock lock(&mu_);
    if (turn_taken_) {
      woken_ = true;
      return;
    }
    turn_taken_ = true;
  }
  Advance();
}

void SubscribeStream::Drain(absl::Duration reconnect_delay) {
  {
    absl::MutexLock lock(&mu_);
    drain_delay_ = reconnect_delay;
  }
  Wake();
}

void SubscribeStream::Recheck() {
  {
    absl::MutexLock lock(&mu_);
    recheck_ = true;
  }
  Wake();
}

void SubscribeStream::OnCancel() {
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }
  Wake();
}

void SubscribeStream::OnWriteDone(bool ok) {
  frame_.Clear();  // A stream that is idle from here on holds no frame.
  if (!ok) {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }
  Advance();
}

void SubscribeStream::Advance() {
  // Once the turn is given up, another thread may end the stream.
  const std::shared_ptr<SubscribeStream> self = shared_from_this();
  while (true) {
    const absl::Status heard = HearNotes();
    if (!heard.ok()) {
      End(heard);
      return;
    }
    Step step = session_->Next();
    switch (step.action) {
      case Step::Action::kWrite:
        frame_ = ToByteBuffer(std::move(step.frame));
        StartWrite(&frame_);
        return;
      case Step::Action::kReadLog:
        StartReading();
        break;
      case Step::Action::kPause:
      case Step::Action::kWait:
        if (Rest(step)) return;
        break;
      case Step::Action::kEnd:
        End(step.status);
        return;
    }
  }
}

void SubscribeStream::StartReading() {
  const auto note = [self = shared_from_this()](const absl::StatusOr<BatchFramePtr>& batch) {
    self->OnRead(batch);
  };
  if (session_->AwaitLog(note)) {
    ReadPages(context_.batches, context_.pages, session_->selection(), session_->position(),
              /*ahead=*/0);
  }
}

void SubscribeStream::OnRead(const absl::StatusOr<BatchFramePtr>& batch) {
  {
    absl::MutexLock lock(&mu_);
    read_ = batch;
  }
  Wake();
}

absl::Status SubscribeStream::HearNotes() {
  bool recheck = false;
  {
    absl::MutexLock lock(&mu_);
    woken_ = false;
    if (read_.has_value()) session_->TakeRead(*std::exchange(read_, absl::nullopt));
    if (cancelled_) return absl::CancelledError("the client has gone");
    if (drain_delay_.has_value()) session_->Drain(*drain_delay_);
    recheck = std::exchange(recheck_, false);
  }
  if (!recheck) return absl::OkStatus();
  return caller_.CheckSources(Right::kSubscribe, session_->selection()->filter().sources());
}

bool SubscribeStream::Rest(const Step& step) {
  {
    absl::MutexLock lock(&mu_);
    if (woken_) return false;
    turn_taken_ = false;
  }
  if (step.action == Step::Action::kPause) {
    context_.watch.AwaitNextRound(step.deadline, shared_from_this());
    return true;
  }
  if (context_.watch.Await(step.seen, step.deadline, shared_from_this())) return true;
  absl::MutexLock lock(&mu_);
  if (turn_taken_) return true;  // Somebody woke the stream in between, and goes on.
  turn_taken_ = true;
  return false;
}

void SubscribeStream::End(const absl::Status& status) {
  caller_.LogLine(Severity::kInfo, "stream ended",
                  {{"client", client_name_}, {"status", status.ToString()}});
  Finish(ToGrpcStatus(status));
}

void SubscribeStream::OnDone() {
  context_.watch.Forget(this);
  context_.registry.Remove(this);
}

}  // namespace hookgate
