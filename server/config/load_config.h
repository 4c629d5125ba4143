// Reads a config file.
#ifndef HOOKGATE_SERVER_CONFIG_LOAD_CONFIG_H_
#define HOOKGATE_SERVER_CONFIG_LOAD_CONFIG_H_

#include <string>

#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/config/problems.h"

namespace hookgate {

// Reads a config file in protobuf text format, and warns if others may change it, or read secrets
// in it. An error has "FILE:LINE:COLUMN: ..." if the file is not such a text, or has fields that
// there are not; none holds a secret. Nothing, with an error, if the file cannot be read or the
// parser was lost, so that all that could be said of the rest would be guessed. With fields that
// there are not, it is what the others say.
absl::optional<hookgate::config::v1::Config> LoadConfig(const std::string& path,
                                                        Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_LOAD_CONFIG_H_
