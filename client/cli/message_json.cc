#include "client/cli/message_json.h"

#include "client/cli/printable.h"
#include "google/protobuf/util/json_util.h"

namespace hookgate::cli {

std::string MessageJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  return PrintableJson(json);
}

}  // namespace hookgate::cli
