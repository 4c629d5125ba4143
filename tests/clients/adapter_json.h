// The lines that an adapter reads and writes (README.md): JSON by protobuf's own parser, so that an
// adapter needs nothing beside the library that it drives.
#ifndef HOOKGATE_TESTS_CLIENTS_ADAPTER_JSON_H_
#define HOOKGATE_TESTS_CLIENTS_ADAPTER_JSON_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"

namespace hookgate::adapter {

// One JSON object. A member that is not there reads as "", 0, false or an empty list.
class Object {
 public:
  Object() = default;
  explicit Object(google::protobuf::Struct fields) : fields_(std::move(fields)) {}
  // False: `line` is not a JSON object.
  bool Parse(const std::string& line);

  bool Has(const std::string& name) const;
  std::string Text(const std::string& name) const;
  int64_t Number(const std::string& name) const;
  bool Bool(const std::string& name) const;
  std::vector<std::string> Texts(const std::string& name) const;
  std::vector<Object> Objects(const std::string& name) const;
  Object Member(const std::string& name) const;
  // Sets `duration` to the milliseconds of `name`, if that is there.
  void Milliseconds(const std::string& name, absl::Duration& duration) const;
  // Back to text.
  std::string Json() const;

 private:
  const google::protobuf::Value& Of(const std::string& name) const;

  google::protobuf::Struct fields_;
};

// JSON texts.
std::string Quote(absl::string_view text);
// `values` are JSON texts themselves.
std::string MakeObject(const std::vector<std::pair<std::string, std::string>>& values);
std::string MakeList(const std::vector<std::string>& values);
// A message in protobuf's JSON mapping.
std::string MessageJson(const google::protobuf::Message& message);

}  // namespace hookgate::adapter

#endif  // HOOKGATE_TESTS_CLIENTS_ADAPTER_JSON_H_
