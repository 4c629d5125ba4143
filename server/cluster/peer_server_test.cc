// The port between replicas, as another replica and as somebody else calls it.

#include "server/cluster/peer_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/v1/admin_service.pb.h"
#include "hookgate/v1/event_service.pb.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/caller_metadata.h"
#include "server/cluster/peer.pb.h"
#include "server/cluster/peer_connection.h"
#include "server/replication/in_memory_log.h"
#include "server/replication/schema_agreement.h"
#include "server/store/schema.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTell[] = "/hookgate.cluster.v1.PeerService/Tell";
constexpr char kAppend[] = "/hookgate.cluster.v1.PeerService/Append";
constexpr char kQuarantine[] = "/hookgate.cluster.v1.PeerService/Quarantine";
constexpr char kListDeliveries[] = "/hookgate.v1.SubscriptionService/ListDeliveries";
constexpr size_t kMaxMessageBytes = 1 << 20;

// Remembers what it was given, and has had all of it before.
class RememberingSink final : public EventSink {
 public:
  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override {
    {
      absl::MutexLock lock(&mu_);
      webhook_ids_.push_back(event->webhook_id);
    }
    AppendResult result;
    result.outcome = AppendResult::Outcome::kDuplicate;
    result.sequence = 7;
    std::move(done)(result);
  }
  void Quarantine(std::unique_ptr<QuarantinedWebhook>, QuarantineDone done) override {
    std::move(done)(
        ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull, "too many wait"));
  }
  std::vector<std::string> webhook_ids() const {
    absl::MutexLock lock(&mu_);
    return webhook_ids_;
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<std::string> webhook_ids_ ABSL_GUARDED_BY(mu_);
};

// Every method of a client's services: an error that says who calls, as the service sees it.
void AddServices(MethodTable& table) {
  for (const auto* const descriptor :
       {v1::SubscribeRequest::descriptor(), v1::ConsumeRequest::descriptor(),
        v1::GetStatusRequest::descriptor()}) {
    const google::protobuf::ServiceDescriptor& service = *descriptor->file()->service(0);
    std::map<std::string, Method> methods;
    for (int i = 0; i < service.method_count(); ++i) {
      methods[service.method(i)->name()] = {
          [](const std::shared_ptr<Call>&,
             const CallInfo& info) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
            std::vector<std::string> names;
            for (const auto& name : info.certificate_names) names.push_back(name.ToString());
            return absl::NotFoundError(
                absl::StrCat(info.peer, "|", absl::StrJoin(info.metadata.All("authorization"), ","),
                             "|", absl::StrJoin(names, ",")));
          }};
    }
    table.AddService(service, std::move(methods));
  }
}

class PeerServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    certificates_ = CertificatesOf("a");
    peers_ = std::make_unique<Peers>(std::vector<PeerAddress>{{"b", "127.0.0.1:1"}}, *certificates_,
                                     SystemClock(), kMaxMessageBytes);
    replica_ = std::make_unique<Replica>(ReplicaConfig{.cluster = "hooks", .name = "a"}, log_,
                                         SystemClock(), peers_.get());
    AddServices(methods_);
    auto server = PeerServer::Start("127.0.0.1:0",
                                    {.replica = *replica_,
                                     .peers = *peers_,
                                     .log = sink_,
                                     .methods = methods_,
                                     .certificates = *certificates_,
                                     .clock = SystemClock()},
                                    kMaxMessageBytes);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::unique_ptr<CertificateStore> CertificatesOf(const std::string& name) {
    const TestCertificate pair = authority_.Issue("DNS:" + name);
    auto store = CertificateStore::Open(
        {Write(name + ".pem", pair.certificate), Write(name + ".key", pair.key),
         Write("ca.pem", authority_.certificate())},
        SystemClock());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }

  // As the replica `name` asks.
  absl::StatusOr<std::string> AskAs(const std::string& name, const std::string& method,
                                    const std::string& request) {
    const std::unique_ptr<CertificateStore> shown = CertificatesOf(name);
    const auto connection = PeerConnection::Open("a", server_->address(), *shown, kMaxMessageBytes);
    std::promise<absl::StatusOr<std::string>> answer;
    connection->Ask(method, request, absl::Minutes(1),
                    [&](absl::StatusOr<std::string> got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }
  static std::string Tell(const std::string& replica) {
    cluster::v1::TellRequest request;
    request.set_cluster("hooks");
    request.set_replica(replica);
    request.set_applied(5);
    return request.SerializeAsString();
  }
  static std::string Webhook(const std::string& webhook_id) {
    cluster::v1::AppendRequest request;
    request.set_webhook_id(webhook_id);
    return request.SerializeAsString();
  }

  const std::string folder_ = FreshTestFolder();
  const TestAuthority authority_;
  std::unique_ptr<CertificateStore> certificates_;
  InMemoryEngine engine_;
  InMemoryLog log_{engine_, {.cluster = "hooks"}};
  RememberingSink sink_;
  MethodTable methods_{[](const CallInfo& info) -> Admission {
    if (info.metadata.First("authorization") == absl::string_view("Bearer wrong")) {
      return {absl::UnauthenticatedError("the token is not a principal's"), false};
    }
    return {absl::OkStatus(), true};
  }};
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<PeerServer> server_;
};

TEST_F(PeerServerTest, WebhookOfAPeerIsAnsweredAsTheLogDoes) {
  const auto answer = AskAs("b", kAppend, Webhook("wh_1"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  cluster::v1::AppendResponse response;
  ASSERT_TRUE(response.ParseFromString(*answer));
  EXPECT_EQ(response.outcome(), cluster::v1::AppendResponse::OUTCOME_DUPLICATE);
  EXPECT_EQ(response.sequence(), 7);
  EXPECT_THAT(sink_.webhook_ids(), ElementsAre("wh_1"));

  const absl::Status refused = AskAs("b", kQuarantine, "").status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_EQ(ReasonOf(refused), reason::kQueueFull);
}

// A certificate of the cluster's authority that was issued for something else stores nothing.
TEST_F(PeerServerTest, WhoIsNotAPeerIsRefusedWhateverIsAsked) {
  for (const char* const method :
       {kTell, kAppend, kQuarantine, kListDeliveries, "/no.Such/Method"}) {
    const absl::Status refused = AskAs("monitoring", method, "").status();
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << method << ": " << refused;
  }
  EXPECT_TRUE(sink_.webhook_ids().empty());
}

TEST_F(PeerServerTest, PeerSpeaksForItselfAlone) {
  EXPECT_EQ(FieldOf(AskAs("b", kTell, Tell("c")).status()), "replica");
  EXPECT_EQ(peers_->States()[0].last_heard, absl::nullopt);
  EXPECT_TRUE(AskAs("b", kTell, Tell("b")).ok());
  EXPECT_NE(peers_->States()[0].last_heard, absl::nullopt);
  EXPECT_EQ(peers_->States()[0].applied, 5);
}

// One of the first version with clusters does not say what it reads.
TEST_F(PeerServerTest, EachSaysWhichSchemaItReads) {
  const absl::StatusOr<std::string> answer = AskAs("b", kTell, Tell("b"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  cluster::v1::TellResponse response;
  ASSERT_TRUE(response.ParseFromString(*answer));
  EXPECT_EQ(response.schema(), SchemaVersion());
  EXPECT_EQ(peers_->States()[0].schema, SchemaAgreement::kUnsaid);
  cluster::v1::TellRequest request;
  ASSERT_TRUE(request.ParseFromString(Tell("b")));
  request.set_schema(7);
  EXPECT_TRUE(AskAs("b", kTell, request.SerializeAsString()).ok());
  EXPECT_EQ(peers_->States()[0].schema, 7);
}

// A peer whose memory is damaged, or that somebody has taken over: what it says of itself is shown,
// kept and counted with.
TEST_F(PeerServerTest, WhatAPeerSaysOfItselfHasBounds) {
  constexpr int64_t kMost = int64_t{1} << 60;
  const auto tell = [this](auto change) {
    cluster::v1::TellRequest request;
    EXPECT_TRUE(request.ParseFromString(Tell("b")));
    change(request);
    return AskAs("b", kTell, request.SerializeAsString()).status();
  };
  using Request = cluster::v1::TellRequest;
  struct Case {
    const char* field;
    std::function<void(Request&)> change;
  };
  for (const Case& refused : std::vector<Case>{
           {"replica", [](Request& r) { r.set_replica(""); }},
           {"replica", [](Request& r) { r.set_replica(std::string(100'000, 'b')); }},
           {"address", [](Request& r) { r.set_address(std::string(513, 'x')); }},
           {"address", [](Request& r) { r.set_address("gate\n.example:1"); }},
           {"address", [](Request& r) { r.set_address("gate .example:1"); }},
           {"address", [](Request& r) { r.set_address("g\xc3\xa4te:1"); }},
           {"heir", [](Request& r) { r.set_heir(std::string(513, 'c')); }},
           {"term", [](Request& r) { r.set_term(-1); }},
           {"term", [](Request& r) { r.set_term(kMost + 1); }},
           {"applied", [](Request& r) { r.set_applied(-1); }},
           {"applied", [](Request& r) { r.set_applied(kMost + 1); }},
           {"schema", [](Request& r) { r.set_schema(-1); }},
       }) {
    const absl::Status status = tell(refused.change);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << refused.field << ": " << status;
    EXPECT_EQ(FieldOf(status), refused.field);
    EXPECT_LT(status.message().size(), 1000u) << "it is logged, and goes back over the wire";
  }
  EXPECT_EQ(peers_->States()[0].last_heard, absl::nullopt) << "nothing of it was taken over";
  EXPECT_EQ(peers_->States()[0].applied, 0);
  // Of another cluster it may be: then this one is not told who leads.
  for (const auto& taken : std::vector<std::function<void(Request&)>>{
           [](Request& r) { r.set_address(std::string(512, 'x')); },
           [](Request& r) { r.set_heir(std::string(512, 'c')); },
           [](Request& r) { r.set_term(kMost); },
           [](Request& r) { r.set_cluster(std::string(1000, 'h')); },
       }) {
    EXPECT_TRUE(tell(taken).ok()) << tell(taken);
  }
  EXPECT_EQ(peers_->States()[0].applied, 5);
}

TEST_F(PeerServerTest, BytesThatAreNotAMessageAreRefused) {
  for (const char* const method : {kTell, kAppend, kQuarantine}) {
    EXPECT_TRUE(absl::IsInvalidArgument(AskAs("b", method, "\xff\xff").status())) << method;
  }
}

// The leader looks at the caller, not at the replica that hands the call on.
TEST_F(PeerServerTest, CallThatIsHandedOnIsTheCallers) {
  const std::vector<CertificateName> names = {{CertificateName::Kind::kDns, "worker.internal"}};
  CallInfo info = {.peer = "ipv4:192.0.2.1:7", .certificate_names = names};
  ASSERT_TRUE(info.metadata.AddFromWire("authorization", "Bearer right"));
  // What a caller sends in the names that replicas use is not handed on.
  ASSERT_TRUE(info.metadata.AddFromWire("hookgate-caller-peer", "ipv4:127.0.0.1:1"));

  class End final : public PeerCallListener {
   public:
    void OnPeerMessage(std::string) override {}
    void OnPeerWritten() override {}
    void OnPeerEnd(const absl::Status& status) override { end.set_value(status); }
    std::promise<absl::Status> end;
  };
  const auto shown = CertificatesOf("b");
  const auto connection = PeerConnection::Open("a", server_->address(), *shown, kMaxMessageBytes);
  const auto hand_on = [&](const CallInfo& caller) {
    const auto listener = std::make_shared<End>();
    const auto call = connection->Start(kListDeliveries, ToCallerMetadata(caller),
                                        absl::InfiniteDuration(), listener);
    call->ReadNext();
    call->WriteLast("");
    return listener->end.get_future().get();
  };
  EXPECT_EQ(hand_on(info),
            absl::NotFoundError("ipv4:192.0.2.1:7|Bearer right|DNS:worker.internal"));

  CallInfo wrong = {.peer = "ipv4:192.0.2.1:7", .certificate_names = names};
  ASSERT_TRUE(wrong.metadata.AddFromWire("authorization", "Bearer wrong"));
  EXPECT_TRUE(absl::IsUnauthenticated(hand_on(wrong)));
}

}  // namespace
}  // namespace hookgate
