// Regression: a call with update_mask to an older gateway replaced all settings of a subscription,
// because such a gateway ignores the field.
#include "client/capabilities.h"

#include <chrono>

#include "client/connection.h"
#include "client/testing/fake_gateway.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

using ::hookgate::testing::FakeGateway;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Subscriptions = v1::SubscriptionService::StubInterface;

class CapabilitiesTest : public ::testing::Test {
 protected:
  CapabilitiesTest() {
    gateway_.subscriptions.update_subscription = [this](const auto&, auto*) {
      ++updates_;
      return grpc::Status::OK;
    };
    request_.mutable_update_mask()->add_paths("max_attempts");
  }

  void AnswerStatus(std::vector<std::string> capabilities, grpc::Status status = {}) {
    gateway_.admin.get_status = [capabilities, status](const auto&, auto* response) {
      for (const std::string& name : capabilities) response->add_capabilities(name);
      return status;
    };
  }

  GatewayError Update() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    v1::UpdateSubscriptionResponse response;
    return CheckedCall(connection_, connection_.subscriptions(), &Subscriptions::UpdateSubscription,
                       context, request_, &response);
  }

  FakeGateway gateway_;
  Connection connection_{gateway_.target()};
  v1::UpdateSubscriptionRequest request_;
  int updates_ = 0;
};

TEST_F(CapabilitiesTest, WithoutTheCapabilityTheRequestIsNotSent) {
  AnswerStatus({"etag"});
  const GatewayError error = Update();
  EXPECT_EQ(error.reason, kCapabilityMissing);
  EXPECT_EQ(error.metadata.at("capability"), "update_mask");
  EXPECT_TRUE(absl::IsUnimplemented(error.status));
  EXPECT_TRUE(IsPermanent(error));
  EXPECT_THAT(std::string(Explain(error, "cannot update", "gateway:1").message()),
              HasSubstr("cannot update: the gateway at gateway:1 does not have the capability "
                        "\"update_mask\""));
  EXPECT_EQ(updates_, 0);
}

TEST_F(CapabilitiesTest, WithItTheRequestIsSent) {
  AnswerStatus({"etag", "update_mask"});
  EXPECT_TRUE(Update().status.ok());
  EXPECT_EQ(updates_, 1);
}

TEST_F(CapabilitiesTest, AServerWithoutStatusHasNone) {
  EXPECT_EQ(Update().reason, kCapabilityMissing);
  EXPECT_EQ(updates_, 0);
}

TEST_F(CapabilitiesTest, ACallerThatMayNotAskSends) {
  AnswerStatus({},
               testing::GatewayStatus(grpc::StatusCode::PERMISSION_DENIED, "MISSING_RIGHT", ""));
  EXPECT_TRUE(Update().status.ok());
  EXPECT_EQ(updates_, 1);
}

TEST_F(CapabilitiesTest, AnotherErrorOfTheQuestionIsThatOfTheCall) {
  AnswerStatus({}, testing::GatewayStatus(grpc::StatusCode::UNAVAILABLE, "DRAINING", ""));
  EXPECT_EQ(Update().reason, "DRAINING");
  EXPECT_EQ(updates_, 0);
}

TEST_F(CapabilitiesTest, ARequestThatNeedsNoneAsksNothing) {
  request_.clear_update_mask();
  EXPECT_TRUE(Update().status.ok());
  EXPECT_EQ(updates_, 1);
}

TEST_F(CapabilitiesTest, ACallThatIsNotThereNamesItsCapability) {
  grpc::ClientContext context;
  v1::PauseSubscriptionResponse response;
  const GatewayError error =
      CheckedCall(connection_, connection_.subscriptions(), &Subscriptions::PauseSubscription,
                  context, v1::PauseSubscriptionRequest(), &response);
  EXPECT_EQ(error.reason, kCapabilityMissing);
  EXPECT_EQ(error.metadata.at("capability"), "pause");
}

TEST(FieldCapabilitiesTest, CountsOnlyFieldsThatAreSet) {
  v1::UpdateSubscriptionRequest update;
  EXPECT_THAT(FieldCapabilities(update), IsEmpty());
  update.set_etag("e");
  update.mutable_update_mask();
  EXPECT_THAT(FieldCapabilities(update), ElementsAre("etag", "update_mask"));
  v1::DiscardDeadLettersRequest discard;
  discard.set_preview(true);
  EXPECT_THAT(FieldCapabilities(discard), ElementsAre("preview"));
}

}  // namespace
}  // namespace hookgate
