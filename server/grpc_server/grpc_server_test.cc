// gRPC C++ as an independent peer of the server.
#include "server/grpc_server/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/grpc_server/test_service.grpc.pb.h"
#include "server/grpc_server/test_service.h"
#include "server/tls/certificate_store.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using test::Message;
using testing::Each;
using testing::HasSubstr;
using testing::StartsWith;

constexpr absl::Duration kPatience = absl::Seconds(30);

enum class Security { kPlain, kTls };

class GrpcServerTest : public testing::TestWithParam<Security> {
 protected:
  void SetUp() override {
    if (GetParam() == Security::kTls) OpenCertificates();
    Serve({});
  }

  void OpenCertificates() {
    std::filesystem::create_directories(folder_);
    const TestCertificate server = authority_.Issue();
    Write("cert.pem", server.certificate);
    Write("key.pem", server.key);
    Write("ca.pem", authority_.certificate());
    auto store = CertificateStore::Open(
        {folder_ + "/cert.pem", folder_ + "/key.pem", folder_ + "/ca.pem"}, SystemClock());
    ASSERT_TRUE(store.ok()) << store.status();
    certificates_ = *std::move(store);
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

  void Serve(const GrpcServerOptions& options) {
    server_ = nullptr;
    auto server = GrpcServer::Start(options, service_.table(), SystemClock(), certificates_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = NewStub();
  }

  // On a connection of its own.
  std::unique_ptr<test::TestService::Stub> NewStub(
      std::optional<TestCertificate> client = std::nullopt) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    arguments.SetMaxReceiveMessageSize(-1);
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (GetParam() == Security::kTls) {
      grpc::SslCredentialsOptions options;
      options.pem_root_certs = authority_.certificate();
      if (client.has_value()) {
        options.pem_cert_chain = client->certificate;
        options.pem_private_key = client->key;
      }
      credentials = grpc::SslCredentials(options);
    }
    return test::TestService::NewStub(
        grpc::CreateCustomChannel(server_->address(), credentials, arguments));
  }

  static void SetPatience(grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  }

  grpc::Status Echo(const std::string& text, Message* answer) {
    grpc::ClientContext context;
    SetPatience(context);
    Message request;
    request.set_text(text);
    return stub_->Echo(&context, request, answer);
  }
  std::string Echo(const std::string& text) {
    Message answer;
    const grpc::Status status = Echo(text, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer.text();
  }

  TestAuthority authority_;
  const std::string folder_ = FreshTestFolder();
  std::unique_ptr<CertificateStore> certificates_;
  TestService service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<test::TestService::Stub> stub_;
};

INSTANTIATE_TEST_SUITE_P(All, GrpcServerTest, testing::Values(Security::kPlain, Security::kTls),
                         [](const auto& info) {
                           return info.param == Security::kTls ? "Tls" : "Plain";
                         });

TEST_P(GrpcServerTest, UnaryCallsAreAnswered) {
  EXPECT_EQ(Echo("hello"), "hello");
  EXPECT_EQ(Echo(""), "");
  EXPECT_EQ(Echo(std::string(900'000, 'u')), std::string(900'000, 'u'));
  EXPECT_EQ(Echo("large 5000000").size(), 5'000'000);
}

TEST_P(GrpcServerTest, ErrorsComeWithTheirDetails) {
  Message answer;
  const grpc::Status status = Echo("error", &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "text: is \"error\"");
  EXPECT_THAT(status.error_details(), HasSubstr("INVALID_REQUEST"));
}

TEST_P(GrpcServerTest, CallsThatNobodyAnswersEnd) {
  Message answer;
  EXPECT_EQ(Echo("drop", &answer).error_code(), grpc::StatusCode::INTERNAL);
}

TEST_P(GrpcServerTest, MetadataReachesTheService) {
  grpc::ClientContext context;
  SetPatience(context);
  context.AddMetadata("x-name", "one");
  context.AddMetadata("x-name", "two");
  context.AddMetadata("y-bin", std::string("\0\xff,", 3));
  Message request;
  Message answer;
  request.set_text("metadata x-name");
  ASSERT_TRUE(stub_->Echo(&context, request, &answer).ok());
  EXPECT_EQ(answer.text(), "one|two");

  grpc::ClientContext binary;
  SetPatience(binary);
  binary.AddMetadata("y-bin", "a,\x01");
  request.set_text("metadata y-bin");
  ASSERT_TRUE(stub_->Echo(&binary, request, &answer).ok());
  EXPECT_EQ(answer.text(), "a,\x01");
}

TEST_P(GrpcServerTest, WhoIsNotAdmittedIsToldSoWhateverItCalls) {
  for (const bool exists : {true, false}) {
    grpc::ClientContext context;
    SetPatience(context);
    context.AddMetadata("authorization", "Bearer wrong");
    Message answer;
    // 900 kB, of which nothing is read.
    Message request;
    request.set_text(std::string(exists ? 900'000 : 1, 'x'));
    EXPECT_EQ(stub_->Echo(&context, request, &answer).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
  EXPECT_EQ(server_->open_calls(), 0);
}

TEST_P(GrpcServerTest, RequestsThatAreTooLargeAreRefused) {
  Message answer;
  EXPECT_EQ(Echo(std::string(2 << 20, 'x'), &answer).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Echo("next"), "next");
  EXPECT_EQ(server_->refusals()[static_cast<size_t>(GrpcRefusal::kMessageTooLarge)], 1);
}

// 1 MiB of fields of two bytes took up to 100 MiB once it was parsed.
TEST_P(GrpcServerTest, RequestsOfTooManyFieldsAreNotParsed) {
  Message request;
  auto& fields = *request.GetReflection()->MutableUnknownFields(&request);
  for (int i = 0; i < 65'536; ++i) fields.AddVarint(200, 1);
  const auto echo = [&](Message* answer) {
    grpc::ClientContext context;
    SetPatience(context);
    return stub_->Echo(&context, request, answer);
  };
  Message answer;
  EXPECT_TRUE(echo(&answer).ok());
  fields.AddVarint(200, 1);
  const grpc::Status status = echo(&answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("more than 65536 fields"));
  EXPECT_EQ(Echo("next"), "next");
}

TEST_P(GrpcServerTest, HeadersThatAreTooLongAreRefused) {
  grpc::ClientContext context;
  SetPatience(context);
  for (int i = 0; i < 40; ++i) context.AddMetadata(absl::StrCat("name", i), std::string(500, 'x'));
  Message answer;
  EXPECT_EQ(stub_->Echo(&context, Message(), &answer).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Echo("next"), "next");
}

TEST_P(GrpcServerTest, CompressedRequestsAreRefusedByName) {
  grpc::ClientContext context;
  SetPatience(context);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  Message request;
  request.set_text(std::string(10'000, 'x'));
  Message answer;
  const grpc::Status status = stub_->Echo(&context, request, &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("grpc-encoding gzip"));
}

TEST_P(GrpcServerTest, StreamsComeWholeAndInOrder) {
  for (const int size : {0, 10, 1000, 100'000}) {
    grpc::ClientContext context;
    SetPatience(context);
    Message request;
    request.set_count(size > 1000 ? 300 : 5000);
    request.set_text(std::string(static_cast<size_t>(size), 'x'));
    const auto reader = stub_->Repeat(&context, request);
    Message message;
    int count = 0;
    while (reader->Read(&message)) {
      ++count;
      EXPECT_EQ(message.text().size(), size);
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(count, request.count());
  }
  service_.AwaitEnd("Repeat", CallEnd::kFinished, 4);
}

TEST_P(GrpcServerTest, BothSidesMaySend) {
  grpc::ClientContext context;
  SetPatience(context);
  const auto chat = stub_->Chat(&context);
  for (int i = 0; i < 500; ++i) {
    Message message;
    message.set_text(absl::StrCat("message ", i, " ", std::string(i * 50, 'x')));
    ASSERT_TRUE(chat->Write(message));
    Message answer;
    ASSERT_TRUE(chat->Read(&answer));
    EXPECT_EQ(answer.text(), message.text());
  }
  chat->WritesDone();
  Message answer;
  EXPECT_FALSE(chat->Read(&answer));
  EXPECT_TRUE(chat->Finish().ok());
  service_.AwaitEnd("Chat", CallEnd::kFinished);
}

// The server takes no more than it has asked for, and gives the window back as it does.
TEST_P(GrpcServerTest, ClientsMaySendFasterThanTheyAreAnswered) {
  grpc::ClientContext context;
  SetPatience(context);
  const auto chat = stub_->Chat(&context);
  constexpr int kMessages = 300;
  std::thread writer([&] {
    Message message;
    message.set_text(std::string(20'000, 'x'));
    for (int i = 0; i < kMessages; ++i) chat->Write(message);
    chat->WritesDone();
  });
  Message answer;
  int count = 0;
  while (chat->Read(&answer)) ++count;
  writer.join();
  EXPECT_EQ(count, kMessages);
  EXPECT_TRUE(chat->Finish().ok());
}

TEST_P(GrpcServerTest, TheServerMayEndWhileTheClientSends) {
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext context;
    SetPatience(context);
    const auto chat = stub_->Chat(&context);
    Message message;
    message.set_text("enough");
    chat->Write(message);
    message.set_text(std::string(200'000, 'x'));
    while (chat->Write(message)) {
    }
    EXPECT_TRUE(chat->Finish().ok());
  }
}

TEST_P(GrpcServerTest, DeadlinesEndCalls) {
  EXPECT_EQ(Echo("deadline"), "yes");
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(100)));
  Message request;
  request.set_text("hold");
  Message answer;
  EXPECT_EQ(stub_->Echo(&context, request, &answer).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // Ended by the server's clock, whatever the client does.
  grpc::ClientContext stream;
  stream.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(100)));
  request.set_count(-1);
  const auto reader = stub_->Repeat(&stream, request);
  EXPECT_FALSE(reader->Read(&answer));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_P(GrpcServerTest, CancelledCallsEnd) {
  grpc::ClientContext context;
  SetPatience(context);
  Message request;
  request.set_count(-1);
  const auto reader = stub_->Repeat(&context, request);
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() > 0; }));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  service_.AwaitEnd("Repeat", CallEnd::kCancelled);
  EXPECT_EQ(server_->open_calls(), 0);
}

TEST_P(GrpcServerTest, CallsEndWithTheirConnection) {
  grpc::ClientContext context;
  SetPatience(context);
  Message request;
  request.set_count(-1);
  auto reader = stub_->Repeat(&context, request);
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() > 0; }));
  server_ = nullptr;
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  service_.AwaitEnd("Repeat", CallEnd::kShutdown);
}

// Pull: a client that does not read costs what the windows and the socket hold, and no more is
// made.
TEST_P(GrpcServerTest, AClientThatDoesNotReadIsNotAskedFor) {
  grpc::ClientContext context;
  SetPatience(context);
  Message request;
  request.set_count(1000);
  request.set_text(std::string(100'000, 'x'));
  const auto reader = stub_->Repeat(&context, request);
  Message message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(Echo("others are served"), "others are served");
  EXPECT_LT(service_.messages(), 500);
  int count = 1;
  while (reader->Read(&message)) ++count;
  EXPECT_EQ(count, 1000);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_P(GrpcServerTest, ManyCallsAtOnceOnOneConnection) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 200;
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        const std::string text = absl::StrCat(t, "/", i);
        Message answer;
        if (Echo(text, &answer).ok() && answer.text() == text) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads * kCalls);
}

TEST_P(GrpcServerTest, ManyStreamsAtOnce) {
  constexpr int kStreams = 200;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<Message>>> readers;
  Message request;
  request.set_count(50);
  request.set_text(std::string(100, 'x'));
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    SetPatience(*contexts.back());
    contexts.back()->AddMetadata("authorization", "Bearer right");
    readers.push_back(stub_->Repeat(contexts.back().get(), request));
  }
  for (const auto& reader : readers) {
    Message message;
    int count = 0;
    while (reader->Read(&message)) ++count;
    EXPECT_EQ(count, 50);
    EXPECT_TRUE(reader->Finish().ok());
  }
  service_.AwaitEnd("Repeat", CallEnd::kFinished, kStreams);
}

TEST_P(GrpcServerTest, ADrainLetsCallsEnd) {
  grpc::ClientContext context;
  SetPatience(context);
  const auto chat = stub_->Chat(&context);
  Message message;
  message.set_text("before");
  ASSERT_TRUE(chat->Write(message));
  ASSERT_TRUE(chat->Read(&message));
  std::thread drain([&] { EXPECT_TRUE(server_->Drain(kPatience)); });
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(chat->Write(message));
    ASSERT_TRUE(chat->Read(&message));
  }
  chat->WritesDone();
  EXPECT_TRUE(chat->Finish().ok());
  drain.join();
  EXPECT_EQ(server_->open_connections(), 0);
}

TEST_P(GrpcServerTest, IdleConnectionsAreClosedGracefully) {
  Serve({.idle_timeout = absl::Milliseconds(50),
         .unidentified_idle_timeout = absl::Milliseconds(50)});
  EXPECT_EQ(Echo("one"), "one");
  ASSERT_TRUE(Eventually("it is closed", [&] { return server_->open_connections() == 0; }));
  EXPECT_EQ(Echo("two"), "two");
}

TEST_P(GrpcServerTest, OldConnectionsSayGoodbye) {
  Serve({.max_connection_age = absl::Milliseconds(300)});
  grpc::ClientContext context;
  SetPatience(context);
  Message message;
  message.set_count(-1);
  const auto reader = stub_->Repeat(&context, message);
  EXPECT_FALSE(reader->Read(&message));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "old");
  EXPECT_EQ(service_.go_aways(), 1);
  EXPECT_EQ(Echo("again"), "again");
}

class GrpcTlsTest : public GrpcServerTest {};

INSTANTIATE_TEST_SUITE_P(All, GrpcTlsTest, testing::Values(Security::kTls),
                         [](const auto&) { return "Tls"; });

TEST_P(GrpcTlsTest, NamesOfClientCertificatesReachTheService) {
  EXPECT_EQ(Echo("certificate"), "");
  stub_ = NewStub(authority_.Issue(
      "DNS:worker.internal,URI:spiffe://example/worker,email:a@b.example,IP:10.0.0.1"));
  EXPECT_EQ(Echo("certificate"),
            "DNS:worker.internal|URI:spiffe://example/worker|email:a@b.example|IP:10.0.0.1");
}

TEST_P(GrpcTlsTest, CertificatesOfOthersAreRefused) {
  const TestAuthority other;
  stub_ = NewStub(other.Issue());
  Message answer;
  EXPECT_EQ(Echo("hello", &answer).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_P(GrpcTlsTest, CertificatesCanBeRequired) {
  Serve({.client_ca_required = true});
  Message answer;
  EXPECT_EQ(Echo("hello", &answer).error_code(), grpc::StatusCode::UNAVAILABLE);
  // The client may hear of it first.
  EXPECT_TRUE(Eventually("it is counted", [&] {
    return server_->refusals()[static_cast<size_t>(GrpcRefusal::kHandshakeFailed)] >= 1;
  }));
  stub_ = NewStub(authority_.Issue());
  EXPECT_EQ(Echo("hello"), "hello");
}

TEST_P(GrpcTlsTest, NewCertificatesAreForNewConnections) {
  grpc::ClientContext context;
  SetPatience(context);
  const auto chat = stub_->Chat(&context);
  Message message;
  message.set_text("hello");
  ASSERT_TRUE(chat->Write(message));
  ASSERT_TRUE(chat->Read(&message));
  const TestAuthority next;
  const TestCertificate server = next.Issue();
  Write("cert.pem", server.certificate);
  Write("key.pem", server.key);
  ASSERT_TRUE(certificates_->Reload().ok());
  auto before = NewStub();
  grpc::ClientContext refused;
  SetPatience(refused);
  EXPECT_FALSE(before->Echo(&refused, message, &message).ok());
  EXPECT_TRUE(chat->Write(message));
  EXPECT_TRUE(chat->Read(&message));
  chat->WritesDone();
  EXPECT_TRUE(chat->Finish().ok());
}

}  // namespace
}  // namespace hookgate
