#include "server/rpc/admin_service.h"

#include "hookgate/v1/admin_service.grpc.pb.h"
#include "server/rpc/caller.h"
#include "server/rpc/quarantine_queries.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {
namespace {

class AdminServiceImpl final : public hookgate::v1::AdminService::CallbackService {
 public:
  explicit AdminServiceImpl(const AdminContext& context)
      : context_(context),
        calls_(context.executor),
        quarantine_(context.quarantine, context.epoch) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* call,
                                      const hookgate::v1::GetStatusRequest*,
                                      hookgate::v1::GetStatusResponse* response) override {
    return calls_.Run(call, MayAdmin(call), [=, this] { return context_.get_status(*response); });
  }

  grpc::ServerUnaryReactor* ListQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::ListQuarantinedRequest* request,
      hookgate::v1::ListQuarantinedResponse* response) override {
    return calls_.Run(call, MayAdmin(call),
                      [=, this] { return quarantine_.List(*request, *response); });
  }

  grpc::ServerUnaryReactor* GetQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::GetQuarantinedRequest* request,
      hookgate::v1::GetQuarantinedResponse* response) override {
    return calls_.Run(call, MayAdmin(call),
                      [=, this] { return quarantine_.Get(*request, *response); });
  }

  grpc::ServerUnaryReactor* RetryQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::RetryQuarantinedRequest* request,
      hookgate::v1::RetryQuarantinedResponse* response) override {
    return calls_.Run(call, MayChange(call, "RetryQuarantined"),
                      [=, this] { return quarantine_.Retry(*request, *response); });
  }

  grpc::ServerUnaryReactor* DiscardQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::DiscardQuarantinedRequest* request,
      hookgate::v1::DiscardQuarantinedResponse* response) override {
    return calls_.Run(call, MayChange(call, "DiscardQuarantined"),
                      [=, this] { return quarantine_.Discard(*request, *response); });
  }

 private:
  absl::Status MayAdmin(const grpc::CallbackServerContext* call) const {
    return Caller(*call, context_.access).CheckAdmin();
  }
  absl::Status MayChange(const grpc::CallbackServerContext* call, absl::string_view method) const {
    const Caller caller(*call, context_.access);
    absl::Status allowed = caller.CheckAdmin();
    if (allowed.ok()) caller.LogChange(method, "quarantine");
    return allowed;
  }

  const AdminContext context_;
  UnaryCalls calls_;
  QuarantineQueries quarantine_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(const AdminContext& context) {
  return std::make_unique<AdminServiceImpl>(context);
}

}  // namespace hookgate
