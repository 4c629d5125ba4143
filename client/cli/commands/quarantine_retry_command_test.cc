#include "client/cli/commands/quarantine_retry_command.h"

#include <vector>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Response = v1::RetryQuarantinedResponse;

class QuarantineRetryTest : public CliTest {
 protected:
  // Entry 1 is released, 2 was an event before, 3 stays, and no others are there.
  QuarantineRetryTest() {
    gateway_.admin.retry_quarantined = [this](const v1::RetryQuarantinedRequest& request,
                                              Response* response) {
      batches_.emplace_back(request.ids().begin(), request.ids().end());
      for (const int64_t id : request.ids()) {
        Response::Result& result = *response->add_results();
        result.set_id(id);
        result.set_outcome(id < 4 ? static_cast<Response::Outcome>(id)
                                  : Response::OUTCOME_NOT_FOUND);
        if (id < 3) result.set_sequence(40 + id);
        if (id == 3) {
          result.set_reason("invalid_event");
          result.set_detail("data.id: \x1b is missing");
        }
      }
      return grpc::Status::OK;
    };
  }

  // Lists `ids`, newest first, two on a page.
  void Hold(const std::vector<int64_t>& ids) {
    gateway_.admin.list_quarantined = [this, ids](const v1::ListQuarantinedRequest& request,
                                                  v1::ListQuarantinedResponse* response) {
      listed_source_ = request.source();
      size_t i = request.page_token().empty() ? 0 : std::stoul(request.page_token());
      for (size_t end = i + 2; i < ids.size() && i < end; ++i) {
        response->add_webhooks()->set_id(ids[i]);
      }
      if (i < ids.size()) response->set_next_page_token(std::to_string(i));
      return grpc::Status::OK;
    };
  }

  std::vector<std::vector<int64_t>> batches_;
  std::string listed_source_;
};

TEST_F(QuarantineRetryTest, SaysWhatBecameOfEach) {
  const Outcome outcome = Run({"quarantine", "retry", "1", "2", "3", "9"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "1 released: event #41\n"
            "2 stored before: event #42\n"
            "3 not decoded: invalid_event: data.id: \\x1b is missing\n"
            "9 not found\n");
}

TEST_F(QuarantineRetryTest, IsFineWhenAllAreEvents) {
  EXPECT_EQ(Run({"quarantine", "retry", "1", "2"}).exit_code, kSuccess);
  EXPECT_EQ(Run({"quarantine", "retry", "1", "3"}).exit_code, kFailed);
  EXPECT_EQ(Run({"quarantine", "retry", "9"}).exit_code, kFailed);
}

TEST_F(QuarantineRetryTest, PrintsOneJsonObjectALine) {
  EXPECT_EQ(Run({"quarantine", "retry", "1", "9", "--output=json"}).out,
            R"({"id":"1","outcome":"OUTCOME_RELEASED","sequence":"41","reason":"","detail":""})"
            "\n"
            R"({"id":"9","outcome":"OUTCOME_NOT_FOUND","sequence":"0","reason":"","detail":""})"
            "\n");
}

// Events come in the order in which the webhooks came.
TEST_F(QuarantineRetryTest, AllIsEverythingThereIsOldestFirst) {
  Hold({5, 2, 1});
  Run({"quarantine", "retry", "--all"});
  EXPECT_THAT(batches_, ElementsAre(ElementsAre(1, 2, 5)));
  EXPECT_EQ(listed_source_, "");
  Run({"quarantine", "retry", "--all", "--source=staging"});
  EXPECT_EQ(listed_source_, "staging");
}

TEST_F(QuarantineRetryTest, ManyGoInSeveralCalls) {
  std::vector<int64_t> ids;
  for (int64_t id = 250; id > 0; --id) ids.push_back(id);
  Hold(ids);
  Run({"quarantine", "retry", "--all"});
  ASSERT_EQ(batches_.size(), 3u);
  EXPECT_EQ(batches_[0].size(), 100u);
  EXPECT_THAT(batches_[2], ::testing::SizeIs(50));
  EXPECT_EQ(batches_[2].back(), 250);
}

TEST_F(QuarantineRetryTest, NothingToRetryIsFine) {
  Hold({});
  const Outcome outcome = Run({"quarantine", "retry", "--all"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, "There is nothing to retry.\n");
  EXPECT_THAT(batches_, IsEmpty());
}

TEST_F(QuarantineRetryTest, ACallThatFailsIsSaid) {
  gateway_.admin.retry_quarantined = [](const v1::RetryQuarantinedRequest&, Response*) {
    return GatewayStatus(grpc::StatusCode::UNAVAILABLE, "QUEUE_FULL", "the log's queue is full");
  };
  const Outcome outcome = Run({"quarantine", "retry", "1"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("cannot retry: the gateway at 127.0.0.1:50051 answered: "));
}

TEST_F(QuarantineRetryTest, NeedsIdsOrAll) {
  EXPECT_THAT(Run({"quarantine", "retry"}).err,
              HasSubstr("nothing is selected: give ids, or --all"));
  EXPECT_THAT(Run({"quarantine", "retry", "--all", "1"}).err, HasSubstr("not both"));
  EXPECT_THAT(Run({"quarantine", "retry", "1", "--source=x"}).err, HasSubstr("--source narrows"));
  EXPECT_THAT(Run({"quarantine", "retry", "1", "x\x1b"}).err, HasSubstr("\"x\\x1b\" is not an id"));
  EXPECT_EQ(Run({"quarantine", "retry", "-1"}).exit_code, kWrongUsage);
  EXPECT_THAT(batches_, IsEmpty());
}

}  // namespace
}  // namespace hookgate::cli
