// Who may come in over gRPC, against a real gateway: TLS, client certificates, tokens and rights.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "server/access/access_policy.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"
#include "tests/support/test_certificates.h"
#include "tests/support/untyped_call.h"

namespace hookgate {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kSources[] = R"(
  sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } }
  sources { name: "staging" secrets { name: "a" file: "SECRET_FILE" } })";

constexpr char kLatest[] = "start_position: START_POSITION_LATEST";

// The token that a test calls `name`, long enough that nothing else looks like it.
std::string TokenOf(const std::string& name) {
  std::string token = absl::StrCat("hush-hush-", name, "-5f1c9a7e3b");
  SecretWatch::OfThisProgram().KeepToken(absl::StrCat("the token of \"", name, "\""), token);
  return token;
}

std::string Sha256(const std::string& token) {
  const TokenDigest digest = DigestOf(token);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// A principal known by a token, or several, that TokenOf makes of `tokens`, and its rights.
std::string WithTokens(const std::string& name, const std::vector<std::string>& tokens,
                       const std::string& rights) {
  std::string text = absl::StrCat(" principals { name: \"", name, "\" rights { ", rights, " }");
  for (const std::string& token : tokens) {
    absl::StrAppend(&text, " token_sha256: \"", Sha256(TokenOf(token)), "\"");
  }
  return text + " }";
}

std::string AllRights(const std::string& token) {
  return WithTokens("all", {token}, R"(subscribe: "*" query: "*" consume: "*" admin: true)");
}

void Prepare(grpc::ClientContext& context, const std::string& token) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + TokenOf(token));
}

template <typename Request>
Request Parse(const std::string& text) {
  Request request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

// One Subscribe call with a token.
class TokenStream {
 public:
  TokenStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& token,
              const std::string& request)
      : stub_(v1::EventService::NewStub(channel)) {
    Prepare(context_, token);
    reader_ = stub_->Subscribe(&context_, Parse<v1::SubscribeRequest>(request));
  }
  // The next event's sequence, over other frames; 0 at the end.
  int64_t NextSequence() {
    v1::SubscribeResponse frame;
    while (reader_->Read(&frame)) {
      if (frame.has_event_batch()) return frame.event_batch().events(0).sequence();
    }
    return 0;
  }
  bool Opened() {
    v1::SubscribeResponse frame;
    return reader_->Read(&frame) && frame.has_opened();
  }
  grpc::Status Finish() {
    while (NextSequence() != 0) {
    }
    return reader_->Finish();
  }

 private:
  const std::unique_ptr<v1::EventService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
};

class AccessTest : public GatewayTest {
 protected:
  // With tokens over plain text on loopback.
  void StartWith(const std::string& principals) {
    StartWithConfig(kSources + principals);
    channel_ = grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials());
  }

  // Any method, with bytes for a request.
  grpc::Status CallRaw(const std::string& path, const std::string& bytes,
                       const std::string& token) {
    grpc::ClientContext context;
    Prepare(context, token);
    return CallUntyped(channel_, context, path, bytes);
  }
  grpc::Status Call(const std::string& path, const google::protobuf::Message& request,
                    const std::string& token) {
    return CallRaw("/hookgate.v1." + path, request.SerializeAsString(), token);
  }
  grpc::Status Subscribe(const std::string& request, const std::string& token) {
    return TokenStream(channel_, token, request).Finish();
  }

  // Of every method of every service that the gateway defines.
  static std::vector<std::string> AllMethods() {
    std::vector<std::string> paths;
    for (const auto* file :
         {v1::GetEventRequest::descriptor()->file(), v1::PullRequest::descriptor()->file(),
          v1::GetStatusRequest::descriptor()->file()}) {
      for (int s = 0; s < file->service_count(); ++s) {
        for (int m = 0; m < file->service(s)->method_count(); ++m) {
          paths.push_back(absl::StrCat("/", file->service(s)->full_name(), "/",
                                       file->service(s)->method(m)->name()));
        }
      }
    }
    return paths;
  }

  std::shared_ptr<grpc::Channel> channel_;
};

constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
constexpr char kListServices[] = "\x3a";  // field 7, and then its length: 0

TEST_F(AccessTest, NoMethodAnswersAStranger) {
  StartWith(AllRights("right"));
  ASSERT_GE(AllMethods().size(), 22u);
  for (const std::string& path : AllMethods()) {
    EXPECT_EQ(CallRaw(path, "", "").error_code(), StatusCode::UNAUTHENTICATED) << path;
    EXPECT_EQ(CallRaw(path, "", "wrong").error_code(), StatusCode::UNAUTHENTICATED) << path;
  }
  EXPECT_EQ(CallRaw("/no.such.Service/Method", "", "").error_code(), StatusCode::UNAUTHENTICATED);
}

// Not one is missing among the rules, and a principal without rights gets nowhere.
TEST_F(AccessTest, EveryMethodNeedsARight) {
  StartWith(AllRights("right") + WithTokens("nobody", {"powerless"}, ""));
  for (const std::string& path : AllMethods()) {
    const grpc::Status denied = CallRaw(path, "", "powerless");
    EXPECT_EQ(denied.error_code(), StatusCode::PERMISSION_DENIED) << path;
    EXPECT_THAT(denied.error_message(), AllOf(HasSubstr("\"nobody\""), HasSubstr("right")));
    // These bytes are no request, so what is not denied fails in another way.
    const StatusCode allowed = CallRaw(path, "\xff", "right").error_code();
    EXPECT_NE(allowed, StatusCode::PERMISSION_DENIED) << path;
    EXPECT_NE(allowed, StatusCode::UNAUTHENTICATED) << path;
  }
}

TEST_F(AccessTest, HealthIsOpenAndReflectionNeedsAnIdentity) {
  StartWith(WithTokens("nobody", {"powerless"}, ""));
  const std::string list_services = std::string(kListServices) + '\0';
  EXPECT_TRUE(CallRaw(kHealth, "", "").ok());
  EXPECT_EQ(CallRaw(kReflection, list_services, "").error_code(), StatusCode::UNAUTHENTICATED);
  const grpc::Status known = CallRaw(kReflection, list_services, "powerless");
  EXPECT_TRUE(known.ok()) << known.error_message();
}

TEST_F(AccessTest, MalformedAuthorizationIsRefusedAndExplained) {
  StartWith(AllRights("right"));
  const std::string token = TokenOf("right");
  for (const std::string& header : {token, std::string("Bearer "), "Basic " + token}) {
    const auto stub = v1::EventService::NewStub(channel_);
    grpc::ClientContext context;
    context.AddMetadata("authorization", header);
    v1::ListEventsResponse response;
    const grpc::Status status = stub->ListEvents(&context, v1::ListEventsRequest(), &response);
    EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED) << header;
    EXPECT_THAT(status.error_message(), HasSubstr("Bearer TOKEN"));
  }
}

TEST_F(AccessTest, RightsAreThoseOfTheSource) {
  StartWith(WithTokens("reader", {"reader"}, R"(subscribe: "openai" query: "staging")") +
            AllRights("right"));
  Store({});
  Store({.source = "staging"});
  constexpr char kOpenai[] =
      R"(filter { sources: "openai" } start_position: START_POSITION_EARLIEST)";
  EXPECT_EQ(TokenStream(channel_, "reader", kOpenai).NextSequence(), 1);
  const grpc::Status other = Subscribe(R"(filter { sources: "staging" })", "reader");
  EXPECT_EQ(other.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(other.error_message(),
              AllOf(HasSubstr("\"reader\""), HasSubstr("subscribe"), HasSubstr("\"staging\"")));
  // Not narrowed to openai: a subscriber must not take a part for the whole.
  const grpc::Status all = Subscribe("", "reader");
  EXPECT_EQ(all.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(all.error_message(), HasSubstr("openai"));
  const auto list = [](const std::string& filter) {
    return Parse<v1::ListEventsRequest>("filter { " + filter + " }");
  };
  EXPECT_TRUE(Call("EventService/ListEvents", list("sources: 'staging'"), "reader").ok());
  EXPECT_EQ(Call("EventService/ListEvents", list("sources: 'openai'"), "reader").error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Call("EventService/ListEvents", list(""), "reader").error_code(),
            StatusCode::PERMISSION_DENIED);
  const auto get = [&](int64_t sequence, const std::string& token) {
    v1::GetEventRequest request;
    request.set_sequence(sequence);
    return Call("EventService/GetEvent", request, token);
  };
  EXPECT_TRUE(get(2, "reader").ok());
  EXPECT_TRUE(get(1, "right").ok());
  EXPECT_EQ(get(1, "reader").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(get(99, "reader").error_code(), StatusCode::NOT_FOUND);
}

// What the gateway tells about itself names subscriptions, sources and errors of the config.
TEST_F(AccessTest, OperatorEventsNeedTheRightForTheirSource) {
  StartWith(WithTokens("reader", {"reader"}, R"(subscribe: "openai")") +
            WithTokens("pager", {"pager"}, R"(subscribe: "hookgate" query: "hookgate")"));
  const std::string filter = R"(filter { sources: "hookgate" })";
  EXPECT_EQ(Subscribe(filter, "reader").error_code(), StatusCode::PERMISSION_DENIED);
  const auto request = Parse<v1::ListEventsRequest>(filter);
  EXPECT_EQ(Call("EventService/ListEvents", request, "reader").error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Call("EventService/ListEvents", request, "pager").ok());
}

TEST_F(AccessTest, SubscriptionsNeedConsumeAndTheirSources) {
  StartWith(WithTokens("mailer", {"mailer"}, R"(subscribe: "openai" consume: "mail.*")") +
            WithTokens("worker", {"worker"}, R"(consume: "mail.daily")") +
            WithTokens("operator", {"operator"}, "admin: true"));
  const auto create = [this](const std::string& name, const std::string& filter) {
    return Call("SubscriptionService/CreateSubscription",
                Parse<v1::CreateSubscriptionRequest>(absl::StrCat(
                    "name: '", name,
                    "' start { start_position: START_POSITION_EARLIEST } settings { filter { ",
                    filter, " } }")),
                "mailer");
  };
  EXPECT_TRUE(create("mail.daily", "sources: 'openai'").ok());
  EXPECT_THAT(create("jobs", "sources: 'openai'").error_message(),
              AllOf(HasSubstr("consume"), HasSubstr("\"jobs\"")));
  EXPECT_THAT(create("mail.more", "sources: 'staging'").error_message(),
              AllOf(HasSubstr("subscribe"), HasSubstr("\"staging\"")));
  EXPECT_EQ(create("mail.all", "").error_code(), StatusCode::PERMISSION_DENIED);
  const auto pull = [this](const std::string& name, const std::string& token) {
    return Call("SubscriptionService/Pull",
                Parse<v1::PullRequest>(
                    absl::StrCat("subscription: '", name, "' consumer_name: 'c' max_events: 1")),
                token);
  };
  EXPECT_TRUE(pull("mail.daily", "mailer").ok());
  // Whether there is one is nobody's business who may not consume it.
  EXPECT_EQ(pull("jobs", "mailer").error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(pull("mail.daily", "operator").error_code(), StatusCode::PERMISSION_DENIED);
  const auto show = Parse<v1::GetSubscriptionRequest>("name: 'mail.daily'");
  EXPECT_TRUE(Call("SubscriptionService/GetSubscription", show, "operator").ok());
  const v1::ListSubscriptionsRequest list;
  EXPECT_TRUE(Call("SubscriptionService/ListSubscriptions", list, "operator").ok());
  EXPECT_EQ(Call("SubscriptionService/ListSubscriptions", list, "mailer").error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Call("AdminService/GetStatus", v1::GetStatusRequest(), "operator").ok());
  EXPECT_THAT(Call("AdminService/GetStatus", v1::GetStatusRequest(), "mailer").error_message(),
              HasSubstr("admin"));
  const auto update = [this](const std::string& settings, const std::string& token) {
    return Call("SubscriptionService/UpdateSubscription",
                Parse<v1::UpdateSubscriptionRequest>("name: 'mail.daily' settings { " + settings),
                token);
  };
  const std::string attempts = "max_attempts: 3 } update_mask { paths: 'max_attempts' }";
  const std::string types = "filter { types: 'a' } } update_mask { paths: 'filter.types' }";
  const std::string sources =
      "filter { sources: 'staging' } } update_mask { paths: 'filter.sources' }";
  EXPECT_TRUE(update(attempts, "mailer").ok());
  EXPECT_TRUE(update(types, "mailer").ok());
  EXPECT_EQ(update(sources, "mailer").error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(update(attempts, "worker").ok()) << "it opens nothing";
  EXPECT_EQ(update(types, "worker").error_code(), StatusCode::PERMISSION_DENIED)
      << "it could open other events of the source";
  EXPECT_EQ(update(attempts, "operator").error_code(), StatusCode::PERMISSION_DENIED);
  const auto redeliver = [this](const std::string& more, const std::string& token) {
    return Call("SubscriptionService/RedeliverEvents",
                Parse<v1::RedeliverEventsRequest>("subscription: 'mail.daily' " + more), token);
  };
  EXPECT_TRUE(redeliver("sequences: 1", "worker").ok());
  EXPECT_EQ(redeliver("sequences: 1 include_not_admitted: true", "worker").error_code(),
            StatusCode::PERMISSION_DENIED)
      << "other events of the source were not given to it";
  EXPECT_EQ(
      redeliver("selection { start_time {} include_not_admitted: true }", "worker").error_code(),
      StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(redeliver("sequences: 1 include_not_admitted: true", "mailer").ok());
  EXPECT_EQ(redeliver("sequences: 1", "operator").error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Call("SubscriptionService/ListJobs", Parse<v1::ListJobsRequest>("subscription: 'jobs'"),
                 "worker")
                .error_code(),
            StatusCode::PERMISSION_DENIED);
  const auto pause = Parse<v1::PauseSubscriptionRequest>("name: 'mail.daily'");
  EXPECT_TRUE(Call("SubscriptionService/PauseSubscription", pause, "worker").ok());
  EXPECT_EQ(Call("SubscriptionService/PauseSubscription", pause, "operator").error_code(),
            StatusCode::PERMISSION_DENIED);
  const auto remove = Parse<v1::DeleteSubscriptionRequest>("name: 'mail.daily'");
  EXPECT_EQ(Call("SubscriptionService/DeleteSubscription", remove, "operator").error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Call("SubscriptionService/DeleteSubscription", remove, "mailer").ok());
  EXPECT_THAT(gateway_->log(),
              AllOf(HasSubstr("DeleteSubscription"), HasSubstr("\"principal\":\"mailer\"")));
}

TEST_F(AccessTest, ReloadRotatesTokensAndEndsStreamsThatLostTheirRight) {
  const std::string rights = R"(subscribe: "*" consume: "*")";
  StartWith(WithTokens("worker", {"old"}, rights));
  TokenStream with_old(channel_, "old", kLatest);
  ASSERT_TRUE(with_old.Opened());
  EXPECT_EQ(Subscribe("", "new").error_code(), StatusCode::UNAUTHENTICATED);
  Reload(kSources + WithTokens("worker", {"old", "new"}, rights));
  TokenStream with_new(channel_, "new", kLatest);
  ASSERT_TRUE(with_new.Opened());
  Store({});
  EXPECT_EQ(with_old.NextSequence(), 1);
  EXPECT_EQ(with_new.NextSequence(), 1);
  Reload(kSources + WithTokens("worker", {"new"}, rights));
  EXPECT_EQ(with_old.Finish().error_code(), StatusCode::UNAUTHENTICATED);
  Store({});
  EXPECT_EQ(with_new.NextSequence(), 2);
  Reload(kSources + WithTokens("worker", {"new"}, R"(subscribe: "staging")"));
  const grpc::Status end = with_new.Finish();
  EXPECT_EQ(end.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(end.error_message(), HasSubstr("subscribe"));
}

// SIGHUP with an emptied, cut or missing config opened gRPC to everybody, and said "config
// applied".
TEST_F(AccessTest, ReloadNeverOpensTheDoor) {
  const std::string config = kSources + AllRights("right");
  StartWith(AllRights("right"));
  TokenStream stream(channel_, "right", kLatest);
  ASSERT_TRUE(stream.Opened());
  for (const std::string& next : {std::string(), std::string("# nothing\n"), std::string(kSources),
                                  std::string("grpc { allow_insecure: true }") + kSources,
                                  config.substr(0, config.size() - 10), config.substr(0, 50)}) {
    Reload(next);
    EXPECT_EQ(Subscribe("", "").error_code(), StatusCode::UNAUTHENTICATED) << next;
    EXPECT_EQ(Subscribe("", "wrong").error_code(), StatusCode::UNAUTHENTICATED) << next;
  }
  EXPECT_THAT(gateway_->log(),
              AllOf(HasSubstr("principals: there were 1"), HasSubstr("restart"),
                    Not(HasSubstr("\"config applied\"")), Not(HasSubstr("gRPC is open"))));
  // What had been open still is, and the right config is still taken.
  Store({});
  EXPECT_EQ(stream.NextSequence(), 1);
  Reload(config);
  EXPECT_THAT(gateway_->log(), HasSubstr("\"config applied\""));
}

TEST_F(AccessTest, ReloadEndsConsumersThatLostTheirRight) {
  StartWith(AllRights("right"));
  ASSERT_TRUE(Call("SubscriptionService/CreateSubscription",
                   Parse<v1::CreateSubscriptionRequest>(
                       "name: 'jobs' start { start_position: START_POSITION_EARLIEST }"),
                   "right")
                  .ok());
  const auto stub = v1::SubscriptionService::NewStub(channel_);
  grpc::ClientContext context;
  Prepare(context, "right");
  const auto stream = stub->Consume(&context);
  stream->Write(Parse<v1::ConsumeRequest>("open { subscription: 'jobs' consumer_name: 'c' }"));
  v1::ConsumeResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  ASSERT_TRUE(frame.has_opened());
  Reload(kSources + WithTokens("all", {"right"}, R"(consume: "other")"));
  while (stream->Read(&frame)) {
  }
  const grpc::Status end = stream->Finish();
  EXPECT_EQ(end.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(end.error_message(), AllOf(HasSubstr("consume"), HasSubstr("\"jobs\"")));
}

class TlsTest : public AccessTest {
 protected:
  static void Write(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  std::string Config(const std::string& principals) const {
    return absl::StrCat(kSources, " grpc { tls { certificate_file: \"", certificate_file_,
                        "\" key_file: \"", key_file_, "\" client_ca_file: \"", client_ca_file_,
                        "\" } }", principals);
  }
  // To whom only certificates of `authority` are good, with a certificate of its own if given.
  std::shared_ptr<grpc::Channel> Connect(const TestAuthority& authority,
                                         const TestCertificate& own = {}) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(
        gateway_->grpc(), grpc::SslCredentials({authority.certificate(), own.key, own.certificate}),
        arguments);
  }
  // Whether a first call gets through.
  static grpc::Status Try(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
    const auto stub = v1::EventService::NewStub(channel);
    grpc::ClientContext context;
    Prepare(context, token);
    v1::ListEventsResponse response;
    return stub->ListEvents(&context, v1::ListEventsRequest(), &response);
  }

  const TestAuthority authority_;
  const TestAuthority other_authority_;
  const TestCertificate server_ = authority_.Issue();
  const std::string certificate_file_ = WriteFile(server_.certificate);
  const std::string key_file_ = WriteFile(server_.key);
  const std::string client_ca_file_ = WriteFile(authority_.certificate());
};

TEST_F(TlsTest, OnlyWhoTrustsTheCertificateGetsThrough) {
  StartWithConfig(Config(AllRights("right")));
  EXPECT_TRUE(Try(Connect(authority_), "right").ok());
  EXPECT_EQ(Try(Connect(authority_), "").error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Try(Connect(other_authority_), "right").error_code(), StatusCode::UNAVAILABLE);
  const auto plain = grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(Try(plain, "right").error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, WithoutClientCaClientsAreNotAskedForACertificate) {
  StartWithConfig(absl::StrCat(kSources, " grpc { tls { certificate_file: \"", certificate_file_,
                               "\" key_file: \"", key_file_, "\" } }", AllRights("right")));
  EXPECT_TRUE(Try(Connect(authority_), "right").ok());
  const TestCertificate own = authority_.Issue("DNS:worker.internal");
  EXPECT_TRUE(Try(Connect(authority_, own), "right").ok());
  const grpc::Status by_certificate = Try(Connect(authority_, own), "");
  EXPECT_EQ(by_certificate.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(by_certificate.error_message(), Not(HasSubstr("worker")));
}

// Who has no certificate of the authority gets no further than the handshake: not even to health,
// and not with a token.
TEST_F(TlsTest, ClientCertificatesCanBeRequired) {
  const std::string config = Config(AllRights("right"));
  StartWithConfig(absl::StrReplaceAll(config, {{"client_ca_file",
                                                "client_ca_required: true "
                                                "client_ca_file"}}));
  EXPECT_TRUE(Try(Connect(authority_, authority_.Issue("DNS:worker")), "right").ok());
  EXPECT_EQ(Try(Connect(authority_, authority_.Issue("DNS:worker")), "").error_code(),
            StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Try(Connect(authority_), "right").error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Try(Connect(authority_, other_authority_.Issue("DNS:worker")), "right").error_code(),
            StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, NameInTheClientCertificateIsAnIdentity) {
  StartWithConfig(Config(R"(
      principals { name: "worker" certificate_names: "spiffe://example/worker"
                   certificate_names: "worker.internal" rights { query: "*" } })"));
  for (const char* names : {"URI:spiffe://example/worker", "DNS:other,DNS:worker.internal"}) {
    const grpc::Status known = Try(Connect(authority_, authority_.Issue(names)), "");
    EXPECT_TRUE(known.ok()) << names << ": " << known.error_message();
  }
  const grpc::Status unknown = Try(Connect(authority_, authority_.Issue("DNS:stranger")), "");
  EXPECT_EQ(unknown.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(unknown.error_message(), HasSubstr("stranger"));
  EXPECT_EQ(Try(Connect(authority_), "").error_code(), StatusCode::UNAUTHENTICATED);
  // The right name, signed by somebody else.
  const auto forged = other_authority_.Issue("DNS:worker.internal");
  EXPECT_EQ(Try(Connect(authority_, forged), "").error_code(), StatusCode::UNAVAILABLE);
}

// An e-mail address or a URI in the certificate that reads like the host's name once was the host.
TEST_F(TlsTest, NamesOfTheClientCertificateAreComparedByKind) {
  StartWithConfig(Config(R"(
      principals { name: "host" certificate_names: "worker.internal" rights { query: "*" } }
      principals { name: "service" certificate_names: "spiffe://example/worker"
                   rights { query: "*" } }
      principals { name: "person" certificate_names: "worker@example" rights { query: "*" } }
      principals { name: "address" certificate_names: "10.0.0.1" rights { query: "*" } })"));
  for (const char* names : {"DNS:worker.internal", "URI:spiffe://example/worker",
                            "email:worker@example", "IP:10.0.0.1"}) {
    const grpc::Status status = Try(Connect(authority_, authority_.Issue(names)), "");
    EXPECT_TRUE(status.ok()) << names << ": " << status.error_message();
  }
  for (const char* names :
       {"email:worker.internal", "URI:worker.internal", "DNS:spiffe://example/worker",
        "email:spiffe://example/worker", "DNS:worker@example", "URI:worker@example", "DNS:10.0.0.1",
        "URI:10.0.0.1", "IP:10.0.0.2", "DNS:*.internal", "DNS:WORKER.internal"}) {
    const grpc::Status status = Try(Connect(authority_, authority_.Issue(names)), "");
    EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED) << names;
  }
}

TEST_F(TlsTest, CertificateIsReadAgainWhenItsFilesChangeAndOnSighup) {
  StartWithConfig(Config(AllRights("right")));
  TokenStream stream(Connect(authority_), "right", kLatest);
  ASSERT_TRUE(stream.Opened());
  const TestCertificate next = other_authority_.Issue();
  Write(certificate_file_, next.certificate);
  Write(key_file_, next.key);
  ASSERT_TRUE(Eventually("the new certificate is served",
                         [&] { return Try(Connect(other_authority_), "right").ok(); }));
  EXPECT_EQ(Try(Connect(authority_), "right").error_code(), StatusCode::UNAVAILABLE);
  // At once on SIGHUP.
  Write(certificate_file_, server_.certificate);
  Write(key_file_, server_.key);
  Reload(Config(AllRights("right")));
  EXPECT_TRUE(Try(Connect(authority_), "right").ok());
  // A pair that does not fit is refused, and the one in force goes on.
  Write(key_file_, next.key);
  Reload(Config(AllRights("right")));
  EXPECT_THAT(gateway_->log(), HasSubstr("is not the key of the certificate"));
  EXPECT_TRUE(Try(Connect(authority_), "right").ok());
  // The stream has seen none of it.
  Store({});
  EXPECT_EQ(stream.NextSequence(), 1);
}

// The command line says what to do, and never shows the token.
TEST_F(TlsTest, CommandLineUsesTlsCertificatesAndTokens) {
  StartWithConfig(Config(AllRights("right") + R"(
      principals { name: "worker" certificate_names: "worker.internal" rights { query: "*" } })"));
  const auto events = [this](std::vector<std::string> flags,
                             const std::vector<std::string>& variables = {}) {
    flags.insert(flags.begin(), {"events", "--grpc=" + gateway_->grpc(), "--timeout=10s"});
    return RunProgram(kHookgate, flags, variables);
  };
  const std::string ca = "--tls-ca=" + client_ca_file_;
  const ProgramOutcome by_variable = events({ca}, {"HOOKGATE_TOKEN=" + TokenOf("right")});
  EXPECT_EQ(by_variable.exit_code, 0) << by_variable.err;
  const ProgramOutcome by_file = events({ca, "--token-file=" + WriteFile(TokenOf("right") + "\n")});
  EXPECT_EQ(by_file.exit_code, 0) << by_file.err;
  const TestCertificate own = authority_.Issue("DNS:worker.internal");
  const ProgramOutcome by_certificate =
      events({ca, "--tls-cert=" + WriteFile(own.certificate), "--tls-key=" + WriteFile(own.key)});
  EXPECT_EQ(by_certificate.exit_code, 0) << by_certificate.err;
  EXPECT_THAT(events({ca}).err, HasSubstr("token"));
  const ProgramOutcome wrong = events({ca}, {"HOOKGATE_TOKEN=" + TokenOf("unknown")});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("token"), Not(HasSubstr("hush"))));
  const std::string other = "--tls-ca=" + WriteFile(other_authority_.certificate());
  EXPECT_THAT(events({other}, {"HOOKGATE_TOKEN=" + TokenOf("right")}).err, HasSubstr("signed"));
  EXPECT_THAT(events({}, {"HOOKGATE_TOKEN=" + TokenOf("right")}).err, HasSubstr("TLS"));
  EXPECT_EQ(events({"--tls-ca=/no/such/file"}).exit_code, 2);
  EXPECT_THAT(events({"--tls-ca=/no/such/file"}).err, HasSubstr("--tls-ca: /no/such/file"));
}

TEST_F(TlsTest, AddressThatOthersReachNeedsTlsAndPrincipals) {
  const auto start = [](const std::string& config) {
    return RunProgram(
        kHookgated, {"--config=" + WriteFile(config), "--grpc_address=0.0.0.0:0", "--check_config"},
        {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)});
  };
  const std::string tls = absl::StrCat("grpc { tls { certificate_file: \"", certificate_file_,
                                       "\" key_file: \"", key_file_, "\" } }");
  EXPECT_THAT(start("").err, AllOf(HasSubstr("grpc.address"), HasSubstr("TLS"),
                                   HasSubstr("principals"), HasSubstr("allow_insecure")));
  EXPECT_THAT(start(tls).err, HasSubstr("name principals"));
  EXPECT_THAT(start(AllRights("right")).err, HasSubstr("grpc.tls"));
  const ProgramOutcome right = start(tls + AllRights("right"));
  EXPECT_EQ(right.exit_code, 0) << right.err;
}

}  // namespace
}  // namespace hookgate
