#include "server/config/load_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr char kKey[] = "private-key-private-key-";
constexpr char kSecret[] = "whsec_cHJpdmF0ZS1rZXktcHJpdmF0ZS1rZXkt";

std::string WriteFile(absl::string_view content) {
  static int files = 0;
  std::string path = absl::StrCat(testing::TempDir(), "/load_config_", getpid(), "_", ++files);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(LoadConfigTest, ConfigFileIsRead) {
  const std::string path = WriteFile("# comment\nhttp { address: \"127.0.0.1:1\" }\n");
  Problems problems;
  const auto config = LoadConfig(path, problems);
  EXPECT_THAT(problems.errors(), IsEmpty());
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->http().address(), "127.0.0.1:1");
}

TEST(LoadConfigTest, EmptyConfigFileIsWarnedOf) {
  Problems problems;
  EXPECT_TRUE(LoadConfig(WriteFile(" \n"), problems).has_value());
  EXPECT_THAT(problems.errors(), IsEmpty());
  EXPECT_THAT(problems.warnings(), Contains(HasSubstr("is empty")));
}

// A field that there is not once hid all that was wrong after it.
TEST(LoadConfigTest, EveryUnknownFieldIsToldAndTheRestIsRead) {
  const std::string path = WriteFile(
      "http { adress: \"x\" port: 5 }\nprincipal { name: \"a\" }\ngrpc { max_streams: 7 }\n");
  Problems problems;
  const auto config = LoadConfig(path, problems);
  EXPECT_THAT(problems.errors(),
              ElementsAre(AllOf(StartsWith(path + ":1:14: "), HasSubstr("\"adress\"")),
                          AllOf(StartsWith(path + ":1:24: "), HasSubstr("\"port\"")),
                          AllOf(StartsWith(path + ":2:11: "), HasSubstr("\"principal\""))));
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->grpc().max_streams(), 7);
}

TEST(LoadConfigTest, ErrorInTheConfigFileHasItsPlace) {
  const struct {
    const char* content;
    const char* place;
    const char* message;
  } cases[] = {
      {"http {\n  adress: \"x\"\n}", ":2:9: ", "no field named \"adress\""},
      {"htp {}", ":1:5: ", "no field named \"htp\""},
      {"http {", ":1:7: ", "Expected"},
      {"http { address 5 }", ":1:16: ", "Expected \":\""},
      {"http { max_connections: \"x\" }", ":1:25: ", "Expected integer"},
      {"\n\nhttp { address: \"a }\n", ":3:21: ", "String literals cannot cross line boundaries"},
      {"admin { address: \"a\" address: \"b\" }", ":1:29: ", "specified multiple times"},
  };
  for (const auto& c : cases) {
    const std::string path = WriteFile(c.content);
    Problems problems;
    LoadConfig(path, problems);
    EXPECT_THAT(problems.errors(),
                Contains(AllOf(StartsWith(path + c.place), HasSubstr(c.message))));
  }
}

// A file of nothing but opening braces took all of the stack: the check of it, and a gateway that
// was told to read it again, ended with a signal.
TEST(LoadConfigTest, AConfigFileThatNestsTooDeeplyIsRefused) {
  for (const char* const begin : {"a {", "sources { ", "x: { ", "y: [ ", "http { "}) {
    std::string text;
    while (text.size() < 3'000'000) text += begin;
    Problems problems;
    EXPECT_FALSE(LoadConfig(WriteFile(text), problems).has_value()) << begin;
    EXPECT_FALSE(problems.ok()) << begin;
  }
}

// The parser quotes what it stumbles over, and a secret without quotes is easily written.
TEST(LoadConfigTest, ErrorInTheConfigFileDoesNotShowASecret) {
  for (const std::string& line :
       {absl::StrCat("inline: ", kSecret), absl::StrCat("inline ", kSecret),
        absl::StrCat("inline \"", kSecret, "\""), std::string(kSecret),
        absl::StrCat("inline: \"", kSecret), absl::StrCat("inline: 'x", kSecret),
        absl::StrCat("inline: \"x\" \"", kSecret, "\" ", kSecret, ";")}) {
    Problems problems;
    LoadConfig(WriteFile(absl::StrCat("sources { secrets {\n", line, "\n} }")), problems);
    EXPECT_FALSE(problems.ok()) << line;
    EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr("cHJpdmF0ZS1rZXkt")))) << line;
  }
  Problems problems;
  LoadConfig(WriteFile(absl::StrCat("grpc { allow_insecure: ", kKey, " }")), problems);
  EXPECT_FALSE(problems.ok());
  EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr("private"))));
}

// A secret alone, where its field should be, was quoted as the name of a field that there is not.
TEST(LoadConfigTest, SecretInThePlaceOfAFieldIsNotRepeated) {
  for (const char* secret : {"Zx9kQ2vLmN8pRt4w", "hunter2hunter2", "correcthorsebatterystaple",
                             "sk_live_51H8s9Kj", "a3f5c9e1b7d2", "TOPSECRETTOPSECRET"}) {
    for (const char* form : {"$", "$: 1", "$ {}", "\"$\"", "[$]: 1", "[a.$]: 1", "name: $",
                             "raw: $", "raw: 99$", "inline: \"x\" $", "$+/= x", "x <$>"}) {
      const std::string line = absl::StrReplaceAll(form, {{"$", secret}});
      Problems problems;
      LoadConfig(WriteFile(absl::StrCat("sources { secrets {\n", line, "\n} }")), problems);
      EXPECT_FALSE(problems.ok()) << line;
      EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr(secret)))) << line;
    }
  }
  Problems problems;
  LoadConfig(WriteFile("http { max_body_bytes: 98765432109876543210 Zx9kQ2vLmN8pRt4w: 1 }"),
             problems);
  EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr("98765432109876543210"))));
  Problems unknown;
  LoadConfig(WriteFile("http {\n Zx9kQ2vLmN8pRt4w: 1 }"), unknown);
  EXPECT_THAT(unknown.errors(),
              ElementsAre(AllOf(HasSubstr(":2:"), HasSubstr("hookgate.config.v1.Http"),
                                HasSubstr("no field named (not shown, because"))));
}

TEST(LoadConfigTest, ConfigFileThatCannotBeReadIsNamed) {
  for (const char* path : {"/no/such/file", "/"}) {
    Problems problems;
    EXPECT_FALSE(LoadConfig(path, problems).has_value());
    EXPECT_THAT(problems.errors(), ElementsAre(HasSubstr(absl::StrCat(path, " cannot be read"))));
  }
}

// A name that is no text made every status and explanation unreadable, and a path was cut at its
// zero byte in silence.
TEST(LoadConfigTest, TextsThatCannotBeSentOrOpenedAreNamed) {
  Problems problems;
  LoadConfig(WriteFile("sources { name: 'openai' secrets { name: '\\377\\376' file: 'a\\000b' } }\n"
                       "principals { name: 'p' certificate_names: ['ok', '\\300'] }\n"
                       "storage { data_dir: 'd\\000e' }"),
             problems);
  EXPECT_THAT(
      problems.errors(),
      testing::UnorderedElementsAre(
          "principals[0].certificate_names[1]: holds bytes that are not text (UTF-8)",
          "sources[0].secrets[0].name: holds bytes that are not text (UTF-8)",
          "sources[0].secrets[0].file: holds a zero byte", "storage.data_dir: holds a zero byte"));
}

}  // namespace
}  // namespace hookgate
