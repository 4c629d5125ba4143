// Verify against the vectors in standard_webhooks.txt, which explains its own format.
#include "server/signature/standard_webhooks.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "tests/conformance/vector_file.h"

namespace hookgate {
namespace {

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
  for (VectorBlock& block : ReadVectorFile("tests/conformance/standard_webhooks.txt")) {
    vectors.emplace_back();
    for (auto& [name, value] : block.lines) {
      EXPECT_TRUE(SetLine(name, std::move(value), vectors.back())) << block.where << ": " << name;
    }
  }
  return vectors;
}

absl::string_view ViewOrNull(const std::optional<std::string>& header) {
  return header.has_value() ? absl::string_view(*header) : absl::string_view();
}

// As the SDKs read it: a text without a prefix is the key itself.
absl::StatusOr<Secret> SecretOf(const std::string& text) {
  return absl::StartsWith(text, "wh") ? Secret::Parse("vector", text)
                                      : Secret::FromRawText("vector", text);
}

// The answer in the words of the file's `expect` lines.
std::string Outcome(const Vector& vector) {
  std::vector<Secret> secrets;
  for (const std::string& text : vector.secrets) {
    absl::StatusOr<Secret> secret = SecretOf(text);
    if (!secret.ok()) return secret.status().ToString();
    secrets.push_back(*std::move(secret));
  }
  const SignedHeaders headers = {.id = ViewOrNull(vector.id),
                                 .timestamp = ViewOrNull(vector.timestamp),
                                 .signature = ViewOrNull(vector.signature)};
  const auto verified = Verify(headers, vector.body, secrets, absl::FromUnixSeconds(vector.now),
                               absl::Seconds(vector.tolerance));
  return verified.ok() ? absl::StrCat("ok ", verified->secret_indices.front())
                       : ReasonOf(verified.status());
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
    const Secret secret = SecretOf(vector.secrets.at(0)).value();
    EXPECT_EQ(Sign(secret, *vector.id, *vector.timestamp, vector.body), *vector.signature)
        << "case: " << vector.name;
  }
}

}  // namespace
}  // namespace hookgate
