#include "server/config/parse_hint.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/nearest.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/config/v1/config.pb.h"

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;

// Where the place of a message is in the text. The parser counts a tab up to the next multiple of
// 8.
size_t OffsetOf(absl::string_view text, int line, int column) {
  constexpr int kTab = 8;
  size_t at = 0;
  for (int i = 0; i < line; ++i) {
    const size_t end = text.find('\n', at);
    if (end == absl::string_view::npos) return text.size();
    at = end + 1;
  }
  for (int i = 0; i < column && at < text.size() && text[at] != '\n'; ++at) {
    i += text[at] == '\t' ? kTab - i % kTab : 1;
  }
  return at;
}

// The lines, from 1, of the braces that are open at the end of `text`, the innermost last.
std::vector<int> OpenBraces(absl::string_view text) {
  std::vector<int> open;
  int line = 1;
  char quote = '\0';  // that a text began with, or '#' of a comment
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      quote = '\0';
    } else if (quote != '\0') {
      if (c == '\\' && quote != '#') ++i;
      if (c == quote && quote != '#') quote = '\0';
    } else if (c == '"' || c == '\'' || c == '#') {
      quote = c;
    } else if (c == '{' || c == '<') {
      open.push_back(line);
    } else if ((c == '}' || c == '>') && !open.empty()) {
      open.pop_back();
    }
  }
  return open;
}

void CollectFields(const Descriptor& message, absl::string_view name,
                   std::set<const Descriptor*>& seen, std::vector<const FieldDescriptor*>& found) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* const field = message.field(i);
    if (field->name() == name) found.push_back(field);
    if (field->message_type() != nullptr) CollectFields(*field->message_type(), name, seen, found);
  }
}

// The field of the config whose name ends `text`, perhaps with a colon behind it; if several have
// that name, one of them. Null: it is none.
const FieldDescriptor* FieldBefore(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  absl::ConsumeSuffix(&text, ":");
  text = absl::StripTrailingAsciiWhitespace(text);
  size_t begin = text.size();
  while (begin > 0 && (absl::ascii_isalnum(static_cast<unsigned char>(text[begin - 1])) ||
                       text[begin - 1] == '_')) {
    --begin;
  }
  std::set<const Descriptor*> seen;
  std::vector<const FieldDescriptor*> found;
  CollectFields(*hookgate::config::v1::Config::descriptor(), text.substr(begin), seen, found);
  const auto is_message = [](const FieldDescriptor* field) {
    return field->message_type() != nullptr;
  };
  const auto message = std::find_if(found.begin(), found.end(), is_message);
  return message == found.end() ? nullptr : *message;
}

// Of: Message type "TYPE" has no field named "NAME".
std::string HintOnField(absl::string_view message) {
  const std::vector<absl::string_view> parts = absl::StrSplit(message, '"');
  constexpr size_t kType = 1;
  constexpr size_t kName = 3;
  if (parts.size() <= kName) return "";
  const Descriptor* const type =
      DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(parts[kType]));
  if (type == nullptr) return "";
  std::vector<std::string> names;
  for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
  const std::string nearest = Nearest(parts[kName], names);
  if (!nearest.empty()) return absl::StrCat("did you mean \"", nearest, "\"?");
  return absl::StrCat("it has ", absl::StrJoin(names, ", "));
}

std::string HintOnMissingName(absl::string_view before, absl::string_view rest) {
  const std::vector<int> open = OpenBraces(before);
  if (rest.empty() && !open.empty()) {
    return absl::StrCat("the \"{\" of line ", open.back(), " is not closed");
  }
  if (rest.empty()) return "";
  if ((rest[0] == '}' || rest[0] == '>') && open.empty()) return "this closes nothing";
  if (absl::StrContains("{[\"'", rest[0])) {
    return "write NAME: VALUE or NAME { ... }; names have no quotation marks, and there are no "
           "brackets around the whole";
  }
  if (rest[0] == '/') return "a comment begins with #";
  return "the name of a field has to stand here";
}

std::string HintOnMissingBrace(absl::string_view before) {
  const FieldDescriptor* const field = FieldBefore(before);
  if (field == nullptr) return "";
  if (field->message_type()->full_name() == "google.protobuf.Duration") {
    return absl::StrCat("a time is written so: ", field->name(), " { seconds: 90 }");
  }
  return absl::StrCat(field->name(), " has fields: write ", field->name(), " { ... }");
}

}  // namespace

std::string ParseHint(absl::string_view text, int line, int column, absl::string_view message) {
  if (absl::StartsWith(text, "\xef\xbb\xbf") && line == 0) {
    return "the file begins with a byte order mark: save it as UTF-8 without one";
  }
  const size_t offset = OffsetOf(text, line, column);
  const absl::string_view before = text.substr(0, offset);
  const absl::string_view rest = absl::StripAsciiWhitespace(text.substr(offset));
  const auto says = [message](absl::string_view what) { return absl::StartsWith(message, what); };
  if (absl::StrContains(message, "has no field named")) return HintOnField(message);
  if (says("Expected identifier")) return HintOnMissingName(before, rest);
  if (says("Expected \"{\"")) return HintOnMissingBrace(before);
  if (says("Expected string")) return "put it into quotation marks";
  if (says("Expected integer")) return "write a whole number, without quotation marks";
  if (says("Expected double")) return "write a number, without quotation marks";
  if (says("Invalid value for boolean field")) return "write true or false";
  if (says("Expected \":\"")) return "write NAME: VALUE";
  if (says("Unexpected end of string")) return "the second quotation mark is missing in this line";
  if (says("Expected \"}\"")) return HintOnMissingName(before, rest);
  return "";
}

}  // namespace hookgate
