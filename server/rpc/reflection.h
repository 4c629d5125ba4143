// What the server reflection service answers: which services there are, and the .proto files that
// describe them. The messages of grpc.reflection.v1 and v1alpha are the same bytes.
#ifndef HOOKGATE_SERVER_RPC_REFLECTION_H_
#define HOOKGATE_SERVER_RPC_REFLECTION_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1/reflection.pb.h"

namespace hookgate {

// Thread-safe, as it is constant.
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
  const std::vector<std::string>& services_;
  const google::protobuf::DescriptorPool& pool_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFLECTION_H_
