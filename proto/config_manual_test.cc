// A key that config.proto has gained, and a default that has changed there, reach the page that
// operators read.

#include "proto/config_manual.h"

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "proto/api_listing.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

std::string Today() {
  return ConfigManual(ReadDescriptorSet("proto/config.binpb"), "hookgate.config.v1.Config");
}

TEST(ConfigManualTest, ThePageIsUpToDate) {
  std::ifstream file("docs/configuration.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(page, Today()) << "bazel run //proto:renew_configuration writes it again";
}

TEST(ConfigManualTest, KeysStandWithTheirWholePathTypeAndComment) {
  const std::string page = Today();
  for (const char* part :
       {"\n## http\n\n(section)\n",
        "\n### http.max_body_bytes\n\n(whole number)\n\nLarger bodies are answered 413. ",
        "\n### http.body_timeout\n\n(duration) See `http.header_timeout`.\n",
        "\n### sources[].secrets[].inline\n\n(text)",
        "\n### http.trusted_proxies\n\n(list: text)\n", "\n## grpc.tls\n",
        "Its keys are those of `http.tls`.\n", "```\nprincipals {\n  name: \"mailer\"\n"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  for (absl::string_view line : absl::StrSplit(page, '\n')) EXPECT_LE(line.size(), 120u) << line;
}

}  // namespace
}  // namespace hookgate
