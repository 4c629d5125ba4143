// Calls that a follower hands on, with the test as their client and as the leader.
#include "server/cluster/call_forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/v1/admin_service.pb.h"
#include "hookgate/v1/event_service.pb.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/access/certificate_name.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_peer_connection.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kConsume[] = "/hookgate.v1.SubscriptionService/Consume";
constexpr char kGetSubscription[] = "/hookgate.v1.SubscriptionService/GetSubscription";
constexpr size_t kMostHeld = 1000;

// All that is served to clients, by nobody.
MethodTable AllMethods() {
  MethodTable table([](const CallInfo&) { return Admission{absl::OkStatus(), true}; });
  for (const auto* const descriptor :
       {v1::SubscribeRequest::descriptor(), v1::ConsumeRequest::descriptor(),
        v1::GetStatusRequest::descriptor()}) {
    const google::protobuf::ServiceDescriptor& service = *descriptor->file()->service(0);
    std::map<std::string, Method> methods;
    for (int i = 0; i < service.method_count(); ++i) {
      methods[service.method(i)->name()] = {
          [](const std::shared_ptr<Call>&,
             const CallInfo&) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
            return absl::InternalError("not handed on");
          }};
    }
    table.AddService(service, std::move(methods));
  }
  return table;
}

// One call of a client.
struct Forwarded {
  std::shared_ptr<FakeCall> client;
  std::shared_ptr<CallHandler> handler;  // null: it is not handed on
  std::shared_ptr<FakePeerCall> leader;
};

class CallForwarderTest : public testing::Test {
 protected:
  CallForwarderTest() { route_.Set({.leader = &connection_, .leader_address = "gate-b:50051"}); }

  Forwarded HandOn(const std::string& method, absl::optional<absl::Duration> deadline = {}) {
    const std::vector<CertificateName> names = {{CertificateName::Kind::kDns, "worker"}};
    CallInfo info = {.method = method,
                     .peer = "ipv4:192.0.2.1:7",
                     .certificate_names = names,
                     .metadata = {},
                     .deadline = deadline};
    EXPECT_TRUE(info.metadata.AddFromWire("authorization", "Bearer right"));
    Forwarded call = {
        .client = std::make_shared<FakeCall>(), .handler = nullptr, .leader = nullptr};
    const size_t before = connection_.calls();
    call.handler = forwarder_.Divert(*methods_.Find(method), call.client, info);
    if (call.handler == nullptr) {
      EXPECT_EQ(connection_.calls(), before);
    } else {
      call.leader = connection_.AwaitCall(before + 1);
    }
    return call;
  }

  const MethodTable methods_ = AllMethods();
  FakeClock clock_;
  FakeLeaderRoute route_;
  FakePeerConnection connection_;
  CallForwarder forwarder_{route_, clock_, kMostHeld};
};

// What every replica holds, it answers itself.
TEST_F(CallForwarderTest, OnlyWhatALeaderDecidesIsHandedOn) {
  std::vector<std::string> elsewhere;
  methods_.ForEach([&](const MethodTable::Entry& method) {
    if (HandOn("/" + method.name).handler == nullptr) return;
    if (!absl::StartsWith(method.name, "hookgate.v1.SubscriptionService/")) {
      elsewhere.push_back(method.name);
    }
  });
  EXPECT_THAT(elsewhere,
              testing::UnorderedElementsAre("hookgate.v1.EventService/ExplainEvent",
                                            "hookgate.v1.AdminService/RetryQuarantined",
                                            "hookgate.v1.AdminService/DiscardQuarantined",
                                            "hookgate.v1.AdminService/DiscardConflicts"));
  EXPECT_EQ(HandOn("/hookgate.v1.EventService/Subscribe").handler, nullptr);
  EXPECT_NE(HandOn(kConsume).handler, nullptr);
}

TEST_F(CallForwarderTest, NothingIsHandedOnByALeaderOrWithoutOne) {
  route_.Set({.here = true});
  EXPECT_EQ(HandOn(kConsume).handler, nullptr);
  route_.Set({});
  EXPECT_EQ(HandOn(kGetSubscription).handler, nullptr);
}

TEST_F(CallForwarderTest, TheLeaderIsToldOfTheCallerAndItsDeadline) {
  const Forwarded call = HandOn(kGetSubscription, clock_.MonotonicNow() + absl::Seconds(5));
  EXPECT_EQ(call.leader->method, kGetSubscription);
  EXPECT_EQ(call.leader->timeout, absl::Seconds(5));
  EXPECT_THAT(call.leader->metadata,
              testing::UnorderedElementsAre(Pair("hookgate-caller-peer", "ipv4:192.0.2.1:7"),
                                            Pair("hookgate-caller-authorization", "Bearer right"),
                                            Pair("hookgate-caller-name-bin", testing::_)));
  EXPECT_EQ(HandOn(kGetSubscription).leader->timeout, absl::InfiniteDuration());
}

TEST_F(CallForwarderTest, AUnaryCallIsAnsweredAsTheLeaderDoes) {
  const Forwarded call = HandOn(kGetSubscription);
  ASSERT_TRUE(call.client->TakeRead());
  call.handler->OnMessage("request");
  EXPECT_THAT(call.leader->written(), ElementsAre("request"));
  EXPECT_TRUE(call.leader->writes_ended());
  ASSERT_TRUE(call.leader->Say("answer"));
  EXPECT_EQ(*call.client->Next(*call.handler), "answer");
  call.leader->End(absl::OkStatus());
  EXPECT_EQ(call.handler->NextMessage(), nullptr);
  EXPECT_EQ(call.client->status(), absl::OkStatus());

  const Forwarded refused = HandOn(kGetSubscription);
  const absl::Status error =
      ErrorWithReason(absl::StatusCode::kNotFound, reason::kSubscriptionNotFound, "there is none");
  refused.leader->End(error);
  EXPECT_EQ(refused.client->Next(*refused.handler), nullptr);
  EXPECT_EQ(refused.client->status(), error);
}

// So that a side that does not read holds the other one up, and nothing is heaped up between them.
TEST_F(CallForwarderTest, OneMessageEachWayIsUnderWay) {
  const Forwarded call = HandOn(kConsume);
  ASSERT_TRUE(call.client->TakeRead());
  call.handler->OnMessage("open");
  EXPECT_FALSE(call.client->TakeRead()) << "the leader has not taken it";
  call.leader->SayWritten();
  EXPECT_TRUE(call.client->TakeRead());

  ASSERT_TRUE(call.leader->Say(""));
  EXPECT_FALSE(call.leader->Say("second")) << "the client has not taken the first one";
  // The first one is Opened: behind it stands where the leader is.
  v1::ConsumeResponse first;
  ASSERT_TRUE(first.ParseFromString(*call.client->Next(*call.handler)));
  EXPECT_EQ(first.opened().leader_address(), "gate-b:50051");
  ASSERT_TRUE(call.leader->Say("second"));
  EXPECT_EQ(*call.client->Next(*call.handler), "second");

  call.handler->OnMessage("ack");
  call.handler->OnHalfClose();
  EXPECT_FALSE(call.leader->writes_ended()) << "the ack is on its way";
  call.leader->SayWritten();
  EXPECT_TRUE(call.leader->writes_ended());
}

// A leader that is reached no more is told as what it means: call again.
TEST_F(CallForwarderTest, AStreamEndsWithItsLeader) {
  const Forwarded call = HandOn(kConsume);
  call.leader->End(absl::UnavailableError("the connection is closed"));
  EXPECT_EQ(call.client->Next(*call.handler), nullptr);
  EXPECT_EQ(ReasonOf(call.client->AwaitStatus()), reason::kNoLeader);
}

TEST_F(CallForwarderTest, ACallThatItsClientEndsIsEndedAtTheLeader) {
  const Forwarded call = HandOn(kConsume);
  call.handler->OnEnd(CallEnd::kCancelled);
  EXPECT_TRUE(call.leader->cancelled());
  // What comes from there is for nobody.
  call.handler->OnMessage("late");
  EXPECT_THAT(call.leader->written(), IsEmpty());
  call.leader->End(absl::CancelledError("as asked"));
}

TEST_F(CallForwarderTest, AReplicaThatEndsEndsWhatItHandsOn) {
  const Forwarded stream = HandOn(kConsume);
  const Forwarded unary = HandOn(kGetSubscription);
  forwarder_.EndAll();
  for (const Forwarded& call : {stream, unary}) {
    EXPECT_EQ(ReasonOf(call.client->AwaitStatus()), reason::kDraining);
    EXPECT_TRUE(call.leader->cancelled());
  }
}

TEST_F(CallForwarderTest, AConnectionThatIsTooOldEndsStreamsAlone) {
  const Forwarded stream = HandOn(kConsume);
  const Forwarded unary = HandOn(kGetSubscription);
  stream.handler->OnGoAway();
  unary.handler->OnGoAway();
  EXPECT_EQ(ReasonOf(stream.client->AwaitStatus()), reason::kDraining);
  EXPECT_FALSE(unary.client->status().has_value());
}

// Clients that ask for much and take nothing, and a leader that takes nothing, cost a follower so
// much memory and no more.
TEST_F(CallForwarderTest, WhatIsHeldForAllCallsTogetherIsBounded) {
  std::vector<Forwarded> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(HandOn(kConsume));
    held.back().handler->OnMessage(std::string(300, 'x'));  // the leader does not take it
  }
  held.push_back(HandOn(kConsume));
  ASSERT_TRUE(held.back().leader->Say(std::string(400, 'y')));  // the client does not take it

  const Forwarded request = HandOn(kConsume);
  request.handler->OnMessage("z");
  EXPECT_EQ(ReasonOf(request.client->AwaitStatus()), reason::kTooManyAnswers);
  EXPECT_TRUE(absl::IsResourceExhausted(request.client->AwaitStatus()));
  EXPECT_TRUE(request.leader->cancelled());
  EXPECT_THAT(request.leader->written(), IsEmpty());
  const Forwarded answer = HandOn(kGetSubscription);
  ASSERT_TRUE(answer.leader->Say("z"));
  EXPECT_EQ(ReasonOf(answer.client->AwaitStatus()), reason::kTooManyAnswers);
  EXPECT_TRUE(answer.leader->cancelled());
  for (const Forwarded& call : held) EXPECT_FALSE(call.client->status().has_value());
}

TEST_F(CallForwarderTest, WhatIsTakenOrGivenUpIsHeldNoMore) {
  const auto expect_room_for = [this](size_t bytes) {
    Forwarded probe = HandOn(kConsume);
    probe.handler->OnMessage(std::string(bytes, 'p'));
    EXPECT_FALSE(probe.client->status().has_value()) << bytes;
    probe.leader->SayWritten();
    Forwarded more = HandOn(kConsume);
    more.handler->OnMessage(std::string(bytes + 1, 'p'));
    EXPECT_TRUE(more.client->status().has_value()) << bytes + 1;
    for (const Forwarded& call : {probe, more}) {
      call.handler->OnEnd(CallEnd::kFinished);
      call.leader->End(absl::CancelledError("as asked"));
    }
  };
  expect_room_for(kMostHeld);
  Forwarded call = HandOn(kConsume);
  call.handler->OnMessage(std::string(600, 'x'));
  expect_room_for(kMostHeld - 600);
  call.leader->SayWritten();
  expect_room_for(kMostHeld);
  ASSERT_TRUE(call.leader->Say(std::string(700, 'y')));
  expect_room_for(kMostHeld - 700);
  Message taken = call.client->Next(*call.handler);
  expect_room_for(kMostHeld - 700);  // It is on its way to the client, which may not read.
  taken.reset();
  expect_room_for(kMostHeld);
  // A call that ends takes with it what it held, both ways.
  call.handler->OnMessage(std::string(500, 'x'));
  ASSERT_TRUE(call.leader->Say(std::string(400, 'y')));
  expect_room_for(kMostHeld - 900);
  call.handler->OnEnd(CallEnd::kConnectionLost);
  call.leader->End(absl::CancelledError("as asked"));
  call = {};
  expect_room_for(kMostHeld);
}

}  // namespace
}  // namespace hookgate
