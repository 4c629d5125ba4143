#include "server/rpc/call_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/status.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

google::protobuf::RepeatedPtrField<std::string> Names(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

class CallGateTest : public testing::Test {
 protected:
  FakeClock clock_;
  AccessControl access_;
  CallGate gate_{access_, clock_, [] { return std::vector<std::string>{"openai", "staging"}; }};
};

// "--source opnai" was answered with nothing, as if that source had sent nothing.
TEST_F(CallGateTest, SourceThatDoesNotExistIsSaidNotTo) {
  EXPECT_TRUE(gate_.CheckSourcesExist(Names({"staging", "openai"}), "f", true).ok());
  EXPECT_TRUE(gate_.CheckSourcesExist(Names({}), "f", true).ok());
  const absl::Status typo = gate_.CheckSourcesExist(Names({"openai", "opnai"}), "f.sources", true);
  EXPECT_TRUE(absl::IsNotFound(typo));
  EXPECT_THAT(std::string(typo.message()),
              AllOf(HasSubstr("f.sources[1]"), HasSubstr("\"opnai\""), HasSubstr("staging")));
  EXPECT_THAT(std::string(gate_.CheckSourcesExist(Names({"opnai"}), "f", false).message()),
              Not(HasSubstr("staging")));
}

// A principal with one right could fill the disk with log lines.
TEST_F(CallGateTest, EachPrincipalHasABudgetOfLines) {
  int lines = 0;
  for (int i = 0; i < 1000; ++i) lines += gate_.TakeLine("loud").has_value() ? 1 : 0;
  EXPECT_EQ(lines, LogLimiter::kBurst);
  EXPECT_EQ(gate_.TakeLine("quiet"), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(gate_.TakeLine("loud"), 1000 - LogLimiter::kBurst);
}

}  // namespace
}  // namespace hookgate
