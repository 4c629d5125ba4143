// The header fields of a request, as they come, and what they say as a gRPC call ("Requests" in
// PROTOCOL-HTTP2.md). Pure. HTTP/2's own rules, such as which pseudo headers there are and of what
// characters names consist, have been checked before.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_REQUEST_HEAD_H_
#define HOOKGATE_SERVER_GRPC_SERVER_REQUEST_HEAD_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/grpc_server/metadata.h"

namespace hookgate {

class RequestHead {
 public:
  // Forgets everything. Fields are kept until their list is longer than `max_bytes`, counted as
  // HTTP/2 does: names, values, and 32 for each.
  void Begin(size_t max_bytes);
  void Add(absl::string_view name, absl::string_view value);

  size_t list_bytes() const { return list_bytes_; }
  bool too_large() const { return list_bytes_ > max_bytes_; }

  // The status of HTTP: 200 if it is a gRPC call, right or wrong; 405 or 415 if it is not.
  int http_status() const;
  // What is wrong with the call. RESOURCE_EXHAUSTED header_too_large; UNIMPLEMENTED for a
  // compression; INVALID_ARGUMENT malformed_request for a field that cannot be read.
  absl::Status Check() const;

  const std::string& path() const { return path_; }
  const absl::optional<absl::Duration>& timeout() const { return timeout_; }
  Metadata TakeMetadata() { return std::move(metadata_); }

 private:
  void Keep(absl::string_view name, absl::string_view value);

  size_t max_bytes_ = 0;
  size_t list_bytes_ = 0;
  bool is_post_ = false;
  bool is_grpc_ = false;
  std::string path_;
  std::string encoding_;   // of the messages; "" if they are not compressed
  std::string malformed_;  // the first field that cannot be read
  absl::optional<absl::Duration> timeout_;
  Metadata metadata_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_REQUEST_HEAD_H_
