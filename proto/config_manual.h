// docs/configuration.md: every key of the config file, with what config.proto says of it.
#ifndef HOOKGATE_PROTO_CONFIG_MANUAL_H_
#define HOOKGATE_PROTO_CONFIG_MANUAL_H_

#include <string>

#include "google/protobuf/descriptor.pb.h"

namespace hookgate {

// The whole page, in Markdown, of the message `config` ("hookgate.config.v1.Config") in `files`,
// which protoc wrote with --include_source_info. Aborts if it is not there.
std::string ConfigManual(const google::protobuf::FileDescriptorSet& files,
                         const std::string& config);

}  // namespace hookgate

#endif  // HOOKGATE_PROTO_CONFIG_MANUAL_H_
