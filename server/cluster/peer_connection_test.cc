// A connection to another replica, with a server of our own, and mutual TLS, at the other end.

#include "server/cluster/peer_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/grpc_server.h"
#include "server/grpc_server/test_service.h"
#include "server/grpc_server/test_service.pb.h"
#include "server/tls/certificate_store.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

constexpr char kEcho[] = "/hookgate.test.TestService/Echo";
constexpr char kRepeat[] = "/hookgate.test.TestService/Repeat";
constexpr char kChat[] = "/hookgate.test.TestService/Chat";
constexpr size_t kMaxMessageBytes = 8 << 20;

std::string Text(const std::string& text, int count = 0) {
  test::Message message;
  message.set_text(text);
  message.set_count(count);
  return message.SerializeAsString();
}

std::string TextOf(const std::string& bytes) {
  test::Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message.text();
}

// Thread-safe.
class Listener final : public PeerCallListener {
 public:
  void OnPeerMessage(std::string bytes) override {
    absl::MutexLock lock(&mu_);
    messages_.push_back(TextOf(bytes));
  }
  void OnPeerWritten() override {
    absl::MutexLock lock(&mu_);
    ++written_;
  }
  void OnPeerEnd(const absl::Status& status) override {
    absl::MutexLock lock(&mu_);
    EXPECT_FALSE(end_.has_value()) << "ended twice";
    end_ = status;
  }

  std::vector<std::string> AwaitMessages(size_t count) {
    absl::MutexLock lock(&mu_);
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return messages_.size() >= count; };
    mu_.Await(absl::Condition(&there));
    return messages_;
  }
  void AwaitWritten(int count) {
    absl::MutexLock lock(&mu_);
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return written_ >= count; };
    mu_.Await(absl::Condition(&there));
  }
  absl::Status AwaitEnd() {
    absl::MutexLock lock(&mu_);
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return end_.has_value(); };
    mu_.Await(absl::Condition(&there));
    return *end_;
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> messages_ ABSL_GUARDED_BY(mu_);
  int written_ ABSL_GUARDED_BY(mu_) = 0;
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

class PeerConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    here_ = Certificates("a", authority_);
    there_ = Certificates("b", authority_);
    Serve();
    connection_ = Open("b");
  }

  std::unique_ptr<CertificateStore> Certificates(const std::string& name,
                                                 const TestAuthority& authority) {
    const TestCertificate pair = authority.Issue("DNS:" + name);
    const CertificateFiles files = {Write(name + ".pem", pair.certificate),
                                    Write(name + ".key", pair.key),
                                    Write(name + "-ca.pem", authority.certificate())};
    auto store = CertificateStore::Open(files, SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }
  void Serve(const std::string& address = "127.0.0.1:0") {
    GrpcServerOptions options;
    options.address = address;
    options.client_ca_required = true;
    options.max_message_bytes = kMaxMessageBytes;
    auto server = GrpcServer::Start(options, service_.table(), SystemClock(), there_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<PeerConnection> Open(const std::string& name) {
    return PeerConnection::Open(name, server_->address(), *here_, kMaxMessageBytes);
  }
  static absl::StatusOr<std::string> Ask(PeerConnection& connection, const std::string& request,
                                         absl::Duration timeout = absl::Minutes(1)) {
    std::promise<absl::StatusOr<std::string>> answer;
    connection.Ask(kEcho, request, timeout, [&answer](absl::StatusOr<std::string> got) {
      answer.set_value(std::move(got));
    });
    return answer.get_future().get();
  }
  std::shared_ptr<PeerCall> Start(const std::string& method,
                                  const PeerConnection::Metadata& metadata = {},
                                  absl::Duration timeout = absl::InfiniteDuration()) {
    listener_ = std::make_shared<Listener>();
    return connection_->Start(method, metadata, timeout, listener_);
  }

  const std::string folder_ = FreshTestFolder();
  const TestAuthority authority_;
  TestService service_;
  std::unique_ptr<CertificateStore> here_;
  std::unique_ptr<CertificateStore> there_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<PeerConnection> connection_;
  std::shared_ptr<Listener> listener_;
};

TEST_F(PeerConnectionTest, AnswersComeAsTheyWereGiven) {
  EXPECT_EQ(TextOf(*Ask(*connection_, Text("hello"))), "hello");
  EXPECT_EQ(TextOf(*Ask(*connection_, Text("certificate"))), "DNS:a");
  EXPECT_EQ(TextOf(*Ask(*connection_, Text("large 5000000"))).size(), 5'000'000u);
}

// What a client may do about an error stands in its details, which must not be lost on the way.
TEST_F(PeerConnectionTest, ErrorComesWithItsReasonAndField) {
  const absl::Status error = Ask(*connection_, Text("error")).status();
  EXPECT_EQ(error, InvalidField("text", "is \"error\"")) << error;
  EXPECT_EQ(ReasonOf(error), reason::kInvalidRequest);
  EXPECT_EQ(FieldOf(error), "text");
}

TEST_F(PeerConnectionTest, MetadataArrives) {
  const auto call = Start(kEcho, {{"hookgate-caller-peer", "ipv4:192.0.2.1:7"}});
  call->ReadNext();
  call->WriteLast(Text("metadata hookgate-caller-peer"));
  EXPECT_TRUE(listener_->AwaitEnd().ok());
  EXPECT_THAT(listener_->AwaitMessages(1), testing::ElementsAre("ipv4:192.0.2.1:7"));
}

TEST_F(PeerConnectionTest, MessagesGoBothWaysUntilOneSideHasEnough) {
  const auto call = Start(kChat);
  for (size_t i = 1; i <= 20; ++i) {
    call->ReadNext();
    call->Write(Text(absl::StrCat(i)));
    EXPECT_EQ(listener_->AwaitMessages(i).back(), absl::StrCat(i));
    listener_->AwaitWritten(static_cast<int>(i));
  }
  call->EndWrites();
  EXPECT_TRUE(listener_->AwaitEnd().ok());
  EXPECT_EQ(listener_->AwaitMessages(20).size(), 20u);
}

// A client that reads slowly must hold up the leader, not fill the memory of the follower between.
TEST_F(PeerConnectionTest, WhatIsNotAskedForIsNotSent) {
  const auto call = Start(kRepeat);
  call->WriteLast(Text(std::string(1 << 20, 'x'), /*count=*/1000));
  for (size_t i = 1; i <= 3; ++i) {
    call->ReadNext();
    listener_->AwaitMessages(i);
  }
  // Some are on their way: in the windows of HTTP/2 and the sockets.
  EXPECT_LT(service_.messages(), 100);
  EXPECT_EQ(listener_->AwaitMessages(3).size(), 3u);
  call->Cancel();
  EXPECT_TRUE(absl::IsCancelled(listener_->AwaitEnd()));
  service_.AwaitEnd("Repeat", CallEnd::kCancelled);
}

TEST_F(PeerConnectionTest, DeadlineIsTheOtherSidesAsWell) {
  EXPECT_EQ(TextOf(*Ask(*connection_, Text("deadline"))), "yes");
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(Ask(*connection_, Text("hold"), absl::Milliseconds(100)).status()));
}

TEST_F(PeerConnectionTest, EndsWhatIsUnderWayBeforeItEndsItself) {
  const auto call = Start(kRepeat);
  call->WriteLast(Text("idle", /*count=*/-1));
  std::promise<absl::Status> answer;
  connection_->Ask(
      kEcho, Text("hold"), absl::InfiniteDuration(),
      [&answer](const absl::StatusOr<std::string>& got) { answer.set_value(got.status()); });
  connection_ = nullptr;
  EXPECT_TRUE(absl::IsCancelled(listener_->AwaitEnd()));
  EXPECT_FALSE(answer.get_future().get().ok());
  call->Cancel();  // Harmless now.
  call->ReadNext();
}

// Whether the other side has done what it was asked is not known then, and no reason is made up.
TEST_F(PeerConnectionTest, ReplicaThatIsGoneIsUnavailableAndIsFoundAgain) {
  const auto call = Start(kRepeat);
  call->ReadNext();
  call->WriteLast(Text("idle", /*count=*/-1));
  EXPECT_EQ(TextOf(*Ask(*connection_, Text("hello"))), "hello");
  const std::string address = server_->address();
  server_ = nullptr;
  const absl::Status gone = listener_->AwaitEnd();
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
  const absl::Status refused = Ask(*connection_, Text("hello")).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_EQ(ReasonOf(refused), "");
  Serve(address);
  absl::StatusOr<std::string> answer;
  do {
    answer = Ask(*connection_, Text("back"));
  } while (absl::IsUnavailable(answer.status()));
  EXPECT_EQ(TextOf(*answer), "back");
}

// Whoever takes an address over, or has a certificate of the same authority under another name, is
// not taken for a replica.
TEST_F(PeerConnectionTest, CertificateHasToBeThePeersAndOfTheSameAuthority) {
  const auto wrong_name = Open("c");
  EXPECT_TRUE(absl::IsUnavailable(Ask(*wrong_name, Text("hello")).status()));

  const TestAuthority stranger;
  here_ = Certificates("a", stranger);
  const auto wrong_authority = Open("b");
  EXPECT_TRUE(absl::IsUnavailable(Ask(*wrong_authority, Text("hello")).status()));
  connection_ = nullptr;  // It uses what `here_` was.
}

}  // namespace
}  // namespace hookgate
