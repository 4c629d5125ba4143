#include "server/grpc_server/unary_method.h"

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/wire_fields.h"

namespace hookgate {

// What the handler and the responder share.
class UnaryState {
 public:
  explicit UnaryState(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  Call& call() const { return *call_; }

  void Respond(absl::StatusOr<std::string> response) ABSL_LOCKS_EXCLUDED(mu_) {
    if (!response.ok()) {
      call_->Finish(response.status());
      return;
    }
    auto message = std::make_shared<const std::string>(*std::move(response));
    {
      absl::MutexLock lock(&mu_);
      if (cancelled_) return;
      response_ = std::move(message);
    }
    call_->Wake();
  }

  Message Take() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return std::exchange(response_, nullptr);
  }

  void Cancel() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    response_ = nullptr;
  }

  bool cancelled() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return cancelled_;
  }

 private:
  const std::shared_ptr<Call> call_;
  mutable absl::Mutex mu_;
  Message response_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

namespace {

class UnaryHandler final : public CallHandler {
 public:
  UnaryHandler(std::shared_ptr<Call> call, UnaryWork work)
      : state_(std::make_shared<UnaryState>(std::move(call))), work_(std::move(work)) {
    state_->call().ReadNext();
  }

  void OnMessage(std::string bytes) override {
    UnaryWork work = *std::move(work_);
    work_.reset();  // What it holds lives no longer than it has to.
    std::move(work)(std::move(bytes), UnaryResponder(state_));
  }

  void OnHalfClose() override {
    if (!work_.has_value()) return;
    state_->call().Finish(ErrorWithReason(absl::StatusCode::kInvalidArgument,
                                          reason::kInvalidRequest,
                                          "the call has no request: send one message"));
  }

  Message NextMessage() override {
    Message message = state_->Take();
    if (message != nullptr) state_->call().Finish(absl::OkStatus());
    return message;
  }

  void OnEnd(CallEnd) override { state_->Cancel(); }

 private:
  const std::shared_ptr<UnaryState> state_;
  absl::optional<UnaryWork> work_;  // until the request has come
};

}  // namespace

UnaryResponder::UnaryResponder(std::shared_ptr<UnaryState> state) : state_(std::move(state)) {}

UnaryResponder::~UnaryResponder() {
  if (state_ != nullptr) state_->Respond(absl::InternalError("the call was not answered"));
}

void UnaryResponder::Respond(absl::StatusOr<std::string> response) {
  std::exchange(state_, nullptr)->Respond(std::move(response));
}

bool UnaryResponder::cancelled() const { return state_->cancelled(); }

HandlerFactory UnaryMethod(std::function<absl::StatusOr<UnaryWork>(const CallInfo& info)> begin) {
  return [begin = std::move(begin)](
             std::shared_ptr<Call> call,
             const CallInfo& info) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
    ASSIGN_OR_RETURN(UnaryWork work, begin(info));
    return std::make_shared<UnaryHandler>(std::move(call), std::move(work));
  };
}

absl::Status ParseRequest(absl::string_view bytes, google::protobuf::Message& message) {
  // A field has two bytes at least: what is shorter than that need not be counted.
  absl::optional<size_t> fields = 0;
  if (bytes.size() > 2 * kMaxRequestFields) {
    fields = CountFields(bytes, *message.GetDescriptor(), kMaxRequestFields);
  }
  if (fields.value_or(0) > kMaxRequestFields) {
    return ErrorWithReason(
        absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
        absl::StrCat("the request has more than ", kMaxRequestFields,
                     " fields, including those of nested messages: ask for less at once"));
  }
  if (fields.has_value() && message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    message.DiscardUnknownFields();  // Nobody looks at them, and the request may be kept for long.
    return absl::OkStatus();
  }
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                         "the request is not a message of the method's type");
}

}  // namespace hookgate
