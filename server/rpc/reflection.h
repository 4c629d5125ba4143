// What the server reflection service answers: which services there are, and the .proto files that
// describe them. The messages of grpc.reflection.v1 and v1alpha are the same bytes.
#ifndef HOOKGATE_SERVER_RPC_REFLECTION_H_
#define HOOKGATE_SERVER_RPC_REFLECTION_H_

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1/reflection.pb.h"

namespace hookgate {

// Thread-safe. Each file is serialised once: to copy descriptors takes a hundred times as long as
// to copy their bytes, and a connection's thread has other calls to serve.
class Reflection {
 public:
  // `services` are full names, as listed; `pool` describes them. Both outlive this. Services may be
  // added until the first question.
  Reflection(const std::vector<std::string>& services, const google::protobuf::DescriptorPool& pool)
      : services_(services), pool_(pool) {}

  // One answer for one question. What is not there is an ErrorResponse with NOT_FOUND, a question
  // without content one with INVALID_ARGUMENT; neither ends the stream. A file comes with all that
  // it imports, imports first.
  grpc::reflection::v1::ServerReflectionResponse Answer(
      const grpc::reflection::v1::ServerReflectionRequest& request) const;

 private:
  void SetFile(const google::protobuf::FileDescriptor* file,
               grpc::reflection::v1::ServerReflectionResponse& response) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // Never moves, and never changes.
  const std::string& BytesOf(const google::protobuf::FileDescriptor& file) const
      ABSL_LOCKS_EXCLUDED(mu_);

  const std::vector<std::string>& services_;
  const google::protobuf::DescriptorPool& pool_;

  mutable absl::Mutex mu_;
  // Of those that were asked for. There are no more than the pool has.
  mutable std::map<const google::protobuf::FileDescriptor*, std::string> files_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFLECTION_H_
