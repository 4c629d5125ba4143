#include "server/rpc/refusal_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::ListRefusedRequest;
using hookgate::v1::ListRefusedResponse;
using testing::ElementsAre;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

class RefusalQueriesTest : public testing::Test {
 protected:
  void Record(const std::string& webhook_id) {
    RefusedRequest request;
    request.source = "openai";
    request.peer = "10.0.0.1";
    request.client = "192.0.2.1";
    request.code = reason::kSignatureMismatch;
    request.detail = "no signature fits";
    request.webhook_id = webhook_id;
    request.AddHeader("Webhook-Id", 4);
    refused_.Record(std::move(request), kNow);
  }
  absl::StatusOr<ListRefusedResponse> List(const ListRefusedRequest& request) {
    ListRefusedResponse response;
    const absl::Status listed = ListRefused(refused_, *log_, request, response);
    if (!listed.ok()) return listed;
    return response;
  }

  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
  RefusedRequests refused_;
};

TEST_F(RefusalQueriesTest, SaysAllThatIsKnown) {
  Record("wh_1");
  Record("wh_1");
  const auto response = List({});
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_THAT(response->requests(), SizeIs(1));
  const hookgate::v1::RefusedRequest& request = response->requests(0);
  EXPECT_EQ(request.source(), "openai");
  EXPECT_EQ(request.peer_address(), "10.0.0.1");
  EXPECT_EQ(request.client_address(), "192.0.2.1");
  EXPECT_EQ(request.code(), "signature_mismatch");
  EXPECT_EQ(request.detail(), "no signature fits");
  EXPECT_EQ(request.webhook_id(), "wh_1");
  ASSERT_EQ(request.headers_size(), 1);
  EXPECT_EQ(request.headers(0).name(), "Webhook-Id");
  EXPECT_EQ(request.headers(0).bytes(), 4);
  EXPECT_EQ(request.header_count(), 1);
  EXPECT_EQ(request.count(), 2);
  EXPECT_EQ(*FromProto(request.last_time(), ""), kNow);
  EXPECT_EQ(response->max_remembered(), 1000);
  EXPECT_EQ(response->next_page_token(), "");
}

TEST_F(RefusalQueriesTest, PagesFollowEachOtherWithoutRepeatingOrSkipping) {
  for (int i = 1; i <= 5; ++i) Record(absl::StrCat(i));
  ListRefusedRequest request;
  request.set_page_size(2);
  std::vector<std::string> ids;
  do {
    const auto response = List(request);
    ASSERT_TRUE(response.ok()) << response.status();
    for (const auto& refused : response->requests()) ids.push_back(refused.webhook_id());
    request.set_page_token(response->next_page_token());
    if (ids.size() == 2) Record("meanwhile");  // Comes before the first page.
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ElementsAre("5", "4", "3", "2", "1"));
}

TEST_F(RefusalQueriesTest, ACodeMayBeWrittenInCapitals) {
  Record("wh_1");
  ListRefusedRequest request;
  request.set_code("SIGNATURE_MISMATCH");
  EXPECT_THAT(List(request)->requests(), SizeIs(1));
  request.set_code("rate_limited");
  EXPECT_THAT(List(request)->requests(), SizeIs(0));
}

// A typo finds nothing, which looks as if all were well.
TEST_F(RefusalQueriesTest, WhatCannotBeRightIsRefusedByItsField) {
  const auto field = [this](const ListRefusedRequest& request) {
    const absl::Status status = List(request).status();
    EXPECT_EQ(ReasonOf(status), reason::kInvalidRequest) << status;
    return FieldOf(status);
  };
  ListRefusedRequest request;
  request.set_code("signature_missmatch");
  EXPECT_EQ(field(request), "code");
  EXPECT_THAT(std::string(List(request).status().message()),
              testing::HasSubstr("did you mean signature_mismatch? The codes are: malformed_"));
  request.Clear();
  request.set_page_size(-1);
  EXPECT_EQ(field(request), "page_size");
  request.Clear();
  request.set_page_token("x");
  EXPECT_EQ(field(request), "page_token");
  request.Clear();
  request.mutable_since_time()->set_nanos(-1);
  EXPECT_EQ(field(request), "since_time");
  // A token belongs to its request.
  for (int i = 0; i < 2; ++i) Record(absl::StrCat(i));
  request.Clear();
  request.set_page_size(1);
  request.set_page_token(List(request)->next_page_token());
  ASSERT_FALSE(request.page_token().empty());
  request.set_source("openai");
  EXPECT_EQ(field(request), "page_token");
}

}  // namespace
}  // namespace hookgate
