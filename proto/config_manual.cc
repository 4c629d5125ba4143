#include "proto/config_manual.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"

namespace hookgate {
namespace {

namespace pb = google::protobuf;

constexpr size_t kLineWidth = 120;
constexpr char kDuration[] = "google.protobuf.Duration";

constexpr char kHead[] = R"(# Configuration

<!-- Made of proto/hookgate/config/v1/config.proto: bazel run //proto:renew_configuration -->

Every key of the config file, with its type and default. A duration is written `{ seconds: 90 }`, a list by giving its
key several times; `#` begins a comment. `hookgated --check_config --config FILE` says all that is wrong with a file.

)";

// The words of `text` in lines that fit.
std::string Wrapped(absl::string_view text) {
  std::string result;
  std::string line;
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (!line.empty() && line.size() + 1 + word.size() > kLineWidth) {
      absl::StrAppend(&result, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return line.empty() ? result : absl::StrCat(result, line, "\n");
}

// A comment as Markdown: paragraphs, and what is indented in it as it is.
std::string Text(absl::string_view comment) {
  std::string result;
  std::string paragraph;
  bool in_example = false;
  const auto end_paragraph = [&] {
    if (paragraph.empty()) return;
    absl::StrAppend(&result, Wrapped(absl::StrReplaceAll(paragraph, {{"*", "\\*"}})), "\n");
    paragraph.clear();
  };
  const auto end_example = [&] {
    if (in_example) absl::StrAppend(&result, "```\n\n");
    in_example = false;
  };
  for (absl::string_view line : absl::StrSplit(comment, '\n')) {
    absl::ConsumePrefix(&line, " ");  // behind the slashes
    if (absl::StartsWith(line, "  ")) {
      end_paragraph();
      if (!in_example) absl::StrAppend(&result, "```\n");
      in_example = true;
      absl::StrAppend(&result, line.substr(2), "\n");
      continue;
    }
    end_example();
    if (line.empty()) end_paragraph();
    absl::StrAppend(&paragraph, line, line.empty() ? "" : "\n");
  }
  end_paragraph();
  end_example();
  return result;
}

template <typename Described>
std::string CommentOf(const Described& described) {
  pb::SourceLocation location;
  return described.GetSourceLocation(&location) ? location.leading_comments : "";
}

bool IsSection(const pb::FieldDescriptor& field) {
  return field.message_type() != nullptr && field.message_type()->full_name() != kDuration;
}

std::string TypeOf(const pb::FieldDescriptor& field) {
  std::string type;
  if (field.type() == pb::FieldDescriptor::TYPE_STRING) {
    type = "text";
  } else if (field.type() == pb::FieldDescriptor::TYPE_BOOL) {
    type = "true or false";
  } else if (IsSection(field)) {
    type = "section";
  } else if (field.message_type() != nullptr) {
    type = "duration";
  } else {
    type = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_DOUBLE ? "number" : "whole number";
  }
  return absl::StrCat(field.is_repeated() ? "list: " : "", type);
}

class Page {
 public:
  void Add(const pb::Descriptor& message, const std::string& path) {
    seen_.emplace(message.full_name(), path);
    std::string before;  // the key above, which a key without a comment belongs to
    std::vector<const pb::FieldDescriptor*> sections;
    for (int i = 0; i < message.field_count(); ++i) {
      const pb::FieldDescriptor& field = *message.field(i);
      const std::string key = absl::StrCat(path, path.empty() ? "" : ".", field.name(),
                                           field.is_repeated() && IsSection(field) ? "[]" : "");
      if (IsSection(field)) {
        sections.push_back(&field);
        continue;
      }
      const std::string comment = CommentOf(field);
      absl::StrAppend(&text_, "### ", key, "\n\n", "(", TypeOf(field), ")",
                      comment.empty() ? absl::StrCat(" See `", before, "`.\n\n")
                                      : absl::StrCat("\n\n", Text(comment)));
      if (!comment.empty()) before = key;
    }
    for (const pb::FieldDescriptor* section : sections) AddSection(*section, path);
  }

  const std::string& text() const { return text_; }

 private:
  void AddSection(const pb::FieldDescriptor& field, const std::string& path) {
    const std::string key =
        absl::StrCat(path, path.empty() ? "" : ".", field.name(), field.is_repeated() ? "[]" : "");
    absl::StrAppend(&text_, "## ", key, "\n\n(", TypeOf(field), ")\n\n", Text(CommentOf(field)));
    const auto found = seen_.find(field.message_type()->full_name());
    if (found != seen_.end()) {
      absl::StrAppend(&text_, "Its keys are those of `", found->second, "`.\n\n");
      return;
    }
    absl::StrAppend(&text_, Text(CommentOf(*field.message_type())));
    Add(*field.message_type(), key);
  }

  std::string text_;
  std::map<std::string, std::string> seen_;  // message to the key of its section
};

}  // namespace

std::string ConfigManual(const pb::FileDescriptorSet& files, const std::string& config) {
  pb::DescriptorPool pool;
  for (const pb::FileDescriptorProto& file : files.file()) pool.BuildFile(file);
  const pb::Descriptor* message = pool.FindMessageTypeByName(config);
  if (message == nullptr) {
    std::cerr << "there is no message " << config << std::endl;
    std::abort();
  }
  // What stands above the syntax of the file is about the file as a whole.
  std::string about;
  for (const pb::FileDescriptorProto& file : files.file()) {
    if (file.name() != message->file()->name()) continue;
    for (const auto& location : file.source_code_info().location()) {
      const bool is_syntax = location.path_size() == 1 &&
                             location.path(0) == pb::FileDescriptorProto::kSyntaxFieldNumber;
      if (is_syntax) about = location.leading_comments();
    }
  }
  Page page;
  page.Add(*message, "");
  const std::string text = absl::StrCat(kHead, Text(about), page.text());
  return std::string(absl::StripSuffix(text, "\n"));  // an empty line
}

}  // namespace hookgate
