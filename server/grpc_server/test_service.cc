#include "server/grpc_server/test_service.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/test_service.pb.h"

namespace hookgate {
namespace {

using TestMessage = test::Message;

Message Serialise(const TestMessage& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

absl::StatusOr<TestMessage> Parse(const std::string& bytes) {
  TestMessage message;
  RETURN_IF_ERROR(ParseRequest(bytes, message));
  return message;
}

// All messages of a call are the same one: what is shared is written once.
class RepeatHandler final : public CallHandler {
 public:
  RepeatHandler(std::shared_ptr<Call> call, TestService& service)
      : call_(std::move(call)), service_(service) {
    call_->ReadNext();
  }

  void OnMessage(std::string bytes) override {
    const absl::StatusOr<TestMessage> request = Parse(bytes);
    if (!request.ok()) return call_->Finish(request.status());
    left_ = request->count();
    TestMessage answer;
    answer.set_text(request->text());
    message_ = Serialise(answer);
    if (left_ == 0) return call_->Finish(absl::OkStatus());
    if (left_ > 0) call_->Wake();  // Below: it stays open, and idle.
  }
  Message NextMessage() override {
    if (left_ <= 0) return nullptr;
    service_.NoteMessage();
    if (--left_ == 0) call_->Finish(absl::OkStatus());
    return message_;
  }
  void OnGoAway() override {
    service_.NoteGoAway();
    call_->Finish(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining, "old"));
  }
  void OnEnd(CallEnd end) override { service_.NoteEnd("Repeat", end); }

 private:
  const std::shared_ptr<Call> call_;
  TestService& service_;
  int left_ = 0;
  Message message_;
};

// Reads the next message when the answer to the one before is on its way.
class ChatHandler final : public CallHandler {
 public:
  ChatHandler(std::shared_ptr<Call> call, TestService& service)
      : call_(std::move(call)), service_(service) {
    call_->ReadNext();
  }

  void OnMessage(std::string bytes) override {
    const absl::StatusOr<TestMessage> message = Parse(bytes);
    if (!message.ok()) return call_->Finish(message.status());
    if (message->text() == "enough") return call_->Finish(absl::OkStatus());
    answer_ = Serialise(*message);
    call_->Wake();
  }
  void OnHalfClose() override {
    half_closed_ = true;
    if (answer_ == nullptr) call_->Finish(absl::OkStatus());
  }
  Message NextMessage() override {
    Message answer = std::exchange(answer_, nullptr);
    if (answer == nullptr) return answer;
    if (half_closed_) {
      call_->Finish(absl::OkStatus());
    } else {
      call_->ReadNext();
    }
    return answer;
  }
  void OnEnd(CallEnd end) override { service_.NoteEnd("Chat", end); }

 private:
  const std::shared_ptr<Call> call_;
  TestService& service_;
  Message answer_;
  bool half_closed_ = false;
};

// Answers of calls that hold on until they are cancelled.
void Hold(Executor& executor, std::shared_ptr<UnaryResponder> responder) {
  if (responder->cancelled()) return;
  executor.Post([&executor, responder = std::move(responder)] { Hold(executor, responder); });
}

}  // namespace

TestService::TestService(Answers answers)
    : answers_(answers),
      executor_(1),
      table_([this](const CallInfo& info) { return Admit(info); }) {
  const auto& service = *TestMessage::descriptor()->file()->FindServiceByName("TestService");
  table_.AddService(
      service, {{"Echo", {UnaryMethod([this](const CallInfo& info) { return BeginEcho(info); })}},
                {"Repeat",
                 {[this](std::shared_ptr<Call> call,
                         const CallInfo&) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
                   return std::make_shared<RepeatHandler>(std::move(call), *this);
                 }}},
                {"Chat",
                 {[this](std::shared_ptr<Call> call,
                         const CallInfo&) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
                   return std::make_shared<ChatHandler>(std::move(call), *this);
                 }}}});
}

TestService::~TestService() = default;

Admission TestService::Admit(const CallInfo& info) const {
  const auto token = info.metadata.First("authorization");
  if (token == absl::string_view("Bearer wrong")) {
    return {ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                            "the token is no principal's")};
  }
  return {absl::OkStatus(), token.has_value()};
}

absl::StatusOr<UnaryWork> TestService::BeginEcho(const CallInfo& info) {
  // What the request may ask for is known only now.
  std::vector<std::string> names;
  for (const CertificateName& name : info.certificate_names) names.push_back(name.ToString());
  return UnaryWork(
      [this, metadata = info.metadata, names = std::move(names),
       has_deadline = info.deadline.has_value()](std::string bytes, UnaryResponder responder) {
        const absl::StatusOr<TestMessage> request = Parse(bytes);
        if (!request.ok()) return responder.Respond(request.status());
        absl::string_view text = request->text();
        TestMessage answer = *request;
        int64_t size = 0;
        if (text == "error") return responder.Respond(InvalidField("text", "is \"error\""));
        const bool at_once = answers_ == Answers::kAtOnce;
        if (text == "drop" || (text == "hold" && at_once)) return;
        if (text == "hold") {
          return Hold(executor_, std::make_shared<UnaryResponder>(std::move(responder)));
        }
        if (absl::ConsumePrefix(&text, "metadata ")) {
          answer.set_text(absl::StrJoin(metadata.All(text), "|"));
        } else if (text == "certificate") {
          answer.set_text(absl::StrJoin(names, "|"));
        } else if (text == "deadline") {
          answer.set_text(has_deadline ? "yes" : "no");
        } else if (absl::ConsumePrefix(&text, "large ") && absl::SimpleAtoi(text, &size)) {
          answer.set_text(std::string(static_cast<size_t>(size), 'x'));
        }
        if (at_once) return responder.Respond(answer.SerializeAsString());
        executor_.Post(
            [answer = answer.SerializeAsString(), responder = std::move(responder)]() mutable {
              responder.Respond(std::move(answer));
            });
      });
}

int TestService::ended(absl::string_view method, CallEnd end) const {
  absl::MutexLock lock(&mu_);
  const auto found = ends_.find({std::string(method), end});
  return found == ends_.end() ? 0 : found->second;
}

void TestService::AwaitEnd(absl::string_view method, CallEnd end, int count) {
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto found = ends_.find({std::string(method), end});
    return found != ends_.end() && found->second >= count;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&reached));
}

void TestService::AwaitAnswers() {
  absl::Notification done;
  executor_.Post([&done] { done.Notify(); });
  done.WaitForNotification();
}

int TestService::go_aways() const {
  absl::MutexLock lock(&mu_);
  return go_aways_;
}

int TestService::messages() const {
  absl::MutexLock lock(&mu_);
  return messages_;
}

void TestService::NoteEnd(const std::string& method, CallEnd end) {
  absl::MutexLock lock(&mu_);
  ++ends_[{method, end}];
}

void TestService::NoteGoAway() {
  absl::MutexLock lock(&mu_);
  ++go_aways_;
}

void TestService::NoteMessage() {
  absl::MutexLock lock(&mu_);
  ++messages_;
}

}  // namespace hookgate
