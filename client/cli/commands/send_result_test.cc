#include "client/cli/commands/send_result.h"

#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

std::string Line(const HttpAnswer& answer) {
  return ResultLine(ReadAnswer(answer, "wh_1"), Style(false));
}
std::string Json(const HttpAnswer& answer) { return ResultJson(ReadAnswer(answer, "wh_1")); }

TEST(SendResultTest, StoredNamesTheSequence) {
  const HttpAnswer answer = {200, {}, R"({"status":"stored","sequence":"42"})"};
  EXPECT_TRUE(ReadAnswer(answer, "wh_1").accepted());
  EXPECT_EQ(Line(answer), "200 stored sequence 42 wh_1");
  EXPECT_EQ(Json(answer), R"({"status":200,"state":"stored","sequence":"42","webhook_id":"wh_1"})");
}

TEST(SendResultTest, ADuplicateIsAccepted) {
  const HttpAnswer answer = {200, {}, R"({"status":"duplicate","sequence":"7"})"};
  EXPECT_TRUE(ReadAnswer(answer, "wh_1").accepted());
  EXPECT_EQ(Line(answer), "200 duplicate sequence 7 wh_1");
}

TEST(SendResultTest, ARefusalNamesCodeAndDetail) {
  const HttpAnswer answer = {
      401, {}, R"({"title":"Unauthorized","code":"signature_mismatch","detail":"none matches"})"};
  EXPECT_FALSE(ReadAnswer(answer, "wh_1").accepted());
  EXPECT_EQ(Line(answer), "401 signature_mismatch wh_1: none matches");
  EXPECT_EQ(
      Json(answer),
      R"({"status":401,"code":"signature_mismatch","webhook_id":"wh_1","detail":"none matches"})");
}

TEST(SendResultTest, SaysWhenToTryAgain) {
  const HttpAnswer answer = {
      503, {{"retry-after", "10"}}, R"({"code":"draining","detail":"going down"})"};
  EXPECT_EQ(Line(answer), "503 draining wh_1: going down (retry after 10 s)");
  EXPECT_EQ(Json(answer),
            R"({"status":503,"code":"draining","webhook_id":"wh_1","detail":"going down",)"
            R"("retry_after":"10"})");
}

// A proxy's error page, or any web server's answer: 200 there does not mean stored.
TEST(SendResultTest, AStrangersAnswerIsNoAcceptance) {
  for (const std::string& body : std::vector<std::string>{
           "Hello", "", "[]", "{}", R"({"status":"fine"})", R"({"status":1})"}) {
    EXPECT_FALSE(ReadAnswer({200, {}, body}, "wh_1").accepted()) << body;
  }
  EXPECT_FALSE(ReadAnswer({500, {}, R"({"status":"stored"})"}, "wh_1").accepted());
  EXPECT_EQ(Line({502, {}, "<html>\x1b[2J\n</html>"}),
            "502 unknown wh_1: this is not the answer of a Hookgate gateway: "
            "<html>\\x1b[2J\\n</html>");
}

TEST(SendResultTest, ShowsLittleOfAStrangersLongAnswer) {
  EXPECT_LT(Line({200, {}, std::string(100'000, 'x')}).size(), 400u);
}

TEST(SendResultTest, ABodyThatIsNoUtf8StaysJson) {
  EXPECT_EQ(Json({502, {}, "\xFF"}),
            R"({"status":502,"webhook_id":"wh_1","detail":"this is not the answer of a Hookgate )"
            R"(gateway: \\xff"})");
}

TEST(SendResultTest, WhatAGatewaySaysIsMadePrintable) {
  EXPECT_EQ(Line({401, {}, R"({"code":"a\u001bb","detail":"c\nd"})"}), "401 a\\x1bb wh_1: c\\nd");
}

TEST(SendResultTest, ColoursTheVerdict) {
  const SendResult stored = ReadAnswer({200, {}, R"({"status":"stored"})"}, "wh_1");
  EXPECT_EQ(ResultLine(stored, Style(true)), "\x1b[32m200 stored\x1b[0m wh_1");
  const SendResult refused = ReadAnswer({401, {}, R"({"code":"x"})"}, "wh_1");
  EXPECT_EQ(ResultLine(refused, Style(true)), "\x1b[31m401 x\x1b[0m wh_1");
}

}  // namespace
}  // namespace hookgate::cli
