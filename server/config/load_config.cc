#include "server/config/load_config.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/nearest.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "server/base/small_file.h"
#include "server/base/utf8.h"
#include "server/config/file_permissions.h"
#include "server/config/parse_hint.h"
#include "server/signature/pasted_secret.h"

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using hookgate::config::v1::Config;

// Far more than a config has. The parser takes as much of the stack as the text is deep.
constexpr int kMaxConfigDepth = 100;

void AddFieldNames(const Descriptor& message, std::set<const Descriptor*>& seen,
                   std::set<std::string>& names) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    names.insert(message.field(i)->name());
    if (message.field(i)->message_type() != nullptr) {
      AddFieldNames(*message.field(i)->message_type(), seen, names);
    }
  }
}

// Of all messages in a config.
std::set<std::string> FieldNames() {
  std::set<const Descriptor*> seen;
  std::set<std::string> names;
  AddFieldNames(*Config::descriptor(), seen, names);
  return names;
}

// Whether the parser may quote `text`: it is a type of the config's, a field's name, perhaps
// mistyped, or a word that is too short for a secret. Anything else may be one that stands there
// alone.
bool IsHarmlessQuote(const std::string& text) {
  constexpr size_t kLongest = 64;
  if (text.size() > kLongest) return false;
  if (text.size() == 1) return true;  // what the parser expected, such as ':'
  if (DescriptorPool::generated_pool()->FindMessageTypeByName(text) != nullptr) return true;
  if (text.size() < kLeastKeyBytes && std::all_of(text.begin(), text.end(), absl::ascii_islower)) {
    return true;
  }
  const size_t edits = std::max<size_t>(1, text.size() / 3);
  const std::set<std::string> names = FieldNames();
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return EditDistance(text, name) <= std::min(edits, name.size() / 2);
  });
}

// What the parser says, without the text that it stumbled over: that may be a secret which lacks
// its quotes, or its field.
std::string WithoutQuotes(absl::string_view message) {
  for (absl::string_view quote : {", got: ", ", found \"", " Value: \"", " ("}) {
    message = message.substr(0, message.find(quote));
  }
  if (absl::StrContains(message, "whsec_")) {
    return "a secret is in the wrong place; write it as inline: \"...\"";
  }
  // What is between quotes is every second part.
  std::vector<std::string> parts = absl::StrSplit(message, '"');
  std::string said = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    if (i % 2 == 0) {
      absl::StrAppend(&said, parts[i]);
    } else if (IsHarmlessQuote(parts[i])) {
      absl::StrAppend(&said, "\"", parts[i], "\"");
    } else {
      absl::StrAppend(&said, "(not shown, because it may be a secret)");
    }
  }
  return said;
}

// Adds what the text format parser reports, each with its place.
class ParserProblems : public google::protobuf::io::ErrorCollector {
 public:
  ParserProblems(const std::string& path, const std::string& text, Problems& problems)
      : path_(path), text_(text), problems_(problems) {}

  // After one of these the parser goes on only within what it is in.
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    // The parser counts from 0, editors from 1.
    const std::string hint = ParseHint(text_, line, column, message);
    problems_.AddError(absl::StrCat(path_, ":", line + 1, ":", column + 1),
                       absl::StrCat(absl::StripSuffix(WithoutQuotes(message), "."),
                                    hint.empty() ? "" : ": ", hint));
  }
  // A field that there is not: the parser skips it, so that all of them are found.
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    AddError(line, column, message);
  }

 private:
  const std::string& path_;
  const std::string& text_;
  Problems& problems_;
};

bool HoldsSecrets(const Config& config) {
  for (const auto& source : config.sources()) {
    for (const auto& secret : source.secrets()) {
      if (!secret.inline_().empty()) return true;
    }
  }
  return false;
}

// What comes out of a config goes into paths, log lines and messages. Paths end at a zero byte, and
// messages that hold other bytes than UTF-8 cannot be read.
void CheckText(absl::string_view text, const std::string& key, Problems& problems) {
  if (absl::StrContains(text, '\0')) problems.AddError(key, "holds a zero byte");
  if (!IsUtf8(text)) problems.AddError(key, "holds bytes that are not text (UTF-8)");
}

void CheckTexts(const google::protobuf::Message& message, const std::string& under,
                Problems& problems);

//   index  in a repeated field; -1: it is not one
void CheckTextsOf(const google::protobuf::Message& message,
                  const google::protobuf::FieldDescriptor& field, int index, const std::string& key,
                  Problems& problems) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
    CheckTexts(index < 0 ? reflection.GetMessage(message, &field)
                         : reflection.GetRepeatedMessage(message, &field, index),
               key + ".", problems);
  } else if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    CheckText(index < 0 ? reflection.GetString(message, &field)
                        : reflection.GetRepeatedString(message, &field, index),
              key, problems);
  }
}

//   under  what stands before the names of its fields: "" or "http.tls."
void CheckTexts(const google::protobuf::Message& message, const std::string& under,
                Problems& problems) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    const std::string key = under + field->name();
    if (!field->is_repeated()) {
      CheckTextsOf(message, *field, -1, key, problems);
      continue;
    }
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) {
      CheckTextsOf(message, *field, i, absl::StrCat(key, "[", i, "]"), problems);
    }
  }
}

}  // namespace

absl::optional<Config> LoadConfig(const std::string& path, Problems& problems) {
  constexpr size_t kMaxConfigBytes = 4 << 20;
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxConfigBytes);
  if (!text.ok()) {
    problems.AddError("config", text.status().message());
    return absl::nullopt;
  }
  if (absl::StripAsciiWhitespace(*text).empty()) {
    problems.AddWarning("config", absl::StrCat(path,
                                               " is empty, so everything has its default; leave "
                                               "--config out if that is meant"));
  }
  ParserProblems parser_problems(path, *text, problems);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&parser_problems);
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kMaxConfigDepth);
  Config config;
  if (!parser.ParseFromString(*text, &config)) return absl::nullopt;
  CheckTexts(config, "", problems);
  CheckPermissions(path, HoldsSecrets(config) ? FileUse::kSecret : FileUse::kTrust, "config",
                   problems);
  return config;
}

}  // namespace hookgate
