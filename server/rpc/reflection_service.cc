#include "server/rpc/reflection_service.h"

#include <memory>
#include <string>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/base/status.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/unary_method.h"
#include "server/rpc/caller.h"

namespace hookgate {
namespace {

// Reads a question, sends its answer, reads the next. The messages of both versions are the same
// bytes.
class ReflectionStream final : public CallHandler,
                               public OpenStream,
                               public std::enable_shared_from_this<ReflectionStream> {
 public:
  ReflectionStream(std::shared_ptr<Call> call, Caller caller, std::string method,
                   const ReflectionContext& context)
      : call_(std::move(call)),
        caller_(std::move(caller)),
        method_(std::move(method)),
        context_(context) {
    call_->ReadNext();
  }

  // On the connection's thread.
  void OnMessage(std::string bytes) override {
    grpc::reflection::v1::ServerReflectionRequest question;
    const absl::Status parsed = ParseRequest(bytes, question);
    if (!parsed.ok()) return call_->Finish(parsed);
    answer_ = std::make_shared<const std::string>(
        context_.reflection.Answer(question).SerializeAsString());
    call_->Wake();
  }
  void OnHalfClose() override {
    closed_ = true;
    if (answer_ == nullptr) call_->Finish(absl::OkStatus());
  }
  Message NextMessage() override {
    Message answer = std::exchange(answer_, nullptr);
    if (answer == nullptr) return nullptr;
    if (closed_) {
      call_->Finish(absl::OkStatus());
    } else {
      call_->ReadNext();
    }
    return answer;
  }
  void OnGoAway() override { Drain(absl::ZeroDuration()); }
  void OnEnd(CallEnd) override { context_.registry.Remove(this); }

  // On any thread.
  void Drain(absl::Duration) override { call_->Finish(DrainingError()); }
  void Recheck() override {
    const absl::Status allowed = caller_.CheckMethod(method_);
    if (!allowed.ok()) call_->Finish(allowed);
  }

 private:
  // Constant after construction.
  const std::shared_ptr<Call> call_;
  const Caller caller_;
  const std::string method_;
  const ReflectionContext context_;

  // Touched only on the connection's thread.
  Message answer_;       // to be sent
  bool closed_ = false;  // the client has no more questions
};

void Add(const google::protobuf::ServiceDescriptor& service, const ReflectionContext& context,
         MethodTable& table) {
  const auto open = [context](
                        std::shared_ptr<Call> call,
                        const CallInfo& info) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
    auto stream = std::make_shared<ReflectionStream>(std::move(call), Caller(info, context.gate),
                                                     info.method, context);
    RETURN_IF_ERROR(context.registry.Add(stream));
    return stream;
  };
  table.AddService(service, {{"ServerReflectionInfo", {open}}});
}

}  // namespace

void AddReflectionServices(const ReflectionContext& context, MethodTable& table) {
  Add(*grpc::reflection::v1::ServerReflectionRequest::descriptor()->file()->service(0), context,
      table);
  Add(*grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()->service(0),
      context, table);
}

}  // namespace hookgate
