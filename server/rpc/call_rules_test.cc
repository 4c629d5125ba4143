#include "server/rpc/call_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/v1/admin_service.pb.h"
#include "hookgate/v1/event_service.pb.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr Right kRights[] = {Right::kSubscribe, Right::kQuery, Right::kConsume, Right::kAdmin};

Credentials TokenOf(Right right) {
  Credentials credentials;
  credentials.token = DigestOf(NameOf(right));
  return credentials;
}

// A principal for each right, which has that one alone, for anything.
AccessPolicy PolicyOfOneRightEach() {
  const NameSet all(std::vector<std::string>{"*"});
  std::vector<Principal> principals;
  for (const Right right : kRights) {
    Principal principal;
    principal.name = std::string(NameOf(right));
    principal.tokens = {DigestOf(NameOf(right))};
    if (right == Right::kSubscribe) principal.subscribe = all;
    if (right == Right::kQuery) principal.query = all;
    if (right == Right::kConsume) principal.consume = all;
    principal.admin = right == Right::kAdmin;
    principals.push_back(std::move(principal));
  }
  return AccessPolicy(std::move(principals));
}

// Every method of the API, as a call's path says it.
std::vector<std::string> PathsOfAllMethods() {
  std::vector<std::string> paths;
  for (const google::protobuf::FileDescriptor* file :
       {v1::SubscribeRequest::descriptor()->file(), v1::ConsumeRequest::descriptor()->file(),
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

// The words of the config for the rights each of which is enough for `path`.
std::set<std::string> RightsFor(const AccessPolicy& policy, const std::string& path) {
  std::set<std::string> rights;
  for (const Right right : kRights) {
    if (CheckCall(policy, TokenOf(right), path).ok()) rights.insert(std::string(NameOf(right)));
  }
  return rights;
}

TEST(CallRulesTest, EachMethodHasItsRight) {
  const std::map<std::string, std::set<std::string>> exceptions = {
      {"/hookgate.v1.EventService/Subscribe", {"subscribe"}},
      // Operators look at subscriptions without the right to their events.
      {"/hookgate.v1.SubscriptionService/GetSubscription", {"consume", "admin"}},
      {"/hookgate.v1.SubscriptionService/ListSubscriptions", {"consume", "admin"}},
  };
  const std::map<std::string, std::set<std::string>> rights_of_services = {
      {"/hookgate.v1.EventService/", {"query"}},
      {"/hookgate.v1.SubscriptionService/", {"consume"}},
      {"/hookgate.v1.AdminService/", {"admin"}},
  };
  const AccessPolicy policy = PolicyOfOneRightEach();
  const std::vector<std::string> paths = PathsOfAllMethods();
  EXPECT_GE(paths.size(), 34u);
  for (const std::string& path : paths) {
    const auto exception = exceptions.find(path);
    const auto service = rights_of_services.find(path.substr(0, path.rfind('/') + 1));
    ASSERT_NE(service, rights_of_services.end()) << path << ": which right does it need?";
    EXPECT_EQ(RightsFor(policy, path),
              exception == exceptions.end() ? service->second : exception->second)
        << path;
  }
}

TEST(CallRulesTest, NobodyIsLetInWithoutCredentials) {
  const AccessPolicy policy = PolicyOfOneRightEach();
  for (const std::string& path : PathsOfAllMethods()) {
    EXPECT_TRUE(absl::IsUnauthenticated(CheckCall(policy, {}, path))) << path;
  }
  EXPECT_TRUE(absl::IsUnauthenticated(
      CheckCall(policy, {}, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")));
  EXPECT_TRUE(CheckCall(policy, {}, "/grpc.health.v1.Health/Check").ok());
}

TEST(CallRulesTest, WhoeverIsSomebodyMayUseReflection) {
  const AccessPolicy policy = PolicyOfOneRightEach();
  for (const Right right : kRights) {
    EXPECT_TRUE(CheckCall(policy, TokenOf(right),
                          "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
                    .ok());
  }
}

TEST(CallRulesTest, AMethodThatIsNotListedIsDeniedToAll) {
  const AccessPolicy policy = PolicyOfOneRightEach();
  for (const char* path :
       {"/hookgate.v1.AdminService/Shutdown", "/hookgate.v1.EventService/subscribe",
        "/hookgate.v1.EventService/Subscribe/", "hookgate.v1.EventService/Subscribe", "/", "",
        "/grpc.health.v1.Healthy/Check", "/other.Service/Method"}) {
    for (const Right right : kRights) {
      const absl::Status status = CheckCall(policy, TokenOf(right), path);
      EXPECT_EQ(ReasonOf(status), reason::kMissingRight) << path;
    }
  }
}

TEST(CallRulesTest, TheErrorNamesTheRightThatTheMethodIsFor) {
  const absl::Status status = CheckCall(PolicyOfOneRightEach(), TokenOf(Right::kQuery),
                                        "/hookgate.v1.SubscriptionService/GetSubscription");
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("consume"));
}

TEST(CallRulesTest, WithoutPrincipalsAllIsOpen) {
  for (const std::string& path : PathsOfAllMethods()) {
    EXPECT_TRUE(CheckCall(AccessPolicy(), {}, path).ok()) << path;
  }
}

}  // namespace
}  // namespace hookgate
