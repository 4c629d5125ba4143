#include "proto/api_listing.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"

namespace hookgate {
namespace {

namespace pb = google::protobuf;

using Lines = std::vector<std::string>;

std::string TypeOf(const pb::FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->full_name();
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

void AddField(const pb::FieldDescriptor& field, Lines& lines) {
  const pb::OneofDescriptor* oneof = field.real_containing_oneof();
  const std::string owner =
      field.is_extension() ? absl::StrCat(" extends ", field.containing_type()->full_name()) : "";
  lines.push_back(absl::StrCat("field ", field.full_name(), " = ", field.number(), " ",
                               field.is_repeated() ? "repeated " : "", TypeOf(field),
                               oneof == nullptr ? "" : absl::StrCat(" oneof ", oneof->name()),
                               owner));
}

void AddEnum(const pb::EnumDescriptor& values, Lines& lines) {
  for (int i = 0; i < values.value_count(); ++i) {
    lines.push_back(absl::StrCat("enum ", values.full_name(), ".", values.value(i)->name(), " = ",
                                 values.value(i)->number()));
  }
}

void AddMessage(const pb::Descriptor& message, Lines& lines) {
  lines.push_back(absl::StrCat("message ", message.full_name()));
  for (int i = 0; i < message.field_count(); ++i) AddField(*message.field(i), lines);
  for (int i = 0; i < message.extension_count(); ++i) AddField(*message.extension(i), lines);
  for (int i = 0; i < message.enum_type_count(); ++i) AddEnum(*message.enum_type(i), lines);
  for (int i = 0; i < message.nested_type_count(); ++i) AddMessage(*message.nested_type(i), lines);
}

void AddService(const pb::ServiceDescriptor& service, Lines& lines) {
  const auto side = [](bool streams, const pb::Descriptor* type) {
    return absl::StrCat(streams ? "stream " : "", type->full_name());
  };
  for (int i = 0; i < service.method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.method(i);
    lines.push_back(absl::StrCat("method ", method.full_name(), " ",
                                 side(method.client_streaming(), method.input_type()), " -> ",
                                 side(method.server_streaming(), method.output_type())));
  }
}

void AddFile(const pb::FileDescriptor& file, Lines& lines) {
  lines.push_back(absl::StrCat("file ", file.name(), " package ", file.package(), " syntax ",
                               pb::FileDescriptor::SyntaxName(file.syntax())));
  const pb::FileOptions& options = file.options();
  lines.push_back(absl::StrCat("file ", file.name(), " go_package ", options.go_package()));
  lines.push_back(absl::StrCat("file ", file.name(), " java_package ", options.java_package(), " ",
                               options.java_outer_classname(),
                               options.java_multiple_files() ? " multiple files" : " one file"));
  for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i), lines);
  for (int i = 0; i < file.enum_type_count(); ++i) AddEnum(*file.enum_type(i), lines);
  for (int i = 0; i < file.extension_count(); ++i) AddField(*file.extension(i), lines);
  for (int i = 0; i < file.service_count(); ++i) AddService(*file.service(i), lines);
}

[[noreturn]] void Abort(const std::string& why) {
  std::cerr << why << std::endl;
  std::abort();
}

}  // namespace

Lines ListApi(const pb::FileDescriptorSet& files) {
  pb::DescriptorPool pool;
  Lines lines;
  for (const pb::FileDescriptorProto& file : files.file()) {
    const pb::FileDescriptor* built = pool.BuildFile(file);
    if (built == nullptr) Abort(absl::StrCat(file.name(), " does not fit what it imports"));
    if (!absl::StartsWith(file.name(), "google/protobuf/")) AddFile(*built, lines);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Lines MissingLines(const Lines& golden, const Lines& now) {
  Lines missing;
  std::set_difference(golden.begin(), golden.end(), now.begin(), now.end(),
                      std::back_inserter(missing));
  return missing;
}

pb::FileDescriptorSet ReadDescriptorSet(const std::string& path) {
  pb::FileDescriptorSet files;
  std::ifstream file(path, std::ios::binary);
  if (!file || !files.ParseFromIstream(&file) || files.file().empty()) {
    Abort(absl::StrCat(path, " is not a descriptor set"));
  }
  return files;
}

}  // namespace hookgate
