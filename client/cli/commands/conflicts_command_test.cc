// hookgate conflicts list, show and discard.

#include "client/cli/cli_fixture.h"
#include "client/cli/commands/conflicts_discard_command.h"
#include "client/cli/commands/conflicts_list_command.h"
#include "client/cli/commands/conflicts_show_command.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ConflictsTest : public CliTest {
 protected:
  ConflictsTest() {
    gateway_.admin.list_conflicts = [this](const v1::ListConflictsRequest& request,
                                           v1::ListConflictsResponse* response) {
      // Two pages.
      const int64_t sequence = request.page_token().empty() ? 42 : 7;
      if (sequence == 42) response->set_next_page_token("more");
      *response->add_conflicts() = Entry(sequence);
      return grpc::Status::OK;
    };
    gateway_.admin.get_conflict = [this](const v1::GetConflictRequest& request,
                                         v1::GetConflictResponse* response) {
      if (request.sequence() != 42) {
        return GatewayStatus(grpc::StatusCode::NOT_FOUND, "CONFLICT_NOT_FOUND",
                             "no other body of event 43 is kept");
      }
      *response->mutable_conflict() = Entry(42);
      response->set_first_raw_body("{\"a\":1}");
      response->set_last_raw_body(last_body_);
      return grpc::Status::OK;
    };
    gateway_.admin.discard_conflicts = [this](const v1::DiscardConflictsRequest& request,
                                              v1::DiscardConflictsResponse* response) {
      for (const int64_t sequence : request.sequences()) {
        discarded_.push_back(sequence);
        auto& result = *response->add_results();
        result.set_sequence(sequence);
        result.set_discarded(sequence != 43);
      }
      return grpc::Status::OK;
    };
  }
  v1::Conflict Entry(int64_t sequence) {
    v1::Conflict conflict;
    conflict.set_sequence(sequence);
    conflict.set_source("openai");
    conflict.set_webhook_id("wh_1");
    *conflict.mutable_first_receive_time() = ToProto(clock_.WallNow() - absl::Hours(3));
    *conflict.mutable_last_receive_time() = ToProto(clock_.WallNow() - absl::Minutes(3));
    conflict.set_receive_count(2);
    conflict.set_first_body_bytes(7);
    return conflict;
  }

  std::string last_body_ = "\x1b";
  std::vector<int64_t> discarded_;
};

TEST_F(ConflictsTest, ListsThem) {
  const Outcome outcome = Run({"conflicts", "list"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out,
            "SEQUENCE  LAST CAME  TIMES  SOURCE  WEBHOOK-ID  BYTES\n"
            "      42  3 min ago      2  openai  wh_1            7\n"
            "       7  3 min ago      2  openai  wh_1            7\n"
            "\n"
            "2 events with other bodies\n");
}

TEST_F(ConflictsTest, ShowsBothBodies) {
  const Outcome outcome = Run({"conflicts", "show", "42"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out,
            "sequence    42\n"
            "source      openai\n"
            "webhook-id  wh_1\n"
            "first came  2025-06-15 14:16:40+02:00 (3 h ago)\n"
            "last came   2025-06-15 17:13:40+02:00 (3 min ago)\n"
            "times       2\n"
            "first other body:\n"
            "  {\"a\":1}\n"
            "last other body:\n"
            "  \\x1b\n");
  EXPECT_EQ(Run({"conflicts", "show", "42", "--raw=first"}).out, "{\"a\":1}");
  EXPECT_EQ(Run({"conflicts", "show", "42", "--raw=last"}).out, "\x1b");
  last_body_ = "";
  EXPECT_EQ(Run({"conflicts", "show", "42", "--raw=last"}).out, "{\"a\":1}");
}

TEST_F(ConflictsTest, WhatIsNotThereHasACodeOfItsOwn) {
  EXPECT_EQ(Run({"conflicts", "show", "43"}).exit_code, kNotFound);
  EXPECT_EQ(Run({"conflicts", "show", "0"}).exit_code, kWrongUsage);
  EXPECT_THAT(Run({"conflicts", "show", "wh_1"}).err, HasSubstr("\"wh_1\" is not a sequence"));
}

TEST_F(ConflictsTest, DiscardsWhatIsNamedOrAll) {
  const Outcome one = Run({"conflicts", "discard", "42", "43", "--yes"});
  EXPECT_EQ(one.exit_code, kFailed);
  EXPECT_EQ(one.out, "42 discarded\n43 not found\n");
  discarded_.clear();
  EXPECT_EQ(Run({"conflicts", "discard", "--all", "--yes"}).exit_code, kSuccess);
  EXPECT_THAT(discarded_, ElementsAre(42, 7));
}

TEST_F(ConflictsTest, NothingIsDiscardedUnasked) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"conflicts", "discard"},
           {"conflicts", "discard", "42"},
           {"conflicts", "discard", "x", "--yes"},
           {"conflicts", "discard", "42", "--all", "--yes"},
           {"conflicts", "discard", "42", "--source=a", "--yes"}}) {
    EXPECT_EQ(Run(arguments).exit_code, kWrongUsage);
  }
  in_is_terminal_ = out_is_terminal_ = true;
  in_ = "n\n";
  EXPECT_EQ(Run({"conflicts", "discard", "42"}).exit_code, kFailed);
  EXPECT_THAT(discarded_, IsEmpty());
}

}  // namespace
}  // namespace hookgate::cli
