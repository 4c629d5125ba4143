#include "server/config/problems.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

// A message may quote a value of the config, which may be long.
constexpr size_t kMaxBytes = 1000;

std::string Join(absl::string_view key, absl::string_view what) {
  return absl::StrCat(key, ": ", what);
}

bool IsOfWord(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_+=-/", c);
}

// Whether a word that a message quotes may be a secret that was pasted into the wrong place: by its
// prefix; or since nobody chose it, as names, words and paths have no such mixture between slashes.
bool MayBeSecret(absl::string_view word) {
  constexpr size_t kLeast = 4;  // behind a prefix, of which messages speak
  for (const absl::string_view prefix : {"whsec_", "whsk_", "whpk_"}) {
    const size_t at = word.find(prefix);
    if (at != absl::string_view::npos && word.size() - at - prefix.size() >= kLeast) return true;
  }
  constexpr size_t kLeastMixed = 20;
  for (const absl::string_view part : absl::StrSplit(word, '/')) {
    const auto has = [part](bool (*is)(unsigned char)) {
      return std::any_of(part.begin(), part.end(),
                         [is](char c) { return is(static_cast<unsigned char>(c)); });
    };
    if (part.size() >= kLeastMixed && has(absl::ascii_isupper) && has(absl::ascii_islower) &&
        has(absl::ascii_isdigit)) {
      return true;
    }
  }
  return false;
}

std::string WithoutSecrets(absl::string_view message) {
  std::string said;
  while (!message.empty()) {
    size_t end = 0;
    while (end < message.size() && IsOfWord(message[end])) ++end;
    const absl::string_view word = message.substr(0, end);
    absl::StrAppend(&said, MayBeSecret(word) ? "(not shown, because it may be a secret)" : word);
    message.remove_prefix(end);
    if (message.empty()) break;
    said.push_back(message[0]);
    message.remove_prefix(1);
  }
  return said;
}

}  // namespace

void Problems::AddError(absl::string_view key, absl::string_view what) {
  Add(Join(key, what), errors_);
}

void Problems::AddError(const absl::Status& status) {
  if (!status.ok()) Add(std::string(status.message()), errors_);
}

void Problems::AddErrors(const Problems& other) {
  for (const std::string& error : other.errors_) Add(error, errors_);
}

void Problems::AddWarning(absl::string_view key, absl::string_view what) {
  Add(Join(key, what), warnings_);
}

void Problems::Add(std::string problem, std::vector<std::string>& problems) {
  problem = WithoutSecrets(problem);
  if (problem.size() > kMaxBytes) {
    // The beginning has the key, and the end what would be right.
    problem = absl::StrCat(problem.substr(0, kMaxBytes / 2), " ... ",
                           problem.substr(problem.size() - kMaxBytes / 2));
  }
  problem = Printable(problem);
  if (std::find(problems.begin(), problems.end(), problem) != problems.end()) return;
  if (problems.size() < kMost) problems.push_back(std::move(problem));
  if (problems.size() == kMost) problems.push_back("there are more problems than these");
}

}  // namespace hookgate
