// Verify against the vectors in standard_webhooks.txt, which explains its own format.
#include "server/signature/standard_webhooks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kVectors[] = "tests/conformance/standard_webhooks.txt";

struct Vector {
  std::string name;
  std::vector<std::string> secrets;
  std::optional<std::string> id;
  std::optional<std::string> timestamp;
  std::optional<std::string> signature;
  std::string body;
  int64_t now = 1750861210;
  int64_t tolerance = 300;
  std::string expect;
};

// Whether `name` is a line that the format knows, and its value well-formed.
bool SetLine(absl::string_view name, std::string value, Vector& vector) {
  if (name == "case")
    vector.name = std::move(value);
  else if (name == "secret")
    vector.secrets.push_back(std::move(value));
  else if (name == "id")
    vector.id = std::move(value);
  else if (name == "timestamp")
    vector.timestamp = std::move(value);
  else if (name == "signature")
    vector.signature = std::move(value);
  else if (name == "body")
    vector.body = std::move(value);
  else if (name == "body_escaped")
    return absl::CUnescape(value, &vector.body);
  else if (name == "now")
    return absl::SimpleAtoi(value, &vector.now);
  else if (name == "tolerance")
    return absl::SimpleAtoi(value, &vector.tolerance);
  else if (name == "expect")
    vector.expect = std::move(value);
  else
    return false;
  return true;
}

std::vector<Vector> ReadVectors() {
  std::vector<Vector> vectors;
  std::ifstream file(kVectors);
  EXPECT_TRUE(file.is_open()) << kVectors;
  std::string line;
  bool in_block = false;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line[0] == '#') continue;
    if (line.empty()) {
      in_block = false;
      continue;
    }
    if (!in_block) vectors.emplace_back();
    in_block = true;
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    const std::string value = parts.second.empty() ? "" : parts.second.substr(1);
    EXPECT_TRUE(SetLine(parts.first, value, vectors.back())) << kVectors << ":" << number;
  }
  return vectors;
}

absl::string_view ViewOrNull(const std::optional<std::string>& header) {
  return header.has_value() ? absl::string_view(*header) : absl::string_view();
}

// The answer in the words of the file's `expect` lines.
std::string Outcome(const Vector& vector) {
  std::vector<Secret> secrets;
  for (const std::string& text : vector.secrets) {
    absl::StatusOr<Secret> secret = Secret::Parse("vector", text);
    if (!secret.ok()) return secret.status().ToString();
    secrets.push_back(*std::move(secret));
  }
  const SignedHeaders headers = {.id = ViewOrNull(vector.id),
                                 .timestamp = ViewOrNull(vector.timestamp),
                                 .signature = ViewOrNull(vector.signature)};
  const auto verified = Verify(headers, vector.body, secrets, absl::FromUnixSeconds(vector.now),
                               absl::Seconds(vector.tolerance));
  return verified.ok() ? absl::StrCat("ok ", verified->secret_index) : ReasonOf(verified.status());
}

TEST(StandardWebhooksConformanceTest, EveryVectorIsAnsweredAsExpected) {
  const std::vector<Vector> vectors = ReadVectors();
  EXPECT_GT(vectors.size(), 50u);
  for (const Vector& vector : vectors) {
    EXPECT_FALSE(vector.name.empty());
    EXPECT_EQ(Outcome(vector), vector.expect) << "case: " << vector.name;
  }
}

TEST(StandardWebhooksConformanceTest, SignMakesThePublishedSignatures) {
  const std::vector<Vector> vectors = ReadVectors();
  ASSERT_GE(vectors.size(), 2u);
  for (const Vector& vector : {vectors[0], vectors[1]}) {
    const Secret secret = Secret::Parse("vector", vector.secrets.at(0)).value();
    EXPECT_EQ(Sign(secret, *vector.id, *vector.timestamp, vector.body), *vector.signature)
        << "case: " << vector.name;
  }
}

}  // namespace
}  // namespace hookgate
