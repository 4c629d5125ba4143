#include "version/version.h"

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

namespace hookgate {
namespace {

using ::testing::MatchesRegex;

TEST(VersionTest, IsThreeNumbers) {
  EXPECT_THAT(std::string(Version()),
              MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+(-dev)?(\\+[0-9A-Za-z.-]+)?"));
}

// The changelog was forgotten, or the version was: a version without a section says nothing to a
// user, and a tree on the way to one collects what it brings under "Unreleased".
TEST(VersionTest, TheChangelogHasASectionForIt) {
  std::ifstream file("CHANGELOG.md");
  const std::string changelog((std::istreambuf_iterator<char>(file)), {});
  const std::string version(Version().substr(0, Version().find('+')));
  const std::string heading = absl::EndsWith(version, "-dev")
                                  ? "\n## [Unreleased]\n"
                                  : absl::StrCat("\n## [", version, "] - ");
  EXPECT_TRUE(absl::StrContains(changelog, heading)) << "CHANGELOG.md has no line " << heading;
}

}  // namespace
}  // namespace hookgate
