#include "server/config/parse_hint.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hookgate/config/v1/config.pb.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The hints of what the parser says about `text`.
class Hints : public google::protobuf::io::ErrorCollector {
 public:
  explicit Hints(std::string text) : text_(std::move(text)) {
    google::protobuf::TextFormat::Parser parser;
    parser.RecordErrorsTo(this);
    parser.AllowUnknownField(true);
    hookgate::config::v1::Config config;
    parser.ParseFromString(text_, &config);
  }
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    hints_.push_back(ParseHint(text_, line, column, message));
  }
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    AddError(line, column, message);
  }
  const std::vector<std::string>& hints() const { return hints_; }

 private:
  const std::string text_;
  std::vector<std::string> hints_;
};

std::vector<std::string> HintsOn(const std::string& text) { return Hints(text).hints(); }

TEST(ParseHintTest, MistypedFieldsAreToldTheOneThatWasMeant) {
  EXPECT_THAT(HintsOn("http { adress: 'x' }"), ElementsAre("did you mean \"address\"?"));
  EXPECT_THAT(HintsOn("htp { }\nstorge { }"),
              ElementsAre("did you mean \"http\"?", "did you mean \"storage\"?"));
  EXPECT_THAT(HintsOn("drain_timeout { second: 5 }"), ElementsAre("did you mean \"seconds\"?"));
  EXPECT_THAT(HintsOn("drain_timeout { hours: 5 }"), ElementsAre("it has seconds, nanos"));
}

TEST(ParseHintTest, BracesThatDoNotMatchAreFound) {
  EXPECT_THAT(HintsOn("http {\n  address: '}' # }\n"),
              ElementsAre("the \"{\" of line 1 is not closed"));
  EXPECT_THAT(HintsOn("http {\n}\nstorage {\n  quarantine {\n}\n"),
              ElementsAre("the \"{\" of line 3 is not closed"));
  EXPECT_THAT(HintsOn("http { address: \"a\\\"{\" } }"), ElementsAre("this closes nothing"));
  EXPECT_THAT(HintsOn("// http"), ElementsAre("a comment begins with #"));
  EXPECT_THAT(HintsOn("http { max_connections: 50% }"),
              ElementsAre("the name of a field has to stand here"));
  EXPECT_THAT(HintsOn("grpc { allow_insecure: yes }"), ElementsAre("write true or false"));
  EXPECT_THAT(HintsOn("{ \"http\": 1 }"), ElementsAre(HasSubstr("NAME: VALUE")));
}

TEST(ParseHintTest, ValuesOfAnotherFormSayWhatIsRight) {
  EXPECT_THAT(HintsOn("storage {\n\tretention: '30d' }"),
              ElementsAre("a time is written so: retention { seconds: 90 }"));
  EXPECT_THAT(HintsOn("http: 5"), ElementsAre("http has fields: write http { ... }"));
  EXPECT_THAT(HintsOn("sources { name: openai }"), ElementsAre(HasSubstr("quotation marks")));
  EXPECT_THAT(HintsOn("http { max_connections: '5' }"), ElementsAre(HasSubstr("whole number")));
  EXPECT_THAT(HintsOn("tracing { sample_ratio: '1' }"), ElementsAre(HasSubstr("a number")));
  EXPECT_THAT(HintsOn("http { address = 'x' }"), ElementsAre("write NAME: VALUE"));
  EXPECT_THAT(HintsOn("http { address: 'x }"), Not(IsEmpty()));
  EXPECT_EQ(HintsOn("http { address: 'x }")[0],
            "the second quotation mark is missing in this line");
}

TEST(ParseHintTest, AByteOrderMarkIsNamed) {
  const std::vector<std::string> hints = HintsOn("\xef\xbb\xbfhttp { }\n");
  ASSERT_THAT(hints, Not(IsEmpty()));
  EXPECT_THAT(hints[0], HasSubstr("byte order mark"));
}

// Whatever the place is that it is given.
TEST(ParseHintTest, PlacesThatTheTextDoesNotHaveAreNone) {
  for (const int line : {0, 1, 99}) {
    for (const int column : {0, 1, 99}) {
      ParseHint("a", line, column, "Expected identifier");
      ParseHint("", line, column, "Expected \"{\"");
    }
  }
  EXPECT_EQ(ParseHint("a", 0, 0, "has no field named"), "");
  EXPECT_EQ(ParseHint("a", 0, 0, "something else"), "");
}

}  // namespace
}  // namespace hookgate
