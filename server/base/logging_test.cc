#include "server/base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hookgate {
namespace {

TEST(LoggingTest, TextKeepsPlainValuesAndQuotesTheRest) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "webhook refused",
                          {{"source", "openai"}, {"status", 401}, {"detail", "no match"}}),
            "webhook refused source=openai status=401 detail=\"no match\"");
}

// A sender chooses the webhook-id; it must not be able to write log lines of its own.
TEST(LoggingTest, LineBreaksAndControlCharactersStayInsideTheirValue) {
  const std::string line =
      FormatLogLine(LogFormat::kText, "m", {{"id", "a\n12:00 error forged\x1b[2J"}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
}

TEST(LoggingTest, JsonKeepsNumbersAsNumbers) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "ready", {{"port", 80}, {"host", "a\"b"}}),
            R"({"message":"ready","port":80,"host":"a\"b"})");
}

TEST(LoggingTest, UnknownLevelsAndFormatsNameTheKnownOnes) {
  EXPECT_THAT(std::string(ParseSeverity("loud").status().message()),
              testing::HasSubstr("debug, info, warning or error"));
  EXPECT_THAT(std::string(ParseLogFormat("xml").status().message()),
              testing::HasSubstr("text or json"));
}

}  // namespace
}  // namespace hookgate
