// What a real gateway says that it can do: the same in each place, and what docs/capabilities.md
// explains.

#include "server/delivery/capabilities.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/program.h"

namespace hookgate {
namespace {

using testing::Contains;
using testing::ElementsAreArray;

// The names of the page, as it lists them: "| `name` | meaning ...".
std::vector<std::string> Documented() {
  std::vector<std::string> documented;
  for (const absl::string_view line :
       absl::StrSplit(ReadTestFile(PathOfProgram("docs/capabilities.md")), '\n')) {
    if (!absl::StartsWith(line, "| `")) continue;
    const std::vector<std::string> parts = absl::StrSplit(line, '`');
    documented.push_back(parts[1]);
  }
  return documented;
}

class CapabilitiesTest : public GatewayTest {};

// A client can tell old gateways from new ones only if the list is there wherever it begins to
// talk, and a name helps only if it is explained.
TEST_F(CapabilitiesTest, TheListIsTheSameInEachPlaceAndOnThePage) {
  Start();
  const std::vector<std::string> documented = Documented();
  EXPECT_THAT(documented, Contains("update_mask"));
  EXPECT_THAT(kCapabilities, ElementsAreArray(documented));

  EXPECT_THAT(GetStatus().capabilities(), ElementsAreArray(documented));

  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_LATEST");
  const v1::SubscribeResponse subscribed = stream.Next();
  ASSERT_TRUE(subscribed.has_opened());
  EXPECT_THAT(subscribed.opened().capabilities(), ElementsAreArray(documented));

  v1::CreateSubscriptionRequest request;
  request.set_name("billing");
  request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
  v1::CreateSubscriptionResponse response;
  grpc::ClientContext context;
  const auto stub = v1::SubscriptionService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  ASSERT_TRUE(stub->CreateSubscription(&context, request, &response).ok());
  ConsumeCall call(gateway_->grpc(), "subscription: 'billing' consumer_name: 'a'");
  const v1::ConsumeResponse consumed = call.Next();
  ASSERT_TRUE(consumed.has_opened());
  EXPECT_THAT(consumed.opened().capabilities(), ElementsAreArray(documented));
}

}  // namespace
}  // namespace hookgate
