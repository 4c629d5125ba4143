#include "tests/clients/adapter_json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/json_util.h"

namespace hookgate::adapter {

bool Object::Parse(const std::string& line) {
  return google::protobuf::util::JsonStringToMessage(line, &fields_).ok();
}

const google::protobuf::Value& Object::Of(const std::string& name) const {
  const auto found = fields_.fields().find(name);
  return found == fields_.fields().end() ? google::protobuf::Value::default_instance()
                                         : found->second;
}

bool Object::Has(const std::string& name) const { return fields_.fields().count(name) != 0; }

std::string Object::Text(const std::string& name) const { return Of(name).string_value(); }

int64_t Object::Number(const std::string& name) const {
  return static_cast<int64_t>(Of(name).number_value());
}

bool Object::Bool(const std::string& name) const { return Of(name).bool_value(); }

std::vector<std::string> Object::Texts(const std::string& name) const {
  std::vector<std::string> texts;
  for (const auto& value : Of(name).list_value().values()) texts.push_back(value.string_value());
  return texts;
}

std::vector<Object> Object::Objects(const std::string& name) const {
  std::vector<Object> objects;
  for (const auto& value : Of(name).list_value().values()) {
    objects.emplace_back(value.struct_value());
  }
  return objects;
}

Object Object::Member(const std::string& name) const { return Object(Of(name).struct_value()); }

void Object::Milliseconds(const std::string& name, absl::Duration& duration) const {
  if (Has(name)) duration = absl::Milliseconds(Number(name));
}

std::string Object::Json() const { return MessageJson(fields_); }

std::string Quote(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&quoted, "\\", absl::string_view(&c, 1));
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", c);
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string MakeObject(const std::vector<std::pair<std::string, std::string>>& values) {
  return absl::StrCat("{",
                      absl::StrJoin(values, ",",
                                    [](std::string* out, const auto& value) {
                                      absl::StrAppend(out, Quote(value.first), ":", value.second);
                                    }),
                      "}");
}

std::string MakeList(const std::vector<std::string>& values) {
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

std::string MessageJson(const google::protobuf::Message& message) {
  std::string json;
  return google::protobuf::util::MessageToJsonString(message, &json).ok() ? json : "{}";
}

}  // namespace hookgate::adapter
