#include "server/rpc/quarantine_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/compose_event.h"
#include "tests/support/await_outcome.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::RetryQuarantinedResponse;
using testing::ElementsAre;
using testing::HasSubstr;

class QuarantineQueriesTest : public testing::Test {
 protected:
  // Puts a webhook into quarantine, whatever its body. Ids are given from 1.
  void Put(const std::string& webhook_id, const std::string& body,
           const std::string& source = "openai") {
    PutIntoQuarantine(*log_, {.source = source,
                              .webhook_id = webhook_id,
                              .webhook_time = absl::FromUnixSeconds(99),
                              .receive_time = absl::FromUnixSeconds(100),
                              .reason = reason::kInvalidEvent,
                              .detail = "data.id: is missing",
                              .raw_body = body});
  }
  RetryQuarantinedResponse Retry(const std::vector<int64_t>& ids) {
    hookgate::v1::RetryQuarantinedRequest request;
    for (const int64_t id : ids) request.add_ids(id);
    RetryQuarantinedResponse response;
    const absl::Status status = TryRetry(request, response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }
  absl::Status TryRetry(const hookgate::v1::RetryQuarantinedRequest& request,
                        RetryQuarantinedResponse& response) {
    return AwaitOutcome<absl::Status>(
        [&](auto done) { queries_.Retry(request, response, std::move(done)); });
  }
  absl::Status TryDiscard(const hookgate::v1::DiscardQuarantinedRequest& request,
                          hookgate::v1::DiscardQuarantinedResponse& response) {
    return AwaitOutcome<absl::Status>(
        [&](auto done) { queries_.Discard(request, response, std::move(done)); });
  }
  std::vector<int64_t> ListedIds() {
    hookgate::v1::ListQuarantinedResponse response;
    EXPECT_TRUE(queries_.List({}, response).ok());
    std::vector<int64_t> ids;
    for (const auto& webhook : response.webhooks()) ids.push_back(webhook.id());
    return ids;
  }

  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
  Executor executor_{1};
  QuarantineQueries queries_{*log_, *log_, executor_};
};

TEST_F(QuarantineQueriesTest, EntriesAreListedNewestFirstInPages) {
  for (int i = 1; i <= 5; ++i) Put(absl::StrCat("wh_", i), "{");
  hookgate::v1::ListQuarantinedRequest request;
  request.set_page_size(2);
  std::vector<std::vector<int64_t>> pages;
  do {
    hookgate::v1::ListQuarantinedResponse response;
    ASSERT_TRUE(queries_.List(request, response).ok());
    pages.emplace_back();
    for (const auto& webhook : response.webhooks()) pages.back().push_back(webhook.id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(pages, ElementsAre(ElementsAre(5, 4), ElementsAre(3, 2), ElementsAre(1)));
}

TEST_F(QuarantineQueriesTest, FullLastPageHasNoSuccessor) {
  Put("wh_1", "{");
  Put("wh_2", "{");
  hookgate::v1::ListQuarantinedRequest request;
  request.set_page_size(2);
  hookgate::v1::ListQuarantinedResponse response;
  ASSERT_TRUE(queries_.List(request, response).ok());
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(QuarantineQueriesTest, PageTokenOfAnotherRequestIsRefused) {
  Put("wh_1", "{");
  Put("wh_2", "{");
  hookgate::v1::ListQuarantinedRequest request;
  request.set_page_size(1);
  hookgate::v1::ListQuarantinedResponse response;
  ASSERT_TRUE(queries_.List(request, response).ok());
  request.set_page_token(response.next_page_token());
  request.set_source("openai");
  EXPECT_EQ(FieldOf(queries_.List(request, response)), "page_token");
}

TEST_F(QuarantineQueriesTest, OneEntryIsShownWithItsBody) {
  Put("wh_1", "the body");
  hookgate::v1::GetQuarantinedRequest request;
  request.set_id(1);
  hookgate::v1::GetQuarantinedResponse response;
  ASSERT_TRUE(queries_.Get(request, response).ok());
  EXPECT_EQ(response.raw_body(), "the body");
  EXPECT_EQ(response.webhook().webhook_id(), "wh_1");
  EXPECT_EQ(response.webhook().reason(), "invalid_event");
  EXPECT_EQ(response.webhook().detail(), "data.id: is missing");
  EXPECT_EQ(response.webhook().receive_count(), 1);
  EXPECT_EQ(response.webhook().first_receive_time().seconds(), 100);
  request.set_id(2);
  EXPECT_EQ(ReasonOf(queries_.Get(request, response)), reason::kQuarantineEntryNotFound);
}

// As after an upgrade that knows the event's shape.
TEST_F(QuarantineQueriesTest, WhatCanBeDecodedNowBecomesAnEventOnceUnderItsOwnId) {
  Put("wh_1", BatchFailedBody("batch_7"));
  const RetryQuarantinedResponse first = Retry({1});
  EXPECT_EQ(first.results(0).outcome(), RetryQuarantinedResponse::OUTCOME_RELEASED);
  const auto event = log_->Find("openai", "wh_1");
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ((*event)->sequence, first.results(0).sequence());
  EXPECT_EQ((*event)->subject, "batch_7");
  EXPECT_TRUE((*event)->failure);
  EXPECT_EQ((*event)->receive_time, absl::FromUnixSeconds(100));
  EXPECT_EQ((*event)->raw_body, BatchFailedBody("batch_7"));
  EXPECT_EQ(Retry({1}).results(0).outcome(), RetryQuarantinedResponse::OUTCOME_NOT_FOUND);
  EXPECT_EQ(log_->Position().head, 1);
}

// The trace of the first attempt was lost with the request, so that the event had none.
TEST_F(QuarantineQueriesTest, AnEventThatIsReleasedHasTheTraceThatItCameWith) {
  const EventTrace trace = {
      .trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      .sender_trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
      .sender_trace_state = "vendor=1"};
  QuarantinedWebhook webhook = {.source = "openai",
                                .webhook_id = "wh_1",
                                .receive_time = absl::FromUnixSeconds(100),
                                .reason = reason::kInvalidEvent,
                                .raw_body = BatchFailedBody(),
                                .trace = SerializeTrace(trace)};
  PutIntoQuarantine(*log_, webhook);
  webhook.trace = SerializeTrace({.trace_parent = trace.sender_trace_parent});
  PutIntoQuarantine(*log_, webhook);  // A repeat: the first is kept.
  hookgate::v1::ListQuarantinedResponse listed;
  ASSERT_TRUE(queries_.List({}, listed).ok());
  ASSERT_EQ(listed.webhooks_size(), 1);
  EXPECT_EQ(listed.webhooks(0).trace_parent(), trace.trace_parent);
  EXPECT_EQ(listed.webhooks(0).sender_trace_parent(), trace.sender_trace_parent);
  EXPECT_EQ(listed.webhooks(0).sender_trace_state(), trace.sender_trace_state);
  EXPECT_EQ(Retry({1}).results(0).outcome(), RetryQuarantinedResponse::OUTCOME_RELEASED);
  hookgate::v1::Event event;
  ASSERT_TRUE(event.ParseFromString((*log_->Find("openai", "wh_1"))->envelope));
  EXPECT_EQ(event.trace_parent(), trace.trace_parent);
  EXPECT_EQ(event.sender_trace_parent(), trace.sender_trace_parent);
  EXPECT_EQ(event.sender_trace_state(), trace.sender_trace_state);
}

TEST_F(QuarantineQueriesTest, EachEntryHasAnOutcomeOfItsOwn) {
  AppendEvent(*log_, {.webhook_id = "wh_repeated", .raw_body = BatchFailedBody()});
  Put("wh_bad", R"({"type":"batch.failed"})");
  Put("wh_repeated", BatchFailedBody());
  Put("wh_good", BatchFailedBody());
  const RetryQuarantinedResponse response = Retry({1, 2, 77, 3});
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_EQ(response.results(0).outcome(), RetryQuarantinedResponse::OUTCOME_NOT_DECODED);
  EXPECT_EQ(response.results(0).reason(), "invalid_event");
  EXPECT_THAT(response.results(0).detail(), HasSubstr("is missing"));
  EXPECT_EQ(response.results(1).outcome(), RetryQuarantinedResponse::OUTCOME_STORED_BEFORE);
  EXPECT_EQ(response.results(1).sequence(), 1);
  EXPECT_EQ(response.results(2).outcome(), RetryQuarantinedResponse::OUTCOME_NOT_FOUND);
  EXPECT_EQ(response.results(3).outcome(), RetryQuarantinedResponse::OUTCOME_RELEASED);
  EXPECT_THAT(ListedIds(), ElementsAre(1));
}

TEST_F(QuarantineQueriesTest, DiscardedEntriesAreGone) {
  Put("wh_1", "{");
  Put("wh_2", "{");
  hookgate::v1::DiscardQuarantinedRequest request;
  request.add_ids(1);
  request.add_ids(9);
  hookgate::v1::DiscardQuarantinedResponse response;
  ASSERT_TRUE(TryDiscard(request, response).ok());
  EXPECT_TRUE(response.results(0).discarded());
  EXPECT_FALSE(response.results(1).discarded());
  EXPECT_THAT(ListedIds(), ElementsAre(2));
}

TEST_F(QuarantineQueriesTest, NoIdsAndTooManyAreRefused) {
  hookgate::v1::RetryQuarantinedRequest retry;
  RetryQuarantinedResponse retried;
  EXPECT_EQ(FieldOf(TryRetry(retry, retried)), "ids");
  hookgate::v1::DiscardQuarantinedRequest discard;
  hookgate::v1::DiscardQuarantinedResponse discarded;
  for (int i = 0; i < 1001; ++i) discard.add_ids(i);
  EXPECT_EQ(FieldOf(TryDiscard(discard, discarded)), "ids");
}

}  // namespace
}  // namespace hookgate
