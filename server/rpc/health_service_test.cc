#include "server/rpc/health_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/fake_call.h"

namespace hookgate {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kService[] = "hookgate.v1.EventService";

class HealthServiceTest : public testing::Test {
 protected:
  HealthServiceTest() { health_.AddTo(table_); }

  // A call of one of its methods, with its request.
  struct Probe {
    std::shared_ptr<FakeCall> call = std::make_shared<FakeCall>();
    std::shared_ptr<CallHandler> handler;

    int Next() {
      HealthCheckResponse response;
      const Message message = call->Next(*handler);
      EXPECT_TRUE(message != nullptr && response.ParseFromString(*message));
      return response.status();
    }
  };
  Probe Ask(const std::string& method, const std::string& service) {
    Probe probe;
    const std::vector<CertificateName> none;
    const CallInfo info = {.certificate_names = none};
    const auto* const entry = table_.Find("/grpc.health.v1.Health/" + method);
    auto handler = entry->method.factory(probe.call, info);
    EXPECT_TRUE(handler.ok()) << handler.status();
    probe.handler = *std::move(handler);
    EXPECT_TRUE(probe.call->TakeRead());
    HealthCheckRequest request;
    request.set_service(service);
    probe.handler->OnMessage(request.SerializeAsString());
    probe.handler->OnHalfClose();
    return probe;
  }

  const std::vector<std::string> services_ = {kService};
  HealthService health_{services_};
  MethodTable table_{[](const CallInfo&) { return Admission(); }};
};

TEST_F(HealthServiceTest, CheckKnowsTheWholeAndEachServiceByItsName) {
  for (const char* service : {"", kService}) {
    EXPECT_EQ(Ask("Check", service).Next(), HealthCheckResponse::SERVING);
  }
  EXPECT_TRUE(absl::IsNotFound(Ask("Check", "other").call->AwaitStatus()));
  health_.StopServing();
  health_.EndWatches();
  EXPECT_EQ(Ask("Check", "").Next(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthServiceTest, WatchTellsTheStatusAndItsChangeThenTheEnd) {
  Probe watch = Ask("Watch", kService);
  EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVING);
  EXPECT_EQ(watch.handler->NextMessage(), nullptr);
  health_.StopServing();
  health_.EndWatches();
  EXPECT_EQ(watch.Next(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(watch.call->Next(*watch.handler), nullptr);
  EXPECT_EQ(ReasonOf(watch.call->AwaitStatus()), reason::kDraining);
  watch.handler->OnEnd(CallEnd::kFinished);
  EXPECT_EQ(ReasonOf(Ask("Watch", "").call->AwaitStatus()), reason::kDraining);
}

// A service that is not there did not stop: to the one that waits for it, it is not there yet.
TEST_F(HealthServiceTest, WatchOfWhatIsNotServedStaysUnknown) {
  Probe watch = Ask("Watch", "other");
  EXPECT_EQ(watch.Next(), HealthCheckResponse::SERVICE_UNKNOWN);
  health_.StopServing();
  EXPECT_EQ(watch.handler->NextMessage(), nullptr);
  watch.handler->OnEnd(CallEnd::kCancelled);
}

// 40,000 Watch calls of a stranger cost 700 MiB.
TEST_F(HealthServiceTest, WatchesAreBounded) {
  std::vector<Probe> watches;
  for (size_t i = 0; i < HealthService::kMaxWatches; ++i) watches.push_back(Ask("Watch", ""));
  EXPECT_EQ(ReasonOf(Ask("Watch", "").call->AwaitStatus()), reason::kTooManyStreams);
  watches.back().handler->OnEnd(CallEnd::kCancelled);
  watches.pop_back();
  EXPECT_EQ(Ask("Watch", "").Next(), HealthCheckResponse::SERVING);
}

TEST_F(HealthServiceTest, BytesThatAreNotARequestAreRefused) {
  for (const char* method : {"Check", "Watch"}) {
    Probe probe = Ask(method, "");
    const std::vector<CertificateName> none;
    probe.handler = *table_.Find(absl::StrCat("/grpc.health.v1.Health/", method))
                         ->method.factory(probe.call = std::make_shared<FakeCall>(),
                                          CallInfo{.certificate_names = none});
    probe.handler->OnMessage("\xff");
    EXPECT_EQ(ReasonOf(probe.call->AwaitStatus()), reason::kInvalidRequest);
    probe.handler->OnEnd(CallEnd::kFinished);
  }
}

}  // namespace
}  // namespace hookgate
