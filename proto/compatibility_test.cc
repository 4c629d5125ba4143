// What clients, stored events and config files rely on stays: a number, a name or a type that was
// changed or removed in a .proto would be noticed by them alone, when they run. proto/api.txt is
// the API as it was when it was last renewed; what is new since passes.

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "proto/api_listing.h"

namespace hookgate {
namespace {

using ::google::protobuf::FileDescriptorProto;
using ::google::protobuf::FileDescriptorSet;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::vector<std::string> GoldenLines() {
  std::ifstream file("proto/api.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

FileDescriptorSet Today() { return ReadDescriptorSet("proto/api.binpb"); }

TEST(CompatibilityTest, NothingThatIsThereChangesOrGoes) {
  const std::vector<std::string> golden = GoldenLines();
  ASSERT_THAT(golden, Contains(HasSubstr("field hookgate.v1.Event.sequence = 1 int64")));
  EXPECT_THAT(MissingLines(golden, ListApi(Today())), IsEmpty())
      << "These were changed or removed. Give a new field a new number instead. If no client, "
         "stored event or config file can hold them: bazel run //proto:renew_api";
}

TEST(CompatibilityTest, EveryFileSaysWhereItsGoAndJavaCodeGoes) {
  const FileDescriptorSet today = Today();
  for (const FileDescriptorProto& file : today.file()) {
    if (absl::StartsWith(file.name(), "google/protobuf/")) continue;
    EXPECT_THAT(file.options().go_package(), HasSubstr("/")) << file.name();
    EXPECT_THAT(file.options().go_package(), HasSubstr(";")) << file.name();
    EXPECT_NE(file.options().java_package(), "") << file.name();
    EXPECT_NE(file.options().java_outer_classname(), "") << file.name();
    EXPECT_TRUE(file.options().java_multiple_files()) << file.name();
  }
}

// Where client/go/generate puts the code is where every other Go file imports it from.
TEST(CompatibilityTest, GoCodeIsInTheFolderOfItsImportPath) {
  const FileDescriptorSet today = Today();  // Outlives the loop, unlike a temporary.
  for (const FileDescriptorProto& file : today.file()) {
    if (!absl::StartsWith(file.name(), "hookgate/")) continue;
    const std::string folder = file.name().substr(0, file.name().rfind('/'));
    EXPECT_THAT(
        file.options().go_package(),
        StartsWith(absl::StrCat("github.com/hookgate/hookgate/client/go/gen/", folder, ";")))
        << file.name();
  }
}

// A tool that is given hookgate.binpb alone can show every call and what it means.
TEST(CompatibilityTest, ThePublishedDescriptorsAreWholeAndCommented) {
  const FileDescriptorSet published = ReadDescriptorSet("proto/hookgate.binpb");
  std::vector<std::string> calls;
  for (const std::string& line : ListApi(published)) {  // Which aborts if an import is missing.
    if (absl::StartsWith(line, "method hookgate.v1.")) calls.push_back(line);
  }
  std::vector<std::string> all;
  for (const std::string& line : ListApi(Today())) {
    if (absl::StartsWith(line, "method hookgate.v1.")) all.push_back(line);
  }
  EXPECT_THAT(calls, Contains(HasSubstr("hookgate.v1.EventService.Subscribe ")));
  EXPECT_EQ(calls, all);
  for (const FileDescriptorProto& file : published.file()) {
    EXPECT_NE(file.name(), "hookgate/config/v1/config.proto");
    if (!absl::StartsWith(file.name(), "hookgate/")) continue;
    EXPECT_GT(file.source_code_info().location_size(), 0) << file.name();
  }
}

// One small API, changed in one way at a time.
class ApiListingTest : public testing::Test {
 protected:
  static FileDescriptorSet Parse(const std::string& messages) {
    FileDescriptorSet files;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        absl::StrCat(R"(file { name: "a.proto" package: "a" syntax: "proto3" )", messages, "}"),
        &files));
    return files;
  }
  // What of kBefore is missing if its text `from` reads `to`.
  static std::vector<std::string> MissingAfter(const std::string& from, const std::string& to) {
    std::string after = kBefore;
    const size_t at = after.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    after.replace(at, from.size(), to);
    return MissingLines(ListApi(Parse(kBefore)), ListApi(Parse(after)));
  }

  static constexpr char kBefore[] = R"(
      message_type { name: "M"
        field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
        field { name: "names" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
        field { name: "kind" number: 3 type: TYPE_ENUM type_name: ".a.E" label: LABEL_OPTIONAL } }
      enum_type { name: "E" value { name: "E_NONE" number: 0 } value { name: "E_ONE" number: 1 } }
      service { name: "S"
        method { name: "Get" input_type: ".a.M" output_type: ".a.M" server_streaming: true } })";
};

TEST_F(ApiListingTest, AnAdditionIsNoChange) {
  EXPECT_THAT(MissingAfter(R"(message_type { name: "M")",
                           R"(message_type { name: "N" } message_type { name: "M"
            field { name: "new" number: 4 type: TYPE_BOOL label: LABEL_OPTIONAL })"),
              IsEmpty());
  EXPECT_THAT(MissingAfter(R"(value { name: "E_ONE")", R"(value { name: "E_TWO" number: 2 }
            value { name: "E_ONE")"),
              IsEmpty());
  EXPECT_THAT(MissingAfter(R"(service { name: "S")", R"(service { name: "S"
            method { name: "Put" input_type: ".a.M" output_type: ".a.M" })"),
              IsEmpty());
}

// `optional` gives a field presence and changes no byte of a message that has it set.
TEST_F(ApiListingTest, PresenceIsNoChange) {
  EXPECT_THAT(
      MissingAfter(R"(field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL })",
                   R"(oneof_decl { name: "_id" } field { name: "id" number: 1
                   type: TYPE_INT64 label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true })"),
      IsEmpty());
}

TEST_F(ApiListingTest, AChangeOrRemovalIsNamed) {
  EXPECT_THAT(MissingAfter("\"id\" number: 1", "\"id\" number: 9"),
              ElementsAre("field a.M.id = 1 int64"));
  EXPECT_THAT(MissingAfter("\"id\"", "\"key\""), ElementsAre("field a.M.id = 1 int64"));
  EXPECT_THAT(MissingAfter("TYPE_INT64", "TYPE_SINT64"), ElementsAre("field a.M.id = 1 int64"));
  EXPECT_THAT(MissingAfter("LABEL_REPEATED", "LABEL_OPTIONAL"),
              ElementsAre("field a.M.names = 2 repeated string"));
  EXPECT_THAT(MissingAfter("\"E_ONE\" number: 1", "\"E_ONE\" number: 2"),
              ElementsAre("enum a.E.E_ONE = 1"));
  EXPECT_THAT(MissingAfter(R"(value { name: "E_ONE" number: 1 })", ""),
              ElementsAre("enum a.E.E_ONE = 1"));
  EXPECT_THAT(MissingAfter("server_streaming: true", ""),
              ElementsAre("method a.S.Get a.M -> stream a.M"));
  EXPECT_THAT(MissingAfter("\"Get\"", "\"Fetch\""),
              ElementsAre("method a.S.Get a.M -> stream a.M"));
}

}  // namespace
}  // namespace hookgate
