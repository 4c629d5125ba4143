// Frames that were put together here, as gRPC takes them.
#ifndef HOOKGATE_SERVER_RPC_BYTE_BUFFER_H_
#define HOOKGATE_SERVER_RPC_BYTE_BUFFER_H_

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>

namespace hookgate {

// Without copying it.
inline grpc::ByteBuffer ToByteBuffer(std::string frame) {
  auto* const owned = new std::string(std::move(frame));
  grpc::Slice slice(
      owned->data(), owned->size(), [](void* string) { delete static_cast<std::string*>(string); },
      owned);
  return grpc::ByteBuffer(&slice, 1);
}

// The same, of bytes that others hold, too.
inline grpc::ByteBuffer ToByteBuffer(std::shared_ptr<const std::string> frame) {
  auto* const owned = new std::shared_ptr<const std::string>(std::move(frame));
  grpc::Slice slice(
      const_cast<char*>((*owned)->data()), (*owned)->size(),  // gRPC does not write to it.
      [](void* pointer) { delete static_cast<std::shared_ptr<const std::string>*>(pointer); },
      owned);
  return grpc::ByteBuffer(&slice, 1);
}

// False: the bytes are no such message.
template <typename Message>
bool ParseByteBuffer(const grpc::ByteBuffer& bytes, Message& message) {
  grpc::ByteBuffer copy(bytes);  // Of references; parsing consumes it.
  return grpc::SerializationTraits<Message>::Deserialize(&copy, &message).ok();
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_BYTE_BUFFER_H_
