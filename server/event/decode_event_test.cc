#include "server/event/decode_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kBatchFailed[] =
    R"({"id": "evt_1", "object": "event", "created_at": 1750861210, "type": "batch.failed",)"
    R"( "data": {"id": "batch_1"}})";

// kBatchFailed with `from`, which it holds, replaced by `to`.
std::string With(absl::string_view from, absl::string_view to) {
  std::string body = absl::StrReplaceAll(kBatchFailed, {{from, to}});
  EXPECT_NE(body, kBatchFailed) << from;
  return body;
}

std::string WithCreatedAt(absl::string_view json) { return With("1750861210", json); }

// "OK", or the reason and the message.
std::string Outcome(absl::string_view body) {
  const absl::Status status = DecodeEvent(body).status();
  if (status.ok()) return "OK";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return absl::StrCat(ReasonOf(status), ": ", std::string(status.message()));
}

hookgate::v1::Event Decode(absl::string_view body) {
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  EXPECT_TRUE(decoded.ok()) << decoded.status() << "\n" << body;
  return decoded.ok() ? decoded->event : hookgate::v1::Event();
}

TEST(DecodeEventTest, BatchFailedIsTyped) {
  const DecodedEvent decoded = DecodeEvent(kBatchFailed).value();
  EXPECT_TRUE(decoded.failure);
  EXPECT_EQ(decoded.event.type(), "batch.failed");
  EXPECT_EQ(decoded.event.subject(), "batch_1");
  ASSERT_TRUE(decoded.event.has_batch_failed());
  const auto& batch_failed = decoded.event.batch_failed();
  EXPECT_EQ(batch_failed.id(), "evt_1");
  EXPECT_EQ(batch_failed.created_at(), 1750861210);
  EXPECT_EQ(decoded.create_time, absl::FromUnixSeconds(1750861210));
  EXPECT_EQ(batch_failed.data().id(), "batch_1");
  EXPECT_EQ(batch_failed.type(), "batch.failed");
  EXPECT_EQ(batch_failed.object(), "event");
}

TEST(DecodeEventTest, RestOfTheEnvelopeIsLeftToTheCaller) {
  hookgate::v1::Event event = Decode(kBatchFailed);
  event.clear_type();
  event.clear_subject();
  event.clear_payload();
  EXPECT_EQ(event.ByteSizeLong(), 0u);
}

TEST(DecodeEventTest, MissingOrNullObjectIsAbsent) {
  EXPECT_FALSE(Decode(With(R"("object": "event", )", "")).batch_failed().has_object());
  EXPECT_FALSE(Decode(With(R"("event")", "null")).batch_failed().has_object());
}

TEST(DecodeEventTest, UnknownMembersAreIgnored) {
  const std::string body =
      With(R"("data": {)", R"("new": [{"deep": null}], "data": {"status": "failed", )");
  EXPECT_EQ(Decode(body).SerializeAsString(), Decode(kBatchFailed).SerializeAsString());
}

TEST(DecodeEventTest, LastOfDuplicateKeysWins) {
  EXPECT_EQ(Decode(With(R"("id": "evt_1")", R"("id": "a", "id": "b")")).batch_failed().id(), "b");
  EXPECT_EQ(Outcome(With(R"({"id": "batch_1"})", R"({"id": "batch_1"}, "data": {})")),
            "invalid_event: data.id: is missing");
  EXPECT_TRUE(Decode(With(R"("batch.failed")", R"("new.type", "type": "batch.failed")"))
                  .has_batch_failed());
}

// Boost.JSON looks keys up in another way in objects of more than a few members.
TEST(DecodeEventTest, LastOfDuplicateKeysWinsInLargeObjectsToo) {
  std::string many;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&many, "\"key", i % 70, "\": ", i, ", ");
  const std::string body =
      With(R"("id": "evt_1")", absl::StrCat(R"("id": "a", )", many, R"("id": "b")"));
  EXPECT_EQ(Decode(body).batch_failed().id(), "b");
}

TEST(DecodeEventTest, CreatedAtTakesTheIntegersThatTheSdkTakes) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  const std::vector<std::pair<std::string, int64_t>> rows = {
      {"123", 123},
      {"0", 0},
      {"-0", 0},
      {"-1", -1},
      {"9223372036854775807", kMax},
      {"-9223372036854775808", kMin},
      // Floats without a fraction.
      {"123.0", 123},
      {"1e3", 1000},
      {"-0.0", 0},
      {"1750861210.000000000", 1750861210},
      {"1.75086121e9", 1750861210},
      {"9007199254740992.0", int64_t{1} << 53},
      {"9223372036854774784.0", kMax - 1023},
      // More digits than a double has: the nearest double, as Python reads it.
      {"9007199254740993.0", int64_t{1} << 53},
      {"9007199254740991.0000000000", (int64_t{1} << 53) - 1},
      {"403338196836291.00000000000000", 403338196836291},
      {"17508612100000000000000000000e-19", 1750861210},
      {"1750861210.0000000000000000000000", 1750861210},
      {"0.000000000000000000000000175086121e34", 1750861210},
      // Texts.
      {R"("123")", 123},
      {R"(" 123 ")", 123},
      {R"("123\n")", 123},
      {R"("\t\u000b\u000c\r123")", 123},
      {R"("+123")", 123},
      {R"("-5")", -5},
      {R"("-0123")", -123},
      {R"("0123")", 123},
      {R"("0_1")", 1},
      {R"("00__1")", 1},
      {R"("-0___0.0")", 0},
      {R"("\u00a0\u2003123\u3000")", 123},
      {"\"\xe2\x80\xa8"
       "123\xc2\x85\"",
       123},
      {R"("1_000")", 1000},
      {R"("123.0")", 123},
      {R"("123.000")", 123},
      {R"(" -1_000.00 ")", -1000},
      {R"("9223372036854775807")", kMax},
      {R"("-9223372036854775808")", kMin},
      {R"("000000000000000000000000000001")", 1},
  };
  for (const auto& [json, expected] : rows) {
    EXPECT_EQ(Decode(WithCreatedAt(json)).batch_failed().created_at(), expected) << json;
  }
}

TEST(DecodeEventTest, CreatedAtRefusesWhatIsNoWholeNumber) {
  for (const char* json : {"123.5",         "8160777607295.0005000",
                           "1e-300",        "1e400",
                           "-1e400",        R"("123.5")",
                           R"("123.")",     R"(".0")",
                           R"("1e3")",      R"("")",
                           R"(" ")",        R"("abc")",
                           R"("0x10")",     R"("1,000")",
                           R"("1__000")",   R"("_1")",
                           R"("1_")",       R"("1_.0")",
                           R"("1.0_0")",    R"("--1")",
                           R"("+-1")",      R"("- 1")",
                           R"("-")",        R"("1 2")",
                           R"("1\u00002")", R"("\uff11\uff12")",
                           R"("0_")",       R"("0__")",
                           R"("0_.0")",     R"("-_1")",
                           R"("0_1__2")",   R"("\u200b1")",
                           R"("\u001c1")",  R"("1\u00a02")",
                           R"("NaN")",      "[]",
                           "[1]",           "{}",
                           "true",          "false"}) {
    EXPECT_THAT(Outcome(WithCreatedAt(json)),
                StartsWith("invalid_event: created_at: must be a whole number, not "))
        << json;
  }
}

TEST(DecodeEventTest, CreatedAtRefusesWhatDoesNotFitInt64) {
  for (const char* json :
       {"9223372036854775808", "-9223372036854775809", "1000000000000000000000000000000", "1e20",
        "9223372036854775808.0", "-9223372036854775808.0", R"("9223372036854775808")",
        R"("-9223372036854775809")", R"("1000000000000000000000000000000.0")"}) {
    EXPECT_THAT(Outcome(WithCreatedAt(json)), AllOf(StartsWith("invalid_event: created_at: the "),
                                                    HasSubstr("does not fit a 64-bit integer")))
        << json;
  }
}

TEST(DecodeEventTest, ErrorsBeginWithThePathOfTheField) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {With(R"("id": "evt_1", )", ""), "id: is missing"},
      {With(R"("created_at": 1750861210, )", ""), "created_at: is missing"},
      {With(R"("type": "batch.failed",)", ""), "type: is missing"},
      {With(R"(, "data": {"id": "batch_1"})", ""), "data: is missing"},
      {With(R"("id": "batch_1")", ""), "data.id: is missing"},
      {With(R"("evt_1")", "null"), "id: is null, but required"},
      {WithCreatedAt("null"), "created_at: is null, but required"},
      {With(R"({"id": "batch_1"})", "null"), "data: is null, but required"},
      {With(R"("batch_1")", "null"), "data.id: is null, but required"},
      {With(R"("evt_1")", "5"), "id: must be a string, not the number 5"},
      {With(R"("evt_1")", "true"), "id: must be a string, not true"},
      {With(R"("batch_1")", "1.5"), "data.id: must be a string, not the number 1.5"},
      {With(R"("batch_1")", "[]"), "data.id: must be a string, not an array"},
      {With(R"({"id": "batch_1"})", R"("batch_1")"),
       "data: must be an object, not the string \"batch_1\""},
      {With(R"({"id": "batch_1"})", "[]"), "data: must be an object, not an array"},
      {With(R"("event")", R"("other")"), "object: must be \"event\", not the string \"other\""},
      {With(R"("event")", R"("Event")"), "object: must be \"event\", not the string \"Event\""},
      {With(R"("event")", R"("")"), "object: must be \"event\", not the string \"\""},
      {With(R"("event")", "5"), "object: must be \"event\", not the number 5"},
      {With(R"("batch.failed")", "null"), "type: must be a string, not null"},
      {With(R"("batch.failed")", "5"), "type: must be a string, not the number 5"},
  };
  for (const auto& [body, message] : rows) {
    EXPECT_EQ(Outcome(body), absl::StrCat("invalid_event: ", message)) << body;
  }
}

TEST(DecodeEventTest, EmptyStringIsAnId) {
  const hookgate::v1::Event event = Decode(With(R"("batch_1")", R"("")"));
  EXPECT_TRUE(event.has_batch_failed());
  EXPECT_EQ(event.subject(), "");
}

TEST(DecodeEventTest, TextsAreDecodedToUtf8AndKeepNul) {
  EXPECT_EQ(Decode(With("evt_1", R"(\u00e9\ud83d\ude00\n)")).batch_failed().id(),
            "\xc3\xa9\xf0\x9f\x98\x80\n");
  EXPECT_EQ(Decode(With("evt_1", R"(a\u0000b)")).batch_failed().id(), std::string("a\0b", 3));
  EXPECT_EQ(Decode(With("batch_1", "\xf4\x8f\xbf\xbf")).subject(), "\xf4\x8f\xbf\xbf");
}

TEST(DecodeEventTest, BodyThatIsNoJsonIsRefused) {
  for (const char* body : {"", " ", "{", "{\"type\"", "nul", "{} {}", "{\"a\": 1,}", "[1,]",
                           "{'a': 1}", "{a: 1}", "// c\n{}", "\"a\nb\"", "batch.failed"}) {
    EXPECT_THAT(Outcome(body), StartsWith("body_not_json: the body is not JSON: ")) << body;
  }
  for (const char* number : {"NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10"}) {
    EXPECT_THAT(Outcome(WithCreatedAt(number)), StartsWith("body_not_json: ")) << number;
  }
  EXPECT_THAT(Outcome(std::string("{}\0", 3)), StartsWith("body_not_json: "));
}

TEST(DecodeEventTest, ErrorsInJsonSayWhere) {
  EXPECT_EQ(Outcome(R"({"id": oops})"),
            "body_not_json: the body is not JSON: syntax error at byte 7");
  EXPECT_EQ(Outcome(""), "body_not_json: the body is not JSON: it is empty");
  // It was "syntax error at byte 0".
  EXPECT_EQ(Outcome("payload=%7B%7D"),
            "body_not_json: the body is not JSON: no JSON value begins at byte 0; a "
            "webhook's body begins with {");
  EXPECT_THAT(Outcome("\r\n <xml/>"), HasSubstr("begins at byte 3;"));
}

TEST(DecodeEventTest, TextsThatAreNotUtf8AreRefused) {
  for (const char* text : {
           R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\ud800)",  // lone surrogates
           "\xed\xa0\x80",                                             // one in UTF-8's clothes
           "\xff", "\xc3", "\x80",                                     // stray bytes
           "\xc0\x80", "\xe0\x80\xaf",                                 // overlong
           "\xf4\x90\x80\x80",                                         // beyond U+10FFFF
       }) {
    EXPECT_THAT(Outcome(With("evt_1", text)), StartsWith("body_not_json: ")) << text;
    // Also where nothing is decoded: raw_json must hold it.
    EXPECT_THAT(Outcome(absl::StrCat(R"({"type": "new", "x": ")", text, R"("})")),
                StartsWith("body_not_json: "))
        << text;
  }
}

TEST(DecodeEventTest, ByteOrderMarkIsPassedOver) {
  EXPECT_TRUE(Decode(absl::StrCat("\xef\xbb\xbf", kBatchFailed)).has_batch_failed());
  EXPECT_THAT(Outcome("\xef\xbb\xbf"), StartsWith("body_not_json: "));
  EXPECT_THAT(Outcome(absl::StrCat("\xef\xbb\xbf\xef\xbb\xbf", kBatchFailed)),
              HasSubstr("at byte 3"));
}

TEST(DecodeEventTest, NestingIsBoundedAt128Levels) {
  const auto nested = [](int levels) {
    return absl::StrCat(R"({"type": "new", "x": )", std::string(levels - 1, '['),
                        std::string(levels - 1, ']'), "}");
  };
  EXPECT_EQ(Outcome(nested(128)), "OK");
  EXPECT_EQ(Outcome(nested(129)),
            "body_not_json: the body is not JSON: it nests deeper than 128 levels");
  EXPECT_THAT(Outcome(std::string(1'000'000, '[')), HasSubstr("128 levels"));
}

TEST(DecodeEventTest, BodyThatIsNoObjectIsNoEvent) {
  for (const char* body : {"null", "true", "5", "1e400", "\"batch.failed\"", "[]", "[{}]"}) {
    EXPECT_THAT(Outcome(body), StartsWith("invalid_event: the body must be an object, not "))
        << body;
  }
}

TEST(DecodeEventTest, UnknownTypeKeepsTheWholeBody) {
  const std::string body =
      "\xef\xbb\xbf {\"type\": \"thing.happened\", \"created_at\": 1, \"data\": {\"id\": "
      "\"t_1\"}}\n";
  const DecodedEvent decoded = DecodeEvent(body).value();
  EXPECT_FALSE(decoded.failure);
  EXPECT_EQ(decoded.create_time, absl::nullopt);
  EXPECT_EQ(decoded.event.type(), "thing.happened");
  EXPECT_EQ(decoded.event.subject(), "t_1");
  ASSERT_TRUE(decoded.event.has_unrecognized());
  EXPECT_EQ(decoded.event.unrecognized().type(), "thing.happened");
  EXPECT_EQ(decoded.event.unrecognized().subject(), "t_1");
  // Without the mark, which JSON parsers do not take.
  EXPECT_EQ(decoded.event.unrecognized().raw_json(), body.substr(3));
}

// A subject of 200 kB could not be handed to a program, and made tables 7 MB wide.
TEST(DecodeEventTest, TypeOrSubjectBeyond1KiBIsNoKey) {
  const std::string longest(kMaxKeyBytes, 's');
  EXPECT_EQ(Decode(With("batch_1", longest)).subject(), longest);
  EXPECT_TRUE(Decode(With("batch_1", longest)).has_batch_failed());

  const std::string too_long = longest + "s";
  const std::string known = With("batch_1", too_long);
  const DecodedEvent decoded = DecodeEvent(known).value();
  EXPECT_TRUE(decoded.failure);
  EXPECT_EQ(decoded.event.type(), "batch.failed");
  EXPECT_EQ(decoded.event.subject(), "");
  ASSERT_TRUE(decoded.event.has_unrecognized());
  EXPECT_EQ(decoded.event.unrecognized().type(), "batch.failed");
  EXPECT_EQ(decoded.event.unrecognized().subject(), "");
  EXPECT_EQ(decoded.event.unrecognized().raw_json(), known);
  EXPECT_EQ(decoded.create_time, absl::nullopt);
  // Counted as the text is, not as it is written.
  EXPECT_TRUE(
      Decode(With("batch_1", absl::StrCat(longest.substr(1), "\\u0073"))).has_batch_failed());

  for (const std::string& subject : {longest, too_long}) {
    const v1::Event event =
        Decode(absl::StrCat(R"({"type": "new", "data": {"id": ")", subject, R"("}})"));
    EXPECT_EQ(event.type(), "new");
    EXPECT_EQ(event.subject(), subject == longest ? longest : "");
    EXPECT_EQ(event.unrecognized().subject(), event.subject());
  }
  for (const std::string& type : {longest, too_long}) {
    const v1::Event event =
        Decode(absl::StrCat(R"({"type": ")", type, R"(", "data": {"id": "t_1"}})"));
    EXPECT_EQ(event.type(), type == longest ? longest : "");
    EXPECT_EQ(event.unrecognized().type(), event.type());
    EXPECT_EQ(event.subject(), type == longest ? "t_1" : "");
    EXPECT_THAT(event.unrecognized().raw_json(), HasSubstr(type));
  }
  // A known type that is not valid is refused, however long its subject is.
  EXPECT_THAT(Outcome(absl::StrReplaceAll(known, {{R"("object": "event")", R"("object": "x")"}})),
              StartsWith("invalid_event: object: "));
}

TEST(DecodeEventTest, UnknownTypeNeedsNothingButItsType) {
  for (const char* body :
       {R"({"type": "x"})", R"({"type": "x", "data": null})", R"({"type": "x", "data": "id"})",
        R"({"type": "x", "data": []})", R"({"type": "x", "data": {"id": 5}})",
        R"({"type": "x", "data": {"call_id": "c"}, "id": 5, "created_at": "?"})"}) {
    const hookgate::v1::Event event = Decode(body);
    EXPECT_TRUE(event.has_unrecognized()) << body;
    EXPECT_EQ(event.subject(), "") << body;
  }
}

TEST(DecodeEventTest, TypesAreComparedLetterForLetter) {
  for (const char* type : {"Batch.Failed", "batch.failed ", "batch.faile", "batch.failed.x", ""}) {
    EXPECT_TRUE(Decode(With("batch.failed", type)).has_unrecognized()) << type;
  }
}

TEST(DecodeEventTest, UnknownTypeThatEndsInFailedIsAFailure) {
  EXPECT_TRUE(DecodeEvent(R"({"type": "thing.failed"})").value().failure);
  EXPECT_FALSE(DecodeEvent(R"({"type": "thing.failed_over"})").value().failure);
}

// The sender writes the body; it must not write the gateway's logs and answers.
TEST(DecodeEventTest, ErrorsHoldLittleOfTheBodyAndNoControlCharacters) {
  const std::string message = Outcome(With(
      R"("event")", absl::StrCat("\"\\u001b[2J\\n\\u007f\\u202e", std::string(5000, 'x'), "\"")));
  EXPECT_THAT(message,
              StartsWith(R"(invalid_event: object: must be "event", not the string "\x1b)"));
  EXPECT_THAT(message, HasSubstr("...\""));
  EXPECT_LT(message.size(), 250u);
  for (const char c : message) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << message;
}

// Any bytes at all: never a crash, an error always with its reason and of bounded length, and what
// is accepted can be stored and read back.
void ExpectDecodedOrRefusedInOrder(const std::string& body) {
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  if (!decoded.ok()) {
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(ReasonOf(decoded.status()),
                testing::AnyOf(reason::kBodyNotJson, reason::kInvalidEvent));
    EXPECT_LT(decoded.status().message().size(), 400u);
    return;
  }
  hookgate::v1::Event read_back;
  EXPECT_TRUE(read_back.ParseFromString(decoded->event.SerializeAsString()));
  EXPECT_EQ(read_back.type(), decoded->event.type());
  EXPECT_NE(read_back.payload_case(), hookgate::v1::Event::PAYLOAD_NOT_SET);
}

std::string Mutate(std::string body, std::mt19937_64& random) {
  static const std::vector<std::string> kPieces = {"{",
                                                   "}",
                                                   "[",
                                                   "]",
                                                   "\"",
                                                   ":",
                                                   ",",
                                                   "\\",
                                                   "\\ud800",
                                                   "null",
                                                   "true",
                                                   "1e400",
                                                   "-0.0",
                                                   "9223372036854775808",
                                                   "\"id\"",
                                                   "\"type\"",
                                                   "\"data\": {}",
                                                   "\"batch.failed\"",
                                                   "\xff",
                                                   std::string(1, '\0'),
                                                   "\xef\xbb\xbf",
                                                   "[[[[[[[[[[[[[[[[",
                                                   "1_0.0"};
  const auto below = [&random](size_t bound) { return static_cast<size_t>(random() % bound); };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    const size_t at = below(body.size() + 1);
    switch (below(4)) {
      case 0:
        body.insert(at, kPieces[below(kPieces.size())]);
        break;
      case 1:
        body.erase(at, below(8));
        break;
      case 2:
        if (at < body.size()) body[at] = static_cast<char>(random());
        break;
      case 3:
        body.insert(at, body.substr(below(body.size() + 1), below(30)));
        break;
    }
  }
  return body;
}

TEST(DecodeEventTest, MutatedBodiesAreDecodedOrRefusedInOrder) {
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    std::mt19937_64 random(seed);
    const std::string body = Mutate(kBatchFailed, random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ", body: ", body));
    ExpectDecodedOrRefusedInOrder(body);
    if (testing::Test::HasFailure()) return;
  }
}

// What says that a subscription has dead letters must come from the gateway, whoever signs a
// webhook.
TEST(DecodeEventTest, AWebhookOfABuiltInTypeIsUnrecognized) {
  const std::string body =
      R"({"id":"1","created_at":1,"type":"hookgate.subscription.lost","left_out":0,)"
      R"("data":{"subscription":"billing","events":1,"total_events":1}})";
  const auto webhook = DecodeEvent(body);
  ASSERT_TRUE(webhook.ok()) << webhook.status();
  EXPECT_TRUE(webhook->event.has_unrecognized());
  EXPECT_FALSE(webhook->failure) << "it would be listed among the failures";
  const auto built_in = DecodeBuiltInEvent(body);
  ASSERT_TRUE(built_in.ok()) << built_in.status();
  EXPECT_EQ(built_in->event.subscription_lost().data().events(), 1);
  EXPECT_EQ(built_in->event.subject(), "billing");
  EXPECT_TRUE(built_in->failure);
  EXPECT_FALSE(DecodeBuiltInEvent(R"({"type":"batch.failed"})").ok());
  EXPECT_FALSE(DecodeBuiltInEvent(R"({"type":"hookgate.subscription.lost"})").ok());
}

}  // namespace
}  // namespace hookgate
