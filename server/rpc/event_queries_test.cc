#include "server/rpc/event_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::GetEventRequest;
using hookgate::v1::GetEventResponse;
using hookgate::v1::ListEventsRequest;
using hookgate::v1::ListEventsResponse;
using hookgate::v1::ListRecentFailuresRequest;
using hookgate::v1::ListRecentFailuresResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool AnySource(const std::string&) { return true; }

class EventQueriesTest : public testing::Test {
 protected:
  Sequence Append(absl::Duration age, const std::string& type = "batch.failed",
                  const std::string& subject = "batch_1") {
    return AppendEvent(*log_, {.type = type,
                               .subject = subject,
                               .receive_time = clock_.WallNow() - age,
                               .raw_body = "the body"});
  }
  template <typename Request>
  static Request Parse(const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
    return request;
  }
  ListRecentFailuresResponse Failures(const std::string& text) {
    ListRecentFailuresResponse response;
    const absl::Status status =
        queries_.ListRecentFailures(Parse<ListRecentFailuresRequest>(text), response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }
  template <typename Response>
  static std::vector<Sequence> SequencesOf(const Response& response) {
    std::vector<Sequence> sequences;
    for (const auto& event : response.events()) sequences.push_back(event.sequence());
    return sequences;
  }

  FakeClock clock_;
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
  EventQueries queries_{*log_, clock_};
};

TEST_F(EventQueriesTest, RecentFailuresAreThoseOfTheLastDayNewestFirst) {
  Append(absl::Hours(25));
  Append(absl::Hours(23));
  Append(absl::Hours(1), "batch.completed");
  Append(absl::Minutes(1));
  const auto response = Failures("");
  EXPECT_THAT(SequencesOf(response), ElementsAre(4, 2));
  EXPECT_EQ(response.total_count(), 2);
  EXPECT_FALSE(response.total_count_truncated());
  EXPECT_TRUE(response.next_page_token().empty());
}

TEST_F(EventQueriesTest, WindowAndFilterNarrowEventsAndCountAlike) {
  Append(absl::Hours(48), "batch.failed", "a");
  Append(absl::Hours(2), "batch.failed", "b");
  Append(absl::Hours(2), "eval.run.failed", "a");
  ListRecentFailuresRequest request;
  *request.mutable_start_time() = ToProto(clock_.WallNow() - absl::Hours(72));
  request.mutable_filter()->add_subjects("a");
  ListRecentFailuresResponse response;
  ASSERT_TRUE(queries_.ListRecentFailures(request, response).ok());
  EXPECT_THAT(SequencesOf(response), ElementsAre(3, 1));
  EXPECT_EQ(response.total_count(), 2);
}

// New events must neither shift the pages nor appear on later ones.
TEST_F(EventQueriesTest, PagesHoldTheWindowOfTheFirstOne) {
  for (int i = 5; i > 0; --i) Append(absl::Minutes(i));
  auto request = Parse<ListRecentFailuresRequest>("page_size: 2");
  std::vector<Sequence> seen;
  do {
    ListRecentFailuresResponse response;
    ASSERT_TRUE(queries_.ListRecentFailures(request, response).ok());
    for (Sequence sequence : SequencesOf(response)) seen.push_back(sequence);
    EXPECT_EQ(response.total_count(), 5);
    request.set_page_token(response.next_page_token());
    clock_.Advance(absl::Seconds(1));
    Append(absl::ZeroDuration());
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre(5, 4, 3, 2, 1));
}

// The requests of both lists are the same bytes, so that a token of one began the other in its
// middle, without a word.
TEST_F(EventQueriesTest, APageTokenOfOneListIsRefusedByTheOther) {
  for (int i = 3; i > 0; --i) Append(absl::Minutes(i));
  const std::string of_failures = Failures("page_size: 1").next_page_token();
  auto events = Parse<ListEventsRequest>("page_size: 1");
  ListEventsResponse page;
  ASSERT_TRUE(queries_.ListEvents(events, page).ok());
  ASSERT_NE(page.next_page_token(), "");
  events.set_page_token(of_failures);
  EXPECT_EQ(FieldOf(queries_.ListEvents(events, page)), "page_token");
  ListRecentFailuresRequest failures;
  failures.set_page_token(page.next_page_token());
  ListRecentFailuresResponse response;
  EXPECT_EQ(FieldOf(queries_.ListRecentFailures(failures, response)), "page_token");
}

TEST_F(EventQueriesTest, PageTokenOfAnotherRequestIsRefusedButAnotherPageSizeIsNot) {
  for (int i = 3; i > 0; --i) Append(absl::Minutes(i));
  const std::string token = Failures("page_size: 1").next_page_token();
  EXPECT_THAT(SequencesOf(Failures(
                  absl::StrCat("page_size: 9 include_raw_body: true page_token: \"", token, "\""))),
              ElementsAre(2, 1));
  ListRecentFailuresResponse response;
  const absl::Status status =
      queries_.ListRecentFailures(Parse<ListRecentFailuresRequest>(absl::StrCat(
                                      "filter { subjects: \"x\" } page_token: \"", token, "\"")),
                                  response);
  EXPECT_EQ(FieldOf(status), "page_token");
}

TEST_F(EventQueriesTest, EventsOfAnyTypeAreListedInEitherOrder) {
  Append(absl::Hours(100), "batch.completed");
  Append(absl::Hours(1));
  ListEventsResponse newest;
  ASSERT_TRUE(queries_.ListEvents(ListEventsRequest(), newest).ok());
  EXPECT_THAT(SequencesOf(newest), ElementsAre(2, 1));
  EXPECT_EQ(newest.events(0).raw_body(), "");
  ListEventsResponse oldest;
  ASSERT_TRUE(
      queries_
          .ListEvents(Parse<ListEventsRequest>("order: ORDER_OLDEST_FIRST include_raw_body: true"),
                      oldest)
          .ok());
  EXPECT_THAT(SequencesOf(oldest), ElementsAre(1, 2));
  EXPECT_EQ(oldest.events(0).raw_body(), "the body");
}

TEST_F(EventQueriesTest, EmptyWindowIsNoError) {
  Append(absl::Hours(1));
  EXPECT_THAT(SequencesOf(Failures("start_time { seconds: 5 } end_time { seconds: 6 }")),
              IsEmpty());
}

TEST_F(EventQueriesTest, BadRequestsNameTheField) {
  const auto field = [&](const std::string& text) {
    ListEventsResponse response;
    return FieldOf(queries_.ListEvents(Parse<ListEventsRequest>(text), response));
  };
  EXPECT_EQ(field("page_size: -1"), "page_size");
  EXPECT_EQ(field("page_token: \"x\""), "page_token");
  EXPECT_EQ(field("start_time { seconds: 9 } end_time { seconds: 8 }"), "start_time");
  EXPECT_EQ(field("end_time { nanos: -1 }"), "end_time");
  EXPECT_EQ(field("filter { sources: \"\" }"), "filter.sources[0]");
  ListEventsRequest request;
  request.set_order(static_cast<hookgate::v1::Order>(77));
  ListEventsResponse response;
  EXPECT_EQ(FieldOf(queries_.ListEvents(request, response)), "order");
}

TEST_F(EventQueriesTest, OneEventIsFoundByEitherKey) {
  AppendEvent(*log_, {.webhook_id = "wh_x", .raw_body = "the body"});
  GetEventResponse by_sequence;
  ASSERT_TRUE(
      queries_.GetEvent(Parse<GetEventRequest>("sequence: 1"), by_sequence, AnySource).ok());
  EXPECT_EQ(by_sequence.event().webhook_id(), "wh_x");
  EXPECT_EQ(by_sequence.event().raw_body(), "");
  GetEventResponse by_webhook;
  ASSERT_TRUE(
      queries_
          .GetEvent(Parse<GetEventRequest>("webhook { source: \"openai\" webhook_id: \"wh_x\" } "
                                           "include_raw_body: true"),
                    by_webhook, AnySource)
          .ok());
  EXPECT_EQ(by_webhook.event().sequence(), 1);
  EXPECT_EQ(by_webhook.event().raw_body(), "the body");
}

// Whoever may not know of a source must not learn from the answer that it has an event there.
TEST_F(EventQueriesTest, EventThatMayNotBeKnownLooksAsIfItWereNotThere) {
  AppendEvent(*log_);
  const auto ask = [this](const std::string& sequence, bool may_query) {
    GetEventResponse response;
    absl::Status status =
        queries_.GetEvent(Parse<GetEventRequest>("sequence: " + sequence), response,
                          [may_query](const std::string&) { return may_query; });
    EXPECT_FALSE(response.has_event() && !may_query);
    return status;
  };
  EXPECT_TRUE(ask("1", true).ok());
  EXPECT_EQ(ask("1", false).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(absl::StrReplaceAll(ask("1", false).ToString(), {{"sequence 1", "sequence 7"}}),
            ask("7", true).ToString());
}

TEST_F(EventQueriesTest, MissingKeyAndMissingEventAreDifferentErrors) {
  GetEventResponse response;
  EXPECT_EQ(FieldOf(queries_.GetEvent(GetEventRequest(), response, AnySource)), "key");
  EXPECT_TRUE(absl::IsNotFound(
      queries_.GetEvent(Parse<GetEventRequest>("sequence: 1"), response, AnySource)));
}

}  // namespace
}  // namespace hookgate
