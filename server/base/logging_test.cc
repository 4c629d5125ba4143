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

// The text log quoted only some of the control characters, and JSON wrote marks of direction as
// they came: a webhook-id could rewrite the line that it stood in.
TEST(LoggingTest, NothingInALineObeysItsSender) {
  const std::string bytes[] = {
      "\b",     "\a",  std::string(1, '\0'), "\x7f", "\u009b", "\u202e", "\u061c", "\u2066",
      "\u2069", "\xff"};
  for (const std::string& byte : bytes) {
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      const std::string line = FormatLogLine(format, "m", {{"id", "a" + byte + "b"}});
      EXPECT_EQ(line.find(byte), std::string::npos) << line;
      const std::string message = FormatLogLine(format, "m" + byte + "n", {});
      EXPECT_EQ(message.find(byte), std::string::npos) << message;
    }
  }
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "m",
                          {{"id",
                            "a\xc2\x9b"
                            "b"}}),
            R"(m id="a\u009bb")");
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "m", {{"id", "\u2066\xff"}}),
            R"({"message":"m","id":"\u2066\\xff"})");
}

TEST(LoggingTest, LongValueIsCutWithItsLength) {
  const std::string line =
      FormatLogLine(LogFormat::kText, "m", {{"id", std::string(900'000, 'a')}});
  EXPECT_LT(line.size(), 4200u);
  EXPECT_THAT(line, testing::HasSubstr("... (900000 bytes)"));
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
