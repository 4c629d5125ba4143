// What a stranger at the gRPC port can do with the bytes of one call's header and message, against
// a real gateway.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "server/access/access_policy.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/http2_frames.h"
#include "tests/support/http_client.h"
#include "tests/support/secret_watch.h"
#include "tests/support/test_certificates.h"
#include "tests/support/untyped_call.h"

namespace hookgate {
namespace {

constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";

// Header names that have a meaning for libgrpc, in requests and in answers, and some that have
// none.
const char* const kNames[] = {"grpclb_client_stats",
                              "lb-token",
                              "lb-cost-bin",
                              "grpc-timeout",
                              "grpc-status",
                              "grpc-message",
                              "grpc-status-details-bin",
                              "grpc-encoding",
                              "grpc-internal-encoding-request",
                              "grpc-accept-encoding",
                              "grpc-previous-rpc-attempts",
                              "grpc-retry-pushback-ms",
                              "grpc-server-stats-bin",
                              "grpc-tags-bin",
                              "grpc-trace-bin",
                              "endpoint-load-metrics-bin",
                              "x-envoy-peer-metadata",
                              "user-agent",
                              "host",
                              "te",
                              "content-type",
                              "accept-encoding",
                              "authorization",
                              ":method",
                              ":scheme",
                              ":path",
                              ":authority",
                              ":status",
                              ":nothing",
                              "x-anything-bin",
                              ""};

const std::string kValues[] = {"x",
                               "",
                               "0",
                               "-1",
                               "gzip",
                               std::string("\0\xff\r\n", 4),
                               "99999999999H",
                               "AAAA",
                               "====",
                               std::string(3000, 'v')};

class GrpcHeaderTest : public GatewayTest {
 protected:
  void StartWithPrincipals(const std::string& tls = "") {
    const std::string token = "hush-hush-nobody-5f1c9a7e3b";
    SecretWatch::OfThisProgram().KeepToken("the principal's token", token);
    const TokenDigest digest = DigestOf(token);
    const std::string hex =
        absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
    StartWithConfig(absl::StrCat(
        R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } } )", tls,
        " principals { name: \"p\" token_sha256: \"", hex, "\" rights { query: \"*\" } }"));
  }

  // Sends every name with every value, to a method that is open to strangers and to one that is
  // not, each over its own connection, and checks after each name that the gateway still answers.
  void SendAll(const std::function<std::unique_ptr<HttpClient>()>& connect) {
    for (const char* name : kNames) {
      for (const std::string& value : kValues) {
        for (const char* path :
             {kHealthCheck, "/hookgate.v1.EventService/ListEvents", "/no/such"}) {
          const std::unique_ptr<HttpClient> client = connect();
          client->Send(absl::StrCat(http2::Preface(),
                                    http2::CallHeader(1, path, {{name, value}, {name, value}}),
                                    http2::LastMessage(1, "")));
          client->ReadSome();
        }
      }
      ASSERT_TRUE(Lives()) << "after \"" << name << "\": " << gateway_->log();
    }
  }

  bool Lives() {
    return Exchange(gateway_->admin(), "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").has_value();
  }
};

// A filter of libgrpc copied every header of a call for the check of its identity, and aborted the
// process at a header that it knows from load balancing. So 111 bytes from a stranger stopped all
// webhooks and streams.
TEST_F(GrpcHeaderTest, NoHeaderEndsTheGateway) {
  Start();
  SendAll([this] { return std::make_unique<HttpClient>(gateway_->grpc()); });
}

TEST_F(GrpcHeaderTest, NoHeaderEndsTheGatewayThatHasPrincipals) {
  StartWithPrincipals();
  SendAll([this] { return std::make_unique<HttpClient>(gateway_->grpc()); });
}

TEST_F(GrpcHeaderTest, NoHeaderEndsTheGatewayOverTls) {
  const TestAuthority authority;
  const TestCertificate server = authority.Issue();
  StartWithPrincipals(absl::StrCat("grpc { tls { certificate_file: \"",
                                   WriteFile(server.certificate), "\" key_file: \"",
                                   WriteFile(server.key), "\" } }"));
  SendAll([&] {
    return std::make_unique<HttpClient>(gateway_->grpc(), authority.certificate(), "h2");
  });
}

// A message of 1 MiB that inflates to 1 GiB took that memory before the caller was authenticated.
TEST_F(GrpcHeaderTest, CompressedMessagesAreRefused) {
  Start();
  const auto channel = grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials());
  const auto health = grpc::health::v1::Health::NewStub(channel);
  const auto events = v1::EventService::NewStub(channel);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    const auto prepare = [&](grpc::ClientContext& context) {
      context.set_compression_algorithm(algorithm);
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    };
    grpc::ClientContext check;
    prepare(check);
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(std::string(100'000, 'a'));  // Small enough to send, and compresses well.
    grpc::health::v1::HealthCheckResponse response;
    EXPECT_EQ(health->Check(&check, request, &response).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
    grpc::ClientContext subscribe;
    prepare(subscribe);
    v1::SubscribeRequest subscription;
    subscription.set_client_name(std::string(100'000, 'a'));
    const auto stream = events->Subscribe(&subscribe, subscription);
    v1::SubscribeResponse frame;
    EXPECT_FALSE(stream->Read(&frame));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
  }
}

// A message that is marked as compressed, while the header names no algorithm or an unknown one,
// must be refused: neither inflated nor read as it is.
TEST_F(GrpcHeaderTest, MessageThatClaimsToBeCompressedIsNotTaken) {
  Start();
  for (const char* encoding : {"", "identity", "gzip", "deflate", "snappy"}) {
    http2::Fields fields;
    if (*encoding != '\0') fields.push_back({"grpc-encoding", encoding});
    HttpClient client(gateway_->grpc());
    client.Send(absl::StrCat(http2::Preface(), http2::CallHeader(1, kHealthCheck, fields),
                             http2::LastMessage(1, "\x1f\x8b\x08", /*compressed=*/true)));
    // Trailers carry the status as text, since the gateway's answers are not indexed there; an
    // answer of OK would carry a message whose bytes are "SERVING".
    std::string answer;
    for (std::string more = client.ReadSome(); !more.empty(); more = client.ReadSome()) {
      answer += more;
      if (absl::StrContains(answer, "grpc-status") || answer.size() > 200) break;
    }
    EXPECT_FALSE(absl::StrContains(answer, absl::string_view("\0\0\0\0\2\x08\1", 7)))
        << encoding << ": " << absl::CEscape(answer);
  }
  EXPECT_TRUE(Lives());
}

// libprotobuf printed a line to standard error for each message with a text that is not UTF-8, so
// strangers could fill the log without a limit.
TEST_F(GrpcHeaderTest, TextThatIsNotUtf8LeavesNoLineOfALibrary) {
  Start();
  const auto channel = grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials());
  // Field 1 of these requests, as two bytes that are not UTF-8.
  for (const char* path : {kHealthCheck, "/grpc.health.v1.Health/Watch",
                           "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                           "/hookgate.v1.EventService/Subscribe",
                           "/hookgate.v1.SubscriptionService/GetSubscription"}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Status status =
        CallUntyped(channel, context, path, std::string("\x0a\x02\xff\xfe"));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << path;
  }
  EXPECT_TRUE(Lives());
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  EXPECT_FALSE(absl::StrContains(gateway_->log(), "libprotobuf")) << gateway_->log();
  EXPECT_FALSE(absl::StrContains(gateway_->log(), "UTF-8")) << gateway_->log();
}

}  // namespace
}  // namespace hookgate
