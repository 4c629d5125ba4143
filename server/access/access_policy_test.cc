#include "server/access/access_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Credentials WithToken(absl::string_view token) { return {.token = DigestOf(token)}; }
CertificateName Name(const std::string& text) { return ParseCertificateName(text).value(); }
Credentials WithCertificate(const std::string& name) { return {.certificate_names = {Name(name)}}; }

std::string Said(const absl::Status& status) { return std::string(status.message()); }

class AccessPolicyTest : public testing::Test {
 protected:
  AccessPolicyTest() {
    Principal worker;
    worker.name = "worker";
    worker.certificate_names = {Name("spiffe://example/worker"), Name("worker.internal"),
                                Name("worker@example"), Name("10.0.0.1")};
    worker.tokens = {DigestOf("worker token"), DigestOf("worker token of last year")};
    worker.subscribe = NameSet({"openai", "staging"});
    worker.consume = NameSet({"jobs", "mail.*"});
    Principal operators;
    operators.name = "operator";
    operators.tokens = {DigestOf("operator token")};
    operators.query = NameSet({"*"});
    operators.admin = true;
    operators.certificate_names = {Name("operator.internal")};
    policy_ = AccessPolicy({worker, operators});
  }
  AccessPolicy policy_;
  const Credentials worker_ = WithToken("worker token");
  const Credentials operator_ = WithToken("operator token");
};

TEST_F(AccessPolicyTest, WithoutPrincipalsEverythingIsAllowed) {
  const AccessPolicy open;
  EXPECT_TRUE(open.open());
  EXPECT_TRUE(open.CheckAdmin({}).ok());
  EXPECT_TRUE(open.CheckSources({}, Right::kSubscribe, {}).ok());
  EXPECT_TRUE(open.CheckConsume({}, "jobs").ok());
  EXPECT_TRUE(open.CheckAllSubscriptions({}).ok());
}

TEST_F(AccessPolicyTest, AnyTokenOrCertificateNameIdentifies) {
  for (const Credentials& credentials :
       {worker_, WithToken("worker token of last year"), WithCertificate("worker.internal"),
        WithCertificate("worker@example"), WithCertificate("10.0.0.1"),
        Credentials{.certificate_names = {Name("other"), Name("spiffe://example/worker")}}}) {
    EXPECT_EQ(policy_.NameOfCaller(credentials), "worker");
  }
  EXPECT_EQ(policy_.NameOfCaller(operator_), "operator");
}

TEST_F(AccessPolicyTest, WhoIsNotKnownIsUnauthenticated) {
  for (const Credentials& credentials :
       {Credentials{}, WithToken(""), WithToken("worker token "),
        WithCertificate("WORKER.internal"),
        Credentials{.certificate_names = {Name("worker.internal")}, .problem = "odd"},
        Credentials{.certificate_names = {Name("worker.internal"), Name("operator.internal")}}}) {
    const absl::Status status = policy_.CheckSources(credentials, Right::kSubscribe, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_EQ(ReasonOf(status), reason::kUnauthenticated);
    EXPECT_EQ(policy_.CheckAny(credentials, Right::kAdmin).code(), status.code());
    EXPECT_EQ(policy_.CheckConsume(credentials, "jobs").code(), status.code());
    EXPECT_EQ(policy_.CheckAllSubscriptions(credentials).code(), status.code());
  }
}

// All names of a certificate were once compared as texts: whoever could have a certificate for an
// e-mail address or a URI that reads like the host's name was the host.
TEST_F(AccessPolicyTest, NameOfAnotherKindIsAnotherName) {
  using Kind = CertificateName::Kind;
  for (const Kind kind : {Kind::kDns, Kind::kUri, Kind::kEmail, Kind::kIp}) {
    for (const char* text :
         {"worker.internal", "spiffe://example/worker", "worker@example", "10.0.0.1"}) {
      const Credentials credentials = {.certificate_names = {{kind, text}}};
      const bool same_kind = kind == Name(text).kind;
      EXPECT_EQ(policy_.NameOfCaller(credentials), same_kind ? "worker" : "") << text;
    }
  }
  const Credentials wildcard = {.certificate_names = {{Kind::kDns, "*.internal"}}};
  EXPECT_EQ(policy_.NameOfCaller(wildcard), "");
}

// A token that has been withdrawn must not be made good by a certificate: its sender should know.
TEST_F(AccessPolicyTest, TokenCountsMoreThanCertificate) {
  Credentials both = WithCertificate("worker.internal");
  both.token = DigestOf("operator token");
  EXPECT_EQ(policy_.NameOfCaller(both), "operator");
  both.token = DigestOf("unknown");
  EXPECT_EQ(policy_.Identify(both).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(AccessPolicyTest, DenialsNamePrincipalRightAndWhatItIsMissingFor) {
  EXPECT_TRUE(policy_.CheckSources(worker_, Right::kSubscribe, {"openai"}).ok());
  EXPECT_TRUE(policy_.CheckSources(worker_, Right::kSubscribe, {"openai", "staging"}).ok());
  const absl::Status denied =
      policy_.CheckSources(worker_, Right::kSubscribe, {"openai", "billing"});
  EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(denied), reason::kMissingRight);
  EXPECT_THAT(MetadataOf(denied), testing::ElementsAre(testing::Pair("principal", "worker"),
                                                       testing::Pair("right", "subscribe")));
  EXPECT_THAT(Said(denied),
              AllOf(HasSubstr("\"worker\""), HasSubstr("subscribe"), HasSubstr("\"billing\"")));
  EXPECT_THAT(Said(policy_.CheckSources(worker_, Right::kQuery, {"openai"})), HasSubstr("query"));
  EXPECT_THAT(Said(policy_.CheckAdmin(worker_)), HasSubstr("admin"));
  EXPECT_THAT(Said(policy_.CheckConsume(worker_, "other")), HasSubstr("consume"));
}

TEST_F(AccessPolicyTest, AllSourcesAreNeverNarrowedToThoseAllowed) {
  EXPECT_THAT(Said(policy_.CheckSources(worker_, Right::kSubscribe, {})),
              AllOf(HasSubstr("all sources"), HasSubstr("openai, staging")));
  EXPECT_TRUE(policy_.CheckSources(operator_, Right::kQuery, {}).ok());
  EXPECT_TRUE(policy_.CheckSources(operator_, Right::kQuery, {"any"}).ok());
}

TEST_F(AccessPolicyTest, SubscriptionsMayBeNamedByTheirPrefix) {
  EXPECT_TRUE(policy_.CheckConsume(worker_, "jobs").ok());
  EXPECT_TRUE(policy_.CheckConsume(worker_, "mail.daily").ok());
  EXPECT_FALSE(policy_.CheckConsume(worker_, "mail").ok());
  EXPECT_FALSE(policy_.CheckConsume(worker_, "mailer").ok());
  EXPECT_FALSE(policy_.CheckConsume(worker_, "*").ok());
}

TEST_F(AccessPolicyTest, AdminMayLookAtSubscriptionsButGetsNoEvents) {
  EXPECT_TRUE(policy_.CheckAllSubscriptions(operator_).ok());
  EXPECT_FALSE(policy_.CheckAllSubscriptions(worker_).ok());
  EXPECT_FALSE(policy_.CheckConsume(operator_, "jobs").ok());
  EXPECT_FALSE(policy_.CheckSources(operator_, Right::kSubscribe, {"openai"}).ok());
}

}  // namespace
}  // namespace hookgate
