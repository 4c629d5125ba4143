// Each limit of `grpc.limits`, lowered, and a peer that exceeds it: what it does is refused by the
// limit's name, while honest peers are served. That honest ones bear the limits as they are is
// honest_test.cc's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/hostile/siege.h"
#include "tests/support/http2_frames.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using Next = Attack::Next;

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kListEvents[] = "/hookgate.v1.EventService/ListEvents";
constexpr char kSubscribe[] = "/hookgate.v1.EventService/Subscribe";
constexpr absl::Duration kPatience = absl::Seconds(30);

struct Case {
  std::string name;
  std::string grpc;  // of the config
  Attack attack;
  bool tls = false;
  // Its connections end by GOAWAY without an error, and nothing is refused.
  bool gracefully = false;
  // What is used up is everybody's.
  bool crowds_out = false;
};

void PrintTo(const Case& a_case, std::ostream* out) { *out << a_case.grpc; }

std::function<Next(RawPeer&, int64_t)> Once(std::string bytes) {
  return [bytes = std::move(bytes)](RawPeer& peer, int64_t step) {
    if (step == 0) peer.Send(bytes);
    return step == 0 ? Next::kMore : Next::kRest;
  };
}

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string Calls(const std::string& path, int count, const http2::Fields& fields = {},
                  absl::string_view message = "") {
  std::string calls;
  for (int i = 0; i < count; ++i) {
    const auto stream = static_cast<uint32_t>(1 + 2 * i);
    absl::StrAppend(&calls, http2::CallHeader(stream, path, fields),
                    http2::LastMessage(stream, message));
  }
  return calls;
}

// The beginning of a message of `announced` bytes, on each of `calls` calls.
std::string Begun(const std::string& path, const http2::Fields& fields, uint32_t announced,
                  size_t sent, int calls = 1) {
  std::string bytes;
  for (int i = 0; i < calls; ++i) {
    const auto stream = static_cast<uint32_t>(1 + 2 * i);
    absl::StrAppend(&bytes, http2::CallHeader(stream, path, fields),
                    http2::Frame(http2::kData, 0, stream,
                                 http2::MessagePrefix(announced) + std::string(sent, 'x')));
  }
  return bytes;
}

// Attacks until `seen`; whether that came.
bool AttackUntil(Attackers& attackers, absl::FunctionRef<bool()> seen) {
  const absl::Time latest = absl::Now() + kPatience;
  bool is_seen = false;
  attackers.Run([&] {
    is_seen = seen();
    return !is_seen && absl::Now() < latest;
  });
  return is_seen;
}

class LimitTest : public SiegeTest, public testing::WithParamInterface<Case> {
 public:
  static std::vector<Case> Cases() {
    const std::string opening = http2::Preface();
    const http2::Fields identity = {{"authorization", "Bearer " + Token()}};
    const std::string slow_header = http2::Frame(http2::kHeaders, 0, 1, http2::CallBlock(kCheck));
    std::vector<Case> cases;
    const auto add = [&](std::string name, std::string grpc, Attack attack) {
      attack.name = name;
      cases.push_back({std::move(name), std::move(grpc), std::move(attack)});
    };
    add("Connections", "limits { max_connections: 20 }",
        {.connections = 40, .send = Once(opening), .refused_as = "too_many_connections"});
    add("ConnectionsPerAddress", "limits { max_connections_per_address: 8 }",
        {.connections = 20, .send = Once(opening), .refused_as = "too_many_connections"});
    add("UnidentifiedConnections", "limits { max_unidentified_connections: 8 }",
        {.connections = 20, .send = Once(opening), .refused_as = "too_many_connections"});
    add("CallsPerUnidentifiedConnection", "limits { max_calls_per_unidentified_connection: 4 }",
        {.send = Once(opening + Calls(kWatch, 50)), .refused_as = "too_many_calls"});
    add("Calls", "max_streams: 10 limits { max_calls: 15 }",
        {.send = Once(opening + Calls(kWatch, 40)), .refused_as = "too_many_calls"});
    cases.back().crowds_out = true;
    add("HeaderList", "limits { max_header_list_bytes: 4096 }",
        {.send = Once(opening + Calls(kCheck, 1, {{"x", std::string(4'200, 'x')}})),
         .refused_as = "call_headers_too_large"});
    add("HeaderListByFar", "limits { max_header_list_bytes: 4096 }",
        {.send = Once(opening + Calls(kCheck, 1,
                                      {{"x", std::string(8'000, 'x')},
                                       {"y", std::string(7'000, 'x')},
                                       {"z", std::string(1'000, 'x')}})),
         .refused_as = "headers_too_large"});
    add("Message", "limits { max_message_bytes: 65536 }",
        {.send = Once(opening + Begun(kListEvents, identity, 65'537, 0)),
         .refused_as = "message_too_large"});
    add("InboundOfAConnection",
        "limits { max_message_bytes: 65536 max_inbound_bytes_per_connection: 65536 }",
        {.send = Once(opening + Begun(kListEvents, identity, 60'000, 16'000, 4) +
                      http2::Frame(http2::kData, 0, 1, std::string(1'600, 'x'))),
         .refused_as = "too_many_inbound_bytes"});
    add("InboundOfAll",
        "limits { max_message_bytes: 65536 max_inbound_bytes_per_connection: 65536 "
        "max_inbound_bytes: 65536 }",
        {.connections = 8,
         .send = Once(opening + Begun(kListEvents, identity, 60'000, 16'000, 3)),
         .refused_as = "too_many_inbound_bytes"});
    add("Outbound", "limits { max_outbound_bytes_per_connection: 1048576 }",
        {.send = Once(http2::Preface({{http2::kInitialWindowSize, 0}}) +
                      Calls(kListEvents, 50, identity, "\x20\x64\x30\x01")),
         .refused_as = "too_many_outbound_bytes"});
    add("EmptyFrames", "limits { empty_frames_burst: 100 empty_frames_per_second: 10 }",
        {.send = Once(opening + Repeated(http2::Ping(), 200)),
         .refused_as = "too_many_empty_frames"});
    add("Resets", "limits { resets_burst: 20 resets_per_second: 1 }",
        {.send =
             [](RawPeer& peer, int64_t step) {
               const auto stream = static_cast<uint32_t>(1 + 2 * step);
               if (step == 0) peer.Send(http2::Preface());
               peer.Send(http2::CallHeader(stream, kCheck) + http2::RstStream(stream));
               return step < 40 ? Next::kMore : Next::kRest;
             },
         .refused_as = "too_many_resets"});
    add("Handshake", "limits { handshake_timeout { nanos: 300000000 } }",
        {.send = Once(""), .refused_as = "handshake_timeout"});
    add("TlsHandshake", "limits { handshake_timeout { nanos: 300000000 } }",
        {.send = Once("\x16\x03\x01"), .speaks_tls = false, .refused_as = "handshake_timeout"});
    cases.back().tls = true;
    // Handshakes cost the gateway more than the peer.
    add("TlsHandshakes", "limits { max_handshakes_per_second_per_address: 50 }",
        {.connections = 50,
         .send =
             [](RawPeer& peer, int64_t) {
               peer.Send("x");
               return Next::kClose;
             },
         .refused_as = "too_many_handshakes"});
    cases.back().tls = true;
    add("NoTls", "",
        {.send = Once(opening), .speaks_tls = false, .refused_as = "handshake_failed"});
    cases.back().tls = true;
    add("NoHttp2", "", {.send = Once("GET / HTTP/1.1\r\n\r\n"), .refused_as = "not_http2"});
    add("Header", "limits { header_timeout { nanos: 300000000 } }",
        {.send =
             [opening, slow_header](RawPeer& peer, int64_t step) {
               const auto at = static_cast<size_t>(step);
               peer.Send(step == 0 ? opening : slow_header.substr(at - 1, 1));
               return at < slow_header.size() ? Next::kMore : Next::kRest;
             },
         .pause = absl::Milliseconds(50),
         .refused_as = "header_timeout"});
    add("MessageTime", "limits { message_timeout { nanos: 300000000 } }",
        {.send = Once(opening + Begun(kListEvents, identity, 1'000, 10)),
         .refused_as = "message_timeout"});
    add("Write", "limits { write_timeout { nanos: 300000000 } }",
        {.send = Once(http2::Preface({{http2::kInitialWindowSize, http2::kLargestWindow}}) +
                      http2::WindowUpdate(0, http2::kLargestWindow - 65'535) +
                      Calls(kSubscribe, 100, identity, "\x20\x01\x38\x01")),
         .reads = false,
         .receive_buffer = 4'096,
         .refused_as = "write_timeout"});
    add("WriteOfACall", "limits { write_timeout { nanos: 300000000 } }",
        {.send = Once(http2::Preface({{http2::kInitialWindowSize, 1}}) +
                      Calls(kListEvents, 1, identity, "\x20\x64")),
         .refused_as = "write_timeout"});
    add("Keepalive",
        "limits { keepalive_interval { nanos: 300000000 } keepalive_timeout { nanos: 300000000 } }",
        {.send = Once(opening + Calls(kWatch, 1)), .refused_as = "keepalive_timeout"});
    add("Idle", "limits { unidentified_idle_timeout { nanos: 300000000 } }",
        {.send = Once(opening), .comes_again = false});
    cases.back().gracefully = true;
    add("IdleButKnown", "limits { idle_timeout { nanos: 300000000 } }",
        {.send = Once(opening + Calls(kListEvents, 1, identity, "\x20\x01")),
         .comes_again = false});
    cases.back().gracefully = true;
    return cases;
  }
};

TEST_P(LimitTest, IsNotExceeded) {
  const Case& exceeded = GetParam();
  StartSiege(exceeded.tls, exceeded.grpc);
  if (HasFatalFailure()) return;
  {
    Attackers attackers(exceeded.attack, TargetOf(exceeded.attack));
    EXPECT_TRUE(AttackUntil(attackers, [&] {
      return exceeded.gracefully ? attackers.tally().ended > 0 : IsRefused(exceeded.attack);
    })) << gateway_->log();
    // Peers that do nothing of the kind are served.
    if (!exceeded.crowds_out) {
      EXPECT_EQ(bystanders().Take().complaints, std::vector<std::string>());
      EXPECT_TRUE(AttackUntil(attackers, [&] { return bystanders().WereServed(2); }));
    }
  }
  if (exceeded.gracefully) {
    EXPECT_FALSE(absl::StrContains(gateway_->log(), "refused")) << gateway_->log();
  }
  EndSiege();
}

INSTANTIATE_TEST_SUITE_P(All, LimitTest, testing::ValuesIn(LimitTest::Cases()),
                         [](const auto& info) { return info.param.name; });

class EndTest : public SiegeTest {};

// A connection that reaches its age is told so, and its stream hears that it should come again.
TEST_F(EndTest, OldConnectionsEndGracefully) {
  StartSiege(/*tls=*/false);
  EndSiege();
  StartWithConfig(
      R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } }
         grpc { limits { max_connection_age { nanos: 300000000 } } })");
  const auto stub = v1::EventService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  for (int i = 0; i < 2; ++i) {  // It connects again by itself.
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::SubscribeRequest request;
    request.set_start_position(v1::START_POSITION_LATEST);
    const auto stream = stub->Subscribe(&context, request);
    v1::SubscribeResponse frame;
    bool drained = false;
    while (stream->Read(&frame)) drained = drained || frame.has_draining();
    EXPECT_TRUE(drained);
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
}

// Strangers had as much of the threads that serve gRPC as they could send for: both cores of two,
// and webhooks waited. What is refused and comes again is bounded by it, and what has no other
// limit.
TEST_F(EndTest, StrangersHaveAShareOfTheTime) {
  const std::string opening = http2::Preface();
  const std::string header = http2::Frame(http2::kHeaders, 0, 1, http2::CallBlock(kCheck));
  std::string fields;
  while (fields.size() < 16'000) {
    absl::StrAppend(&fields, http2::Field(absl::StrCat("x-", fields.size()), "v"));
  }
  const auto flood = [](std::string first, std::string again) {
    return [first = std::move(first), again = std::move(again)](RawPeer& peer, int64_t step) {
      peer.Send(step == 0 ? first : again);
      return Next::kMore;
    };
  };
  const Attack floods[] = {
      {.name = "frames of an unknown type",
       .connections = 4,
       .send = flood(opening, Repeated(http2::Frame(0xfa, 0, 0, ""), 1'000))},
      {.name = "continuation flood",
       .connections = 4,
       .send = flood(opening + header, http2::Frame(http2::kContinuation, 0, 1, fields)),
       .refused_as = "headers_too_large"}};
  StartSiege(/*tls=*/false, "limits { max_unidentified_time_percent: 5 }");
  if (HasFatalFailure()) return;
  for (const Attack& attack : floods) {
    SCOPED_TRACE(attack.name);
    const Toll toll = Suffer(attack, absl::Seconds(1));
    ExpectBearable(attack, toll);
    // With 5 % on each of four threads at most, and the time that callers and new connections take.
    EXPECT_LT(toll.grpc_cpu, 0.5 * toll.lasted);
  }
  EndSiege();
}

// Over HTTPS, whoever began TLS again and again had all of the gateway's CPU.
TEST_F(EndTest, HandshakesAtWebhooksHaveARate) {
  RaiseFileLimit();
  const TestAuthority authority;
  const TestCertificate server = authority.Issue();
  StartWithConfig(absl::StrCat(
      "http { max_handshakes_per_second_per_address: 50 tls { certificate_file: \"",
      WriteFile(server.certificate), "\" key_file: \"", WriteFile(server.key),
      "\" } } sources { name: \"openai\" secrets { name: \"a\" file: \"SECRET_FILE\" } }"));
  const Attack attack = {.connections = 50, .send = [](RawPeer& peer, int64_t) {
                           peer.Send("x");
                           return Next::kClose;
                         }};
  Attackers attackers(attack, {.address = gateway_->http(), .from = "127.0.0.66", .tls = true});
  EXPECT_TRUE(AttackUntil(attackers, [&] {
    return absl::StrContains(gateway_->log(), "\"too_many_handshakes\"");
  })) << gateway_->log();
  EXPECT_GT(attackers.tally().connected, 0) << "those within the rate";
  HttpClient sender(gateway_->http(), authority.certificate());
  ASSERT_TRUE(sender.Send(SignedWebhook().Request()));
  const auto reply = sender.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200) << reply->body;
  const auto scraped = Exchange(gateway_->admin(), "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
  ASSERT_TRUE(scraped.has_value());
  EXPECT_THAT(scraped->body,
              testing::ContainsRegex("hookgate_peers_refused_total\\{listener=\"http\",reason="
                                     "\"too_many_handshakes\"\\} [1-9]"));
}

// What strangers have begun and not ended, at either port, delays no drain: a half-sent POST held
// it up for 20 s, and 1,741 of 3,000 streams never heard of it.
TEST_F(EndTest, HalfOfAnythingDelaysNoDrain) {
  for (const bool tls : {false, true}) {
    StartSiege(tls);
    if (HasFatalFailure()) return;
    const http2::Fields identity = {{"authorization", "Bearer " + Token()}};
    const std::string opening = http2::Preface();
    const std::string header = http2::Frame(http2::kHeaders, 0, 1, http2::CallBlock(kCheck));
    const std::string post =
        "POST /webhooks/openai HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf";
    std::vector<Attack> halves = {
        {.connections = 20, .send = Once(opening.substr(0, 1))},
        {.connections = 20, .send = Once(opening.substr(0, 10))},
        {.connections = 20, .send = Once(opening)},
        {.connections = 20, .send = Once(opening + header.substr(0, 30))},
        {.connections = 20, .send = Once(opening + header)},
        {.connections = 20, .send = Once(opening + Begun(kCheck, {}, 1'000, 10))},
        {.connections = 20, .send = Once(opening + Begun(kListEvents, identity, 1'000, 10))},
        {.connections = 20, .send = Once(opening + Calls(kWatch, 50))},
        {.connections = 20,
         .send = Once(http2::Preface({{http2::kInitialWindowSize, 0}}) + Calls(kWatch, 50)),
         .reads = false},
        {.connections = 20, .send = Once("\x16\x03\x01"), .speaks_tls = false},
        {.connections = 20, .send = Once(post.substr(0, 30)), .at_webhooks = true},
        {.connections = 20, .send = Once(post), .at_webhooks = true},
    };
    std::vector<std::unique_ptr<Attackers>> attackers;
    for (Attack& half : halves) {
      half.comes_again = false;
      attackers.push_back(std::make_unique<Attackers>(half, TargetOf(half)));
      // Those that send bytes in place of TLS may have been closed before they all are there.
      EXPECT_TRUE(AttackUntil(*attackers.back(), [&] {
        const AttackTally tally = attackers.back()->tally();
        return tally.connected + tally.ended >= half.connections && tally.sent_bytes > 0;
      })) << attackers.size();
    }
    grpc::ClientContext context;
    Prepare(context);
    const auto stub = v1::EventService::NewStub(NewChannel());
    v1::SubscribeRequest request;
    request.set_start_position(v1::START_POSITION_LATEST);
    const auto stream = stub->Subscribe(&context, request);
    v1::SubscribeResponse frame;
    ASSERT_TRUE(stream->Read(&frame));
    DismissBystanders();
    const absl::Time begin = absl::Now();
    gateway_->Signal(SIGTERM);
    bool drained = false;
    while (stream->Read(&frame)) drained = drained || frame.has_draining();
    EXPECT_TRUE(drained);
    EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
    EXPECT_EQ(gateway_->WaitForExit(), 0);
    EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  }
}

// libgrpc never accepted again once the descriptors had been used up.
TEST_F(EndTest, CrowdsLeaveDescriptorsAndNoMark) {
  RaiseFileLimit();
  gateway_ = HookgatedProcess::Start(data_dir_, {}, {}, /*max_files=*/1024);
  const auto check = [this] {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    const auto stub = grpc::health::v1::Health::NewStub(
        grpc::CreateCustomChannel(gateway_->grpc(), grpc::InsecureChannelCredentials(), arguments));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::health::v1::HealthCheckResponse response;
    return stub->Check(&context, {}, &response);
  };
  for (int round = 0; round < 2; ++round) {
    const Attack crowd = {.connections = 1'500, .send = Once(http2::Preface())};
    Attackers attackers(crowd, {.address = gateway_->grpc(), .from = "127.0.0.66"});
    EXPECT_TRUE(AttackUntil(attackers, [&] { return attackers.tally().connected >= 1'500; }));
    Store({});
    const grpc::Status during = check();
    EXPECT_TRUE(during.ok()) << during.error_message();
  }
  const grpc::Status after = check();
  EXPECT_TRUE(after.ok()) << after.error_message();
  EXPECT_FALSE(absl::StrContains(gateway_->log(), "accept failed")) << gateway_->log();
}

}  // namespace
}  // namespace hookgate
