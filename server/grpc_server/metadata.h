// The metadata of a call, as gRPC's protocol over HTTP/2 has it ("Custom-Metadata" in
// grpc/doc/PROTOCOL-HTTP2.md).
#ifndef HOOKGATE_SERVER_GRPC_SERVER_METADATA_H_
#define HOOKGATE_SERVER_GRPC_SERVER_METADATA_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace hookgate {

// Names and values in the order in which they came. Names are in lower case, and may repeat. The
// value of a name that ends in "-bin" is what its base64 stands for.
class Metadata {
 public:
  // Takes `value` as it came over the wire. A value "-bin" may be several, with commas between
  // them. False, without a change, if it is not base64.
  bool AddFromWire(absl::string_view name, absl::string_view value);

  // Every value of `name`; views into the metadata.
  std::vector<absl::string_view> All(absl::string_view name) const;
  // The first value of `name`; nullopt if there is no value.
  absl::optional<absl::string_view> First(absl::string_view name) const;

  const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

// `value` of `name` as it goes over the wire: in base64, without padding as gRPC's own peers have
// it, if the name ends in "-bin".
std::string MetadataToWire(absl::string_view name, absl::string_view value);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_METADATA_H_
