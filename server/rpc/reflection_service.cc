#include "server/rpc/reflection_service.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/rpc/byte_buffer.h"
#include "server/rpc/caller.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/refused_stream.h"

namespace hookgate {
namespace {

using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// Reads a question, writes its answer, reads the next.
class ReflectionStream final : public Reactor,
                               public OpenStream,
                               public std::enable_shared_from_this<ReflectionStream> {
 public:
  ReflectionStream(Caller caller, std::string method, const ReflectionContext& context)
      : caller_(std::move(caller)), method_(std::move(method)), context_(context) {}

  void Start() { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {  // The client has closed its side, or is gone.
      End(absl::OkStatus());
      return;
    }
    grpc::reflection::v1::ServerReflectionRequest request;
    if (!ParseByteBuffer(request_, request)) {
      End(ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                          "a message is not a ServerReflectionRequest"));
      return;
    }
    response_ = ToByteBuffer(context_.reflection.Answer(request).SerializeAsString());
    Step(&ReflectionStream::StartAnswer);
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      Step(&ReflectionStream::StartNextRead);
    } else {
      End(absl::CancelledError("the client has gone"));
    }
  }
  void OnCancel() override { End(absl::CancelledError("the client has gone")); }
  void OnDone() override { context_.registry.Remove(this); }

  void Drain(absl::Duration) override { End(DrainingError()); }
  void Recheck() override {
    const absl::Status allowed = caller_.CheckMethod(method_);
    if (!allowed.ok()) End(allowed);
  }

 private:
  void StartAnswer() { StartWrite(&response_); }
  void StartNextRead() { StartRead(&request_); }

  // Nothing is started once the stream has ended.
  void Step(void (ReflectionStream::*start)()) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!ended_) (this->*start)();
  }
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_) {
    // gRPC may be done with it at once.
    const std::shared_ptr<ReflectionStream> self = shared_from_this();
    absl::MutexLock lock(&mu_);
    if (std::exchange(ended_, true)) return;
    Finish(ToGrpcStatus(status));
  }

  // Constant after construction.
  const Caller caller_;
  const std::string method_;
  const ReflectionContext context_;

  // gRPC's while it reads or writes.
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;

  absl::Mutex mu_;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

Reactor* Open(const grpc::CallbackServerContext& call, std::string method,
              const ReflectionContext& context) {
  absl::StatusOr<Caller> caller = Caller::Admit(call, context.gate, method);
  if (!caller.ok()) return new RefusedBidiStream(caller.status());
  auto stream = std::make_shared<ReflectionStream>(*std::move(caller), std::move(method), context);
  const absl::Status added = context.registry.Add(stream);
  if (!added.ok()) return new RefusedBidiStream(added);
  stream->Start();
  return stream.get();
}

// The messages of both versions are the same bytes, so one stream serves both.
template <typename Version>
class ReflectionService final : public Version::template WithRawCallbackMethod_ServerReflectionInfo<
                                    typename Version::Service> {
 public:
  explicit ReflectionService(const ReflectionContext& context) : context_(context) {}

  Reactor* ServerReflectionInfo(grpc::CallbackServerContext* call) override {
    return Open(*call, absl::StrCat("/", Version::service_full_name(), "/ServerReflectionInfo"),
                context_);
  }

 private:
  const ReflectionContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeReflectionV1(const ReflectionContext& context) {
  return std::make_unique<ReflectionService<grpc::reflection::v1::ServerReflection>>(context);
}

std::unique_ptr<grpc::Service> MakeReflectionV1Alpha(const ReflectionContext& context) {
  // Nothing else uses the messages of this version, and the linker would leave their description
  // out, so that the service could not describe itself.
  grpc::reflection::v1alpha::ServerReflectionRequest::descriptor();
  return std::make_unique<ReflectionService<grpc::reflection::v1alpha::ServerReflection>>(context);
}

}  // namespace hookgate
