#include "client/cli/commands/quarantine_discard_command.h"

#include <vector>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class QuarantineDiscardTest : public CliTest {
 protected:
  // Entries 1 and 2 are there.
  QuarantineDiscardTest() {
    gateway_.admin.list_quarantined = [](const auto&, v1::ListQuarantinedResponse* response) {
      response->add_webhooks()->set_id(2);
      response->add_webhooks()->set_id(1);
      return grpc::Status::OK;
    };
    gateway_.admin.discard_quarantined = [this](const v1::DiscardQuarantinedRequest& request,
                                                v1::DiscardQuarantinedResponse* response) {
      for (const int64_t id : request.ids()) {
        if (id < 3) discarded_.push_back(id);
        auto& result = *response->add_results();
        result.set_id(id);
        result.set_discarded(id < 3);
      }
      return grpc::Status::OK;
    };
  }

  std::vector<int64_t> discarded_;
};

TEST_F(QuarantineDiscardTest, SaysWhatIsGone) {
  const Outcome outcome = Run({"quarantine", "discard", "1", "9", "--yes"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.out, "1 discarded\n9 not found\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(discarded_, ElementsAre(1));
  EXPECT_EQ(Run({"quarantine", "discard", "2", "--yes", "--output=json"}).out,
            "{\"id\":\"2\",\"discarded\":true}\n");
}

TEST_F(QuarantineDiscardTest, AllIsAllThatIsThere) {
  EXPECT_EQ(Run({"quarantine", "discard", "--all", "--yes"}).exit_code, kSuccess);
  EXPECT_THAT(discarded_, ElementsAre(1, 2));
}

TEST_F(QuarantineDiscardTest, AsksOnATerminal) {
  in_is_terminal_ = true;
  in_ = "y\n";
  const Outcome outcome = Run({"quarantine", "discard", "--all"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "Discard 2 signed webhooks permanently? [y/N] ");
  EXPECT_THAT(discarded_, ElementsAre(1, 2));
}

TEST_F(QuarantineDiscardTest, AnythingButYesIsNo) {
  in_is_terminal_ = true;
  for (const char* answer : {"n\n", "\n", "", "yikes\n"}) {
    in_ = answer;
    const Outcome outcome = Run({"quarantine", "discard", "1"});
    EXPECT_EQ(outcome.exit_code, kFailed);
    EXPECT_THAT(outcome.err, HasSubstr("Discard 1 signed webhook permanently? [y/N] "));
    EXPECT_THAT(outcome.err, HasSubstr("hookgate: nothing was discarded\n"));
  }
  EXPECT_THAT(discarded_, IsEmpty());
}

// A script that feeds standard input is not asked, and loses nothing by mistake.
TEST_F(QuarantineDiscardTest, RefusesWhereNobodyCanBeAsked) {
  in_ = "y\n";
  const Outcome outcome = Run({"quarantine", "discard", "--all"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("give --yes to confirm"));
  EXPECT_THAT(discarded_, IsEmpty());
}

TEST_F(QuarantineDiscardTest, NothingToDiscardIsFine) {
  gateway_.admin.list_quarantined = [](const auto&, auto*) { return grpc::Status::OK; };
  const Outcome outcome = Run({"quarantine", "discard", "--all", "--yes"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, "There is nothing to discard.\n");
}

TEST_F(QuarantineDiscardTest, NeedsIdsOrAll) {
  EXPECT_THAT(Run({"quarantine", "discard", "--yes"}).err,
              HasSubstr("nothing is selected: give ids, or --all"));
}

}  // namespace
}  // namespace hookgate::cli
