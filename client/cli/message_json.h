// Messages as JSON, for scripts. Pure.
#ifndef HOOKGATE_CLIENT_CLI_MESSAGE_JSON_H_
#define HOOKGATE_CLIENT_CLI_MESSAGE_JSON_H_

#include <string>

#include "google/protobuf/message.h"

namespace hookgate::cli {

// One JSON object, without line feeds: protobuf's JSON mapping with the names of the .proto files,
// so 64-bit numbers are strings and bytes are base64; PrintableJson. Numbers, texts, lists and
// truth values are there even if they are 0, empty or false; messages and optional fields only if
// they are set.
std::string MessageJson(const google::protobuf::Message& message);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_MESSAGE_JSON_H_
