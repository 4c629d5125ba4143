#include "server/gateway/command_line.h"

#include <algorithm>
#include <map>

#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"

namespace hookgate {
namespace {

constexpr size_t kColumns = 80;
constexpr absl::string_view kHelp[] = {"help", "h"};
constexpr char kVersion[] = "version";

// One word taken apart: --name, --name=value.
struct Word {
  std::string name;
  absl::optional<std::string> value;
};

// Nothing if it is no flag at all.
absl::optional<Word> TakeApart(absl::string_view text) {
  if (text.size() < 2 || text[0] != '-' || text == "--") return absl::nullopt;
  absl::ConsumePrefix(&text, "-");
  absl::ConsumePrefix(&text, "-");
  const std::pair<std::string, absl::optional<std::string>> parts = [text] {
    const size_t equals = text.find('=');
    if (equals == absl::string_view::npos) {
      return std::pair{std::string(text), absl::optional<std::string>()};
    }
    return std::pair{std::string(text.substr(0, equals)),
                     absl::make_optional(std::string(text.substr(equals + 1)))};
  }();
  return Word{parts.first, parts.second};
}

bool IsHelp(absl::string_view name) {
  return std::find(std::begin(kHelp), std::end(kHelp), name) != std::end(kHelp);
}

absl::CommandLineFlag* FindOwn(absl::string_view name, absl::string_view file) {
  absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(name);
  return flag != nullptr && absl::EndsWith(flag->Filename(), file) ? flag : nullptr;
}

// Takes --flag, --noflag and --flag=VALUE of a bool, otherwise --flag=VALUE and --flag VALUE, whose
// value is `next` (null: there is none) and is then used up.
void CheckFlag(const Word& word, const std::string* next, absl::string_view file, bool& used_next,
               Problems& problems) {
  const std::string key = absl::StrCat("--", word.name);
  absl::CommandLineFlag* flag = FindOwn(word.name, file);
  absl::string_view positive = word.name;
  if (flag == nullptr && absl::ConsumePrefix(&positive, "no") && !word.value.has_value()) {
    flag = FindOwn(positive, file);
    if (flag != nullptr && flag->IsOfType<bool>()) return;
    flag = nullptr;
  }
  if (flag == nullptr) {
    problems.AddError(key, "there is no such flag; see hookgated --help");
    return;
  }
  std::string value = word.value.value_or("true");
  if (!word.value.has_value() && !flag->IsOfType<bool>()) {
    if (next == nullptr) {
      problems.AddError(key, "needs a value; write --NAME=VALUE");
      return;
    }
    value = *next;
    used_next = true;
  }
  if (value.empty() && flag->IsOfType<std::string>()) {
    problems.AddError(key,
                      "is empty, perhaps from a variable that is not set; give it a "
                      "value, or leave the flag out");
    return;
  }
  std::string error;
  if (!flag->ParseFrom(value, &error)) {
    problems.AddError(
        key, absl::StrCat("\"", value, "\" is not valid", error.empty() ? "" : ": ", error));
  }
}

// `text` in lines of at most kColumns, each with `indent` before it.
std::string Wrapped(absl::string_view text, absl::string_view indent) {
  std::string result;
  std::string line(indent);
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&result, line, "\n");
      line = std::string(indent);
    }
    absl::StrAppend(&line, line.size() > indent.size() ? " " : "", word);
  }
  return absl::StrCat(result, line, "\n");
}

}  // namespace

void CheckCommandLine(const std::vector<std::string>& words, absl::string_view file,
                      Problems& problems) {
  for (size_t i = 0; i < words.size(); ++i) {
    const absl::optional<Word> word = TakeApart(words[i]);
    if (!word.has_value()) {
      // Whoever puts a secret there should not find it in a log as well.
      const bool is_secret = absl::StrContains(words[i], "whsec_");
      problems.AddError(is_secret ? "(a secret)" : absl::StrCat("\"", words[i], "\""),
                        "is not a flag, and hookgated takes only flags; see hookgated --help");
      continue;
    }
    if (IsHelp(word->name) || word->name == kVersion) continue;
    bool used_next = false;
    CheckFlag(*word, i + 1 < words.size() ? &words[i + 1] : nullptr, file, used_next, problems);
    if (used_next) ++i;
  }
}

bool AsksForHelp(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](const std::string& text) {
    const absl::optional<Word> word = TakeApart(text);
    return word.has_value() && IsHelp(word->name);
  });
}

bool AsksForVersion(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](const std::string& text) {
    const absl::optional<Word> word = TakeApart(text);
    return word.has_value() && word->name == kVersion;
  });
}

std::string HelpText(absl::string_view file) {
  std::map<std::string, absl::CommandLineFlag*> own;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::EndsWith(flag->Filename(), file)) own.emplace(std::string(name), flag);
  }
  std::string text = absl::StrCat(absl::ProgramUsageMessage(), "\n\nFlags:\n");
  for (const auto& [name, flag] : own) {
    absl::StrAppend(&text, "  --", name, flag->IsOfType<bool>() ? "" : "=VALUE", "\n",
                    Wrapped(flag->Help(), "      "));
  }
  absl::StrAppend(&text, "  --help\n      This text.\n  --version\n      The version.\n");
  return text;
}

}  // namespace hookgate
