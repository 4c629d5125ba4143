// How much a serialised protobuf message is a message of: a field takes two bytes on the wire, and
// some fifty or a hundred once it has been parsed. Pure.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_WIRE_FIELDS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_WIRE_FIELDS_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "google/protobuf/descriptor.h"

namespace hookgate {

// The fields of `bytes`, a message of `type`, with those of messages and groups within it; 8 bytes
// of packed numbers count as one. Stops counting beyond `limit`. nullopt: they are no message. Such
// bytes are not to be parsed: what is not counted is not bounded.
absl::optional<size_t> CountFields(absl::string_view bytes,
                                   const google::protobuf::Descriptor& type, size_t limit);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_WIRE_FIELDS_H_
