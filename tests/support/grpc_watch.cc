#include "tests/support/grpc_watch.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/message_lite.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using grpc::experimental::InterceptionHookPoints;

thread_local bool untyped_calls = false;

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

class WatchedCall : public grpc::experimental::Interceptor {
 public:
  WatchedCall(std::string method, bool untyped) : method_(std::move(method)), untyped_(untyped) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      SearchMetadata(methods->GetRecvInitialMetadata());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      SearchMessage(methods->GetRecvMessage());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      const grpc::Status& status = *methods->GetRecvStatus();
      Search("status", status.error_message());
      Search("status details", status.error_details());
      SearchMetadata(methods->GetRecvTrailingMetadata());
    }
    methods->Proceed();
  }

 private:
  void SearchMessage(const void* message) const {
    if (message == nullptr) return;  // The end of the stream.
    Search("answer", untyped_ ? BytesOf(*static_cast<const grpc::ByteBuffer*>(message))
                              : static_cast<const google::protobuf::MessageLite*>(message)
                                    ->SerializePartialAsString());
  }
  void SearchMetadata(const std::multimap<grpc::string_ref, grpc::string_ref>* fields) const {
    if (fields == nullptr) return;
    for (const auto& [name, value] : *fields) {
      Search("metadata", absl::StrCat(absl::string_view(name.data(), name.size()), ": ",
                                      absl::string_view(value.data(), value.size())));
    }
  }
  void Search(absl::string_view what, const std::string& bytes) const {
    ExpectNothingDisclosed(SecretWatch::kAnswer, absl::StrCat("the ", what, " of ", method_),
                           bytes);
  }

  const std::string method_;
  const bool untyped_;
};

class Factory : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    return new WatchedCall(info->method(), untyped_calls);
  }
};

// Before any channel is made; gRPC keeps the pointer for the life of the process.
const bool registered = [] {
  static Factory* const factory = new Factory();
  grpc::experimental::RegisterGlobalClientInterceptorFactory(factory);
  return true;
}();

}  // namespace

UntypedCalls::UntypedCalls() { untyped_calls = true; }
UntypedCalls::~UntypedCalls() { untyped_calls = false; }

}  // namespace hookgate
