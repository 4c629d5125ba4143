#include "tests/interop/interop_service.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/unary_method.h"
#include "tests/interop/test.pb.h"

namespace hookgate {

namespace pb = ::grpc::testing;

// Wakes calls later, on a thread of its own.
class DelayedWakes {
 public:
  DelayedWakes() : thread_([this] { Run(); }) {}
  ~DelayedWakes() {
    {
      absl::MutexLock lock(&mu_);
      stopped_ = true;
    }
    thread_.join();
  }

  void Add(absl::Duration delay, const std::shared_ptr<Call>& call) {
    absl::MutexLock lock(&mu_);
    waiting_.emplace(absl::Now() + delay, call);
  }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (!stopped_) {
      // Until it is time for the first, or another may be the first.
      const absl::Time next = waiting_.empty() ? absl::InfiniteFuture() : waiting_.begin()->first;
      const auto changed = [this, next]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return stopped_ || (!waiting_.empty() && waiting_.begin()->first < next);
      };
      mu_.AwaitWithDeadline(absl::Condition(&changed), next);
      while (!waiting_.empty() && waiting_.begin()->first <= absl::Now()) {
        const std::shared_ptr<Call> call = waiting_.begin()->second.lock();
        waiting_.erase(waiting_.begin());
        if (call != nullptr) call->Wake();
      }
    }
  }

  absl::Mutex mu_;
  std::multimap<absl::Time, std::weak_ptr<Call>> waiting_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

namespace {

// Of one response's payload, and of the responses that a call owes.
constexpr int kMaxPayloadBytes = 16 << 20;
constexpr size_t kMaxResponses = 10'000;

constexpr char kInitialName[] = "x-grpc-test-echo-initial";
constexpr char kTrailingName[] = "x-grpc-test-echo-trailing-bin";

absl::Status StatusOf(const pb::EchoStatus& echo) {
  return absl::Status(static_cast<absl::StatusCode>(echo.code()), echo.message());
}

absl::Status FillPayload(int size, pb::Payload& payload) {
  if (size < 0 || size > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a payload has 0 to ", kMaxPayloadBytes, " bytes, not ", size));
  }
  payload.set_body(std::string(static_cast<size_t>(size), '\0'));
  return absl::OkStatus();
}

Message Serialise(const google::protobuf::MessageLite& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

absl::StatusOr<pb::SimpleResponse> Answer(const pb::SimpleRequest& request) {
  if (request.response_status().code() != 0) return StatusOf(request.response_status());
  pb::SimpleResponse response;
  RETURN_IF_ERROR(FillPayload(request.response_size(), *response.mutable_payload()));
  if (request.fill_server_id()) response.set_server_id("interop_server");
  return response;
}

template <typename Request, typename Response>
HandlerFactory UnaryFunction(absl::StatusOr<Response> (*function)(const Request& request)) {
  return TypedUnaryMethod<Request, Response>(
      [function](const CallInfo&) -> absl::StatusOr<TypedUnaryWork<Request, Response>> {
        return [function](const Request& request, TypedResponder<Response> responder) {
          responder.Respond(function(request));
        };
      });
}

// Counts what comes.
class InputHandler final : public CallHandler {
 public:
  explicit InputHandler(std::shared_ptr<Call> call) : call_(std::move(call)) { call_->ReadNext(); }

  void OnMessage(std::string bytes) override {
    pb::StreamingInputCallRequest request;
    const absl::Status parsed = ParseRequest(bytes, request);
    if (!parsed.ok()) return call_->Finish(parsed);
    total_ += static_cast<int32_t>(request.payload().body().size());
    call_->ReadNext();
  }
  void OnHalfClose() override {
    pb::StreamingInputCallResponse response;
    response.set_aggregated_payload_size(total_);
    response_ = Serialise(response);
    call_->Wake();
  }
  Message NextMessage() override {
    if (response_ != nullptr) call_->Finish(absl::OkStatus());
    return std::exchange(response_, nullptr);
  }
  void OnEnd(CallEnd) override {}

 private:
  const std::shared_ptr<Call> call_;
  int32_t total_ = 0;
  Message response_;  // once the client has closed its side
};

// Sends the responses that requests ask for.
class OutputHandler final : public CallHandler {
 public:
  enum class When { kAtOnce, kAfterHalfClose };

  OutputHandler(std::shared_ptr<Call> call, DelayedWakes& wakes, When when)
      : call_(std::move(call)), wakes_(wakes), when_(when) {
    call_->ReadNext();
  }

  void OnMessage(std::string bytes) override {
    pb::StreamingOutputCallRequest request;
    const absl::Status parsed = ParseRequest(bytes, request);
    if (!parsed.ok()) return call_->Finish(parsed);
    if (request.response_status().code() != 0) {
      return call_->Finish(StatusOf(request.response_status()));
    }
    for (const pb::ResponseParameters& response : request.response_parameters()) {
      owed_.push_back(response);
    }
    if (owed_.size() > kMaxResponses) {
      return call_->Finish(absl::ResourceExhaustedError("too many responses at once"));
    }
    if (when_ == When::kAfterHalfClose) return call_->ReadNext();
    SendNext();
  }
  void OnHalfClose() override {
    half_closed_ = true;
    SendNext();
  }
  Message NextMessage() override {
    if (owed_.empty() || !may_send() || absl::Now() < due_) return nullptr;
    pb::StreamingOutputCallResponse response;
    const absl::Status filled = FillPayload(owed_.front().size(), *response.mutable_payload());
    owed_.pop_front();
    if (!filled.ok()) {
      call_->Finish(filled);
      return nullptr;
    }
    due_ = absl::InfiniteFuture();  // of the next: see SendNext
    SendNext();
    return Serialise(response);
  }
  void OnEnd(CallEnd) override {}

 private:
  bool may_send() const { return half_closed_ || when_ == When::kAtOnce; }

  // Sees to the first response that is owed, or to what follows the last one.
  void SendNext() {
    if (!may_send()) return;
    if (owed_.empty()) {
      due_ = absl::InfiniteFuture();
      if (half_closed_) {
        call_->Finish(absl::OkStatus());
      } else {
        call_->ReadNext();
      }
      return;
    }
    if (due_ != absl::InfiniteFuture()) return;  // It has been seen to.
    const auto delay = absl::Microseconds(owed_.front().interval_us());
    due_ = absl::Now() + delay;
    if (delay > absl::ZeroDuration()) {
      wakes_.Add(delay, call_);
    } else {
      call_->Wake();
    }
  }

  const std::shared_ptr<Call> call_;
  DelayedWakes& wakes_;
  const When when_;
  std::deque<pb::ResponseParameters> owed_;
  absl::Time due_ = absl::InfiniteFuture();  // when the first of owed_ goes out, once that is known
  bool half_closed_ = false;
};

// The call's metadata comes back, whatever the method is.
Method Echoing(HandlerFactory factory) {
  return {[factory = std::move(factory)](std::shared_ptr<Call> call, const CallInfo& info) {
    for (const absl::string_view value : info.metadata.All(kInitialName)) {
      call->AddInitialMetadata(kInitialName, value);
    }
    for (const absl::string_view value : info.metadata.All(kTrailingName)) {
      call->AddTrailingMetadata(kTrailingName, value);
    }
    return factory(std::move(call), info);
  }};
}

Method OutputMethod(DelayedWakes& wakes, OutputHandler::When when) {
  return Echoing([&wakes, when](std::shared_ptr<Call> call,
                                const CallInfo&) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
    return std::make_shared<OutputHandler>(std::move(call), wakes, when);
  });
}

Method InputMethod() {
  return Echoing([](std::shared_ptr<Call> call,
                    const CallInfo&) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
    return std::make_shared<InputHandler>(std::move(call));
  });
}

}  // namespace

InteropService::InteropService()
    : wakes_(std::make_unique<DelayedWakes>()), table_([](const CallInfo&) {
        return Admission{absl::OkStatus(), true};
      }) {
  table_.AddService(
      *pb::Empty::descriptor()->file()->FindServiceByName("TestService"),
      {
          {"EmptyCall",
           Echoing(UnaryFunction<pb::Empty, pb::Empty>(
               [](const pb::Empty& request) -> absl::StatusOr<pb::Empty> { return request; }))},
          {"UnaryCall", Echoing(UnaryFunction<pb::SimpleRequest, pb::SimpleResponse>(Answer))},
          {"StreamingOutputCall", OutputMethod(*wakes_, OutputHandler::When::kAtOnce)},
          {"StreamingInputCall", InputMethod()},
          {"FullDuplexCall", OutputMethod(*wakes_, OutputHandler::When::kAtOnce)},
          {"HalfDuplexCall", OutputMethod(*wakes_, OutputHandler::When::kAfterHalfClose)},
      });
}

InteropService::~InteropService() = default;

}  // namespace hookgate
