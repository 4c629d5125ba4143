#include "server/rpc/admin_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "server/base/status.h"
#include "server/rpc/caller.h"
#include "server/rpc/quarantine_queries.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {
namespace {

using hookgate::v1::AdminService;

class AdminServiceImpl final : public AdminService::CallbackService {
 public:
  explicit AdminServiceImpl(const AdminContext& context)
      : context_(context),
        calls_(context.executor),
        quarantine_(context.quarantine, context.log, context.executor) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* call,
                                      const hookgate::v1::GetStatusRequest*,
                                      hookgate::v1::GetStatusResponse* response) override {
    return calls_.Run(call, MayAdmin(*call, "GetStatus").status(),
                      [=, this] { return context_.get_status(*response); });
  }

  grpc::ServerUnaryReactor* ListQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::ListQuarantinedRequest* request,
      hookgate::v1::ListQuarantinedResponse* response) override {
    const absl::StatusOr<Caller> caller = MayAdmin(*call, "ListQuarantined");
    return calls_.Run(call, caller.status(), [=, this] {
      RETURN_IF_ERROR(quarantine_.List(*request, *response));
      if (request->source().empty() || !response->webhooks().empty()) return absl::OkStatus();
      google::protobuf::RepeatedPtrField<std::string> sources;
      *sources.Add() = request->source();
      return caller->CheckSourcesExist(sources, "source");
    });
  }

  grpc::ServerUnaryReactor* GetQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::GetQuarantinedRequest* request,
      hookgate::v1::GetQuarantinedResponse* response) override {
    return calls_.Run(call, MayAdmin(*call, "GetQuarantined").status(),
                      [=, this] { return quarantine_.Get(*request, *response); });
  }

  grpc::ServerUnaryReactor* RetryQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::RetryQuarantinedRequest* request,
      hookgate::v1::RetryQuarantinedResponse* response) override {
    return calls_.Begin(call, MayChange(*call, "RetryQuarantined"),
                        [=, this](UnaryCalls::Finish finish) {
                          quarantine_.Retry(*request, *response, std::move(finish));
                        });
  }

  grpc::ServerUnaryReactor* DiscardQuarantined(
      grpc::CallbackServerContext* call, const hookgate::v1::DiscardQuarantinedRequest* request,
      hookgate::v1::DiscardQuarantinedResponse* response) override {
    return calls_.Begin(call, MayChange(*call, "DiscardQuarantined"),
                        [=, this](UnaryCalls::Finish finish) {
                          quarantine_.Discard(*request, *response, std::move(finish));
                        });
  }

 private:
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& call,
                               absl::string_view method) const {
    return Caller::Admit(call, context_.gate,
                         absl::StrCat("/", AdminService::service_full_name(), "/", method));
  }
  absl::StatusOr<Caller> MayAdmin(const grpc::CallbackServerContext& call,
                                  absl::string_view method) const {
    ASSIGN_OR_RETURN(Caller caller, Admit(call, method));
    RETURN_IF_ERROR(caller.CheckAdmin());
    return caller;
  }
  absl::Status MayChange(const grpc::CallbackServerContext& call, absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    RETURN_IF_ERROR(caller.CheckAdmin());
    caller.LogChange(method, "quarantine");
    return absl::OkStatus();
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
