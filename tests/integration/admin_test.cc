// Status and quarantine of a real gateway.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class AdminTest : public GatewayTest {
 protected:
  std::unique_ptr<v1::AdminService::Stub> Connect() {
    return v1::AdminService::NewStub(
        grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  }
  v1::ListQuarantinedResponse ListQuarantined() {
    grpc::ClientContext context;
    v1::ListQuarantinedResponse response;
    EXPECT_TRUE(Connect()->ListQuarantined(&context, {}, &response).ok());
    return response;
  }
  v1::RetryQuarantinedResponse Retry(int64_t id) {
    grpc::ClientContext context;
    v1::RetryQuarantinedRequest request;
    request.add_ids(id);
    v1::RetryQuarantinedResponse response;
    EXPECT_TRUE(Connect()->RetryQuarantined(&context, request, &response).ok());
    return response;
  }
};

TEST_F(AdminTest, StatusCountsWhatBecameOfWebhooks) {
  Start();
  Store({.webhook_id = "wh_1"});
  Send({.webhook_id = "wh_1"});
  Send({.webhook_id = "wh_1", .body = BatchFailedBody("another")});
  Send({.body = "{"});
  Send({.secret = kWrongSecret});
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_LATEST");
  ASSERT_TRUE(stream.Next().has_opened());
  const v1::GetStatusResponse status = GetStatus();
  EXPECT_TRUE(status.ready());
  EXPECT_THAT(status.not_ready_reasons(), IsEmpty());
  EXPECT_EQ(status.ingest().stored(), 1);
  EXPECT_EQ(status.ingest().duplicates(), 1);
  EXPECT_EQ(status.ingest().conflicts(), 1);
  EXPECT_EQ(status.ingest().quarantined(), 1);
  EXPECT_EQ(status.ingest().refused(), 1);
  EXPECT_EQ(status.quarantine().entries(), 1);
  EXPECT_EQ(status.earliest_sequence(), 1);
  EXPECT_EQ(status.head_sequence(), 1);
  EXPECT_EQ(status.open_streams(), 1);
  EXPECT_GT(status.start_time().seconds(), 0);
}

TEST_F(AdminTest, StatusTellsWhichSecretsAreStillInUse) {
  StartWithConfig(R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" }
                               secrets { name: "new" inline: "NEW_SECRET" } })");
  Send({.secret = kNewSecret});
  const v1::GetStatusResponse status = GetStatus();
  ASSERT_EQ(status.sources_size(), 1);
  ASSERT_EQ(status.sources(0).secrets_size(), 2);
  EXPECT_EQ(status.sources(0).secrets(0).name(), "old");
  EXPECT_FALSE(status.sources(0).secrets(0).has_last_verified_time());
  EXPECT_TRUE(status.sources(0).secrets(1).has_last_verified_time());
}

TEST_F(AdminTest, BadWebhookIsInQuarantineWithItsBodyAndItsRepeats) {
  Start();
  const std::string body = R"({"type":"batch.failed","id":"evt_1","created_at":1,"data":{}})";
  EXPECT_EQ(Send({.webhook_id = "wh_bad", .body = body}).status, 422);
  EXPECT_EQ(Send({.webhook_id = "wh_bad", .body = body}).status, 422);
  const auto listed = ListQuarantined();
  ASSERT_EQ(listed.webhooks_size(), 1);
  const v1::QuarantinedWebhook& webhook = listed.webhooks(0);
  EXPECT_EQ(webhook.webhook_id(), "wh_bad");
  EXPECT_EQ(webhook.receive_count(), 2);
  EXPECT_EQ(webhook.reason(), "invalid_event");
  EXPECT_THAT(webhook.detail(), HasSubstr("data.id"));

  grpc::ClientContext context;
  v1::GetQuarantinedRequest request;
  request.set_id(webhook.id());
  v1::GetQuarantinedResponse response;
  ASSERT_TRUE(Connect()->GetQuarantined(&context, request, &response).ok());
  EXPECT_EQ(response.raw_body(), body);

  // This schema knows it no better.
  EXPECT_EQ(Retry(webhook.id()).results(0).outcome(),
            v1::RetryQuarantinedResponse::OUTCOME_NOT_DECODED);
  EXPECT_EQ(ListQuarantined().webhooks_size(), 1);
}

// What a sender had signed under the id of a webhook in quarantine was thrown away, and the entry
// told what was wrong with it beside the body that had come first.
TEST_F(AdminTest, EachBodyThatCannotBeDecodedIsInQuarantine) {
  Start();
  const std::string bodies[] = {"{", R"({"type":"batch.failed"})"};
  EXPECT_EQ(Send({.webhook_id = "wh_bad", .body = bodies[0]}).status, 400);
  EXPECT_EQ(Send({.webhook_id = "wh_bad", .body = bodies[1]}).status, 422);
  EXPECT_EQ(Send({.webhook_id = "wh_bad", .body = bodies[0]}).status, 400);
  const auto listed = ListQuarantined();
  ASSERT_EQ(listed.webhooks_size(), 2);
  const char* const reasons[] = {"body_not_json", "invalid_event"};
  for (int i = 0; i < 2; ++i) {
    const v1::QuarantinedWebhook& webhook = listed.webhooks(1 - i);
    EXPECT_EQ(webhook.webhook_id(), "wh_bad");
    EXPECT_EQ(webhook.reason(), reasons[i]);
    EXPECT_EQ(webhook.receive_count(), 2 - i);
    grpc::ClientContext context;
    v1::GetQuarantinedRequest request;
    request.set_id(webhook.id());
    v1::GetQuarantinedResponse response;
    ASSERT_TRUE(Connect()->GetQuarantined(&context, request, &response).ok());
    EXPECT_EQ(response.raw_body(), bodies[i]);
  }
}

// A log of an older hookgated, whose schema did not know what this one's does.
TEST_F(AdminTest, WhatDecodesAfterAnUpgradeBecomesALiveEventOnce) {
  {
    const auto log = OpenTemporaryLog(nullptr, data_dir_);
    PutIntoQuarantine(*log, {.source = "openai",
                             .webhook_id = "wh_then_unknown",
                             .webhook_time = absl::Now(),
                             .receive_time = absl::Now(),
                             .reason = "invalid_event",
                             .raw_body = BatchFailedBody("batch_then")});
  }
  Start();
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_LATEST");
  ASSERT_TRUE(stream.Next().has_opened());
  const int64_t id = ListQuarantined().webhooks(0).id();
  EXPECT_EQ(Retry(id).results(0).outcome(), v1::RetryQuarantinedResponse::OUTCOME_RELEASED);
  const auto events = stream.NextEvents(1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].webhook_id(), "wh_then_unknown");
  EXPECT_EQ(events[0].batch_failed().data().id(), "batch_then");
  EXPECT_EQ(Retry(id).results(0).outcome(), v1::RetryQuarantinedResponse::OUTCOME_NOT_FOUND);
  EXPECT_EQ(ListQuarantined().webhooks_size(), 0);
  // Its sender may repeat it still.
  EXPECT_THAT(Send({.webhook_id = "wh_then_unknown", .body = BatchFailedBody("batch_then")}).body,
              HasSubstr("duplicate"));
  EXPECT_EQ(StoredEvents().size(), 1u);
}

TEST_F(AdminTest, DiscardedWebhookIsGone) {
  Start();
  Send({.body = "{"});
  grpc::ClientContext context;
  v1::DiscardQuarantinedRequest request;
  request.add_ids(ListQuarantined().webhooks(0).id());
  v1::DiscardQuarantinedResponse response;
  ASSERT_TRUE(Connect()->DiscardQuarantined(&context, request, &response).ok());
  EXPECT_TRUE(response.results(0).discarded());
  EXPECT_EQ(ListQuarantined().webhooks_size(), 0);
}

TEST_F(AdminTest, ErrorsCarryTheirReason) {
  Start();
  grpc::ClientContext context;
  v1::GetQuarantinedResponse response;
  const grpc::Status status = Connect()->GetQuarantined(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_details(), HasSubstr("QUARANTINE_ENTRY_NOT_FOUND"));
}

TEST_F(AdminTest, QuarantineIsBoundedByNumber) {
  StartWithConfig("storage { quarantine { max_entries: 2 } }");
  for (int i = 0; i < 5; ++i) Send({.body = "{"});
  // A new limit is applied at once; the old one, within a minute.
  Reload("storage { quarantine { max_entries: 1 } }");
  ASSERT_TRUE(Eventually("one is left", [&] { return ListQuarantined().webhooks_size() == 1; }));
  EXPECT_EQ(ListQuarantined().webhooks(0).id(), 5);
  EXPECT_EQ(GetStatus().quarantine().removed_by_limits(), 4);
}

}  // namespace
}  // namespace hookgate
