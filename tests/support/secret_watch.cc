#include "tests/support/secret_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace hookgate {
namespace {

uint64_t FirstBytes(const char* text) {
  static_assert(SecretWatch::kLeastBytes == sizeof(uint64_t));
  uint64_t bytes = 0;
  std::memcpy(&bytes, text, sizeof(bytes));
  return bytes;
}

// Of the first four bytes, a place in SecretWatch::starts_.
size_t StartOf(const char* text) {
  uint32_t bytes = 0;
  std::memcpy(&bytes, text, sizeof(bytes));
  return (bytes * 0x9e3779b1u) >> 16;
}

std::string WithoutPadding(absl::string_view base64) {
  while (absl::ConsumeSuffix(&base64, "=")) {
  }
  return std::string(base64);
}

}  // namespace

SecretWatch& SecretWatch::OfThisProgram() {
  static SecretWatch* const watch = [] {
    auto* const made = new SecretWatch();
    made->KeepSecret("kTestSecret", kTestSecret);
    made->KeepSecret("kNewSecret", kNewSecret);
    made->KeepSecret("kOtherSecret", kOtherSecret);
    made->KeepSecret("kWrongSecret", kWrongSecret);
    made->KeepBody("a body", kBodyMarker);
    return made;
  }();
  return *watch;
}

void SecretWatch::KeepSecret(absl::string_view name, absl::string_view text) {
  absl::MutexLock lock(&mu_);
  absl::string_view base64 = text;
  std::string bytes;
  if (!absl::ConsumePrefix(&base64, "whsec_") || !absl::Base64Unescape(base64, &bytes)) {
    return KeepSpellings(text, name);
  }
  // Also covers the text with its prefix, which holds this. Padding is often left out.
  Keep(WithoutPadding(base64), absl::StrCat(name, ", its base64"));
  KeepSpellings(bytes, absl::StrCat(name, ", decoded"));
}

void SecretWatch::KeepToken(absl::string_view name, absl::string_view token) {
  absl::MutexLock lock(&mu_);
  KeepSpellings(token, name);
}

void SecretWatch::KeepSignature(absl::string_view field) {
  absl::MutexLock lock(&mu_);
  for (absl::string_view entry : absl::StrSplit(field, ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> tagged =
        absl::StrSplit(entry, absl::MaxSplits(',', 1));
    const std::string base64 = WithoutPadding(tagged.second);
    // What hostile tests send for a signature may be anything; a true one has 32 bytes or more.
    if (base64.size() < 43) continue;
    Keep(base64, "a signature");
    std::string bytes;
    if (absl::Base64Unescape(base64, &bytes)) {
      Keep(absl::BytesToHexString(bytes), "a signature, in hex");
    }
  }
}

void SecretWatch::KeepBody(absl::string_view name, absl::string_view part) {
  absl::MutexLock lock(&mu_);
  Keep(part, std::string(name), /*in_bodies=*/true);
}

void SecretWatch::KeepSpellings(absl::string_view text, absl::string_view name) {
  Keep(text, std::string(name));
  if (text.size() < kLeastBytes) return;
  const std::string hex = absl::BytesToHexString(text);
  Keep(hex, absl::StrCat(name, ", in hex"));
  Keep(absl::AsciiStrToUpper(hex), absl::StrCat(name, ", in upper hex"));
  Keep(WithoutPadding(absl::Base64Escape(text)), absl::StrCat(name, ", in base64"));
  Keep(WithoutPadding(absl::WebSafeBase64Escape(text)), absl::StrCat(name, ", in URL's base64"));
  // As protobuf's text format and C write bytes that are not printable.
  Keep(absl::CEscape(text), absl::StrCat(name, ", escaped"));
  Keep(absl::CHexEscape(text), absl::StrCat(name, ", escaped in hex"));
}

void SecretWatch::Keep(absl::string_view text, const std::string& name, bool in_bodies) {
  if (text.size() < kLeastBytes) {
    ADD_FAILURE() << name << " is too short to be searched for";
    return;
  }
  std::vector<Kept>& same_start = kept_[FirstBytes(text.data())];
  const bool known = std::any_of(same_start.begin(), same_start.end(),
                                 [&](const Kept& kept) { return kept.text == text; });
  starts_.set(StartOf(text.data()));
  if (!known) same_start.push_back({std::string(text), name, in_bodies});
}

std::vector<std::string> SecretWatch::Disclosures(Place place, absl::string_view bytes) const {
  std::vector<std::string> found;
  absl::MutexLock lock(&mu_);
  for (size_t at = 0; at + kLeastBytes <= bytes.size(); ++at) {
    if (!starts_[StartOf(bytes.data() + at)]) continue;
    const auto same_start = kept_.find(FirstBytes(bytes.data() + at));
    if (same_start == kept_.end()) continue;
    for (const Kept& kept : same_start->second) {
      if (place == kAnswer && kept.in_bodies) continue;
      if (!absl::StartsWith(bytes.substr(at), kept.text)) continue;
      if (std::find(found.begin(), found.end(), kept.name) == found.end()) {
        found.push_back(kept.name);
      }
    }
  }
  return found;
}

void ExpectNothingDisclosed(SecretWatch::Place place, absl::string_view what,
                            absl::string_view bytes) {
  for (const std::string& name : SecretWatch::OfThisProgram().Disclosures(place, bytes)) {
    ADD_FAILURE() << std::string(what) << " discloses " << name;
  }
}

void KeepSignaturesOf(absl::string_view request) {
  const absl::string_view head = request.substr(0, request.find("\r\n\r\n"));
  for (absl::string_view line : absl::StrSplit(head, "\r\n")) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(": ", 1));
    if (absl::EndsWithIgnoreCase(field.first, "-signature")) {
      SecretWatch::OfThisProgram().KeepSignature(field.second);
    }
  }
}

}  // namespace hookgate
