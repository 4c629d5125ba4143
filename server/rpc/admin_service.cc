#include "server/rpc/admin_service.h"

#include <string>
#include <utility>

#include "hookgate/v1/admin_service.pb.h"
#include "server/base/status.h"
#include "server/rpc/caller.h"

namespace hookgate {
namespace {

using hookgate::v1::DiscardQuarantinedRequest;
using hookgate::v1::DiscardQuarantinedResponse;
using hookgate::v1::GetQuarantinedRequest;
using hookgate::v1::GetQuarantinedResponse;
using hookgate::v1::GetStatusRequest;
using hookgate::v1::GetStatusResponse;
using hookgate::v1::ListQuarantinedRequest;
using hookgate::v1::ListQuarantinedResponse;
using hookgate::v1::RetryQuarantinedRequest;
using hookgate::v1::RetryQuarantinedResponse;

template <typename Request>
absl::Status MayAdmin(const Caller& caller, const Request&) {
  return caller.CheckAdmin();
}

template <typename Request>
UnaryCalls::Check<Request> MayChange(absl::string_view method) {
  return [method](const Caller& caller, const Request&) -> absl::Status {
    RETURN_IF_ERROR(caller.CheckAdmin());
    caller.LogChange(method, "quarantine");
    return absl::OkStatus();
  };
}

// Nothing found may mean a typo in the source.
absl::Status CheckFound(const Caller& caller, const ListQuarantinedRequest& request,
                        const ListQuarantinedResponse& response) {
  if (request.source().empty() || !response.webhooks().empty()) return absl::OkStatus();
  google::protobuf::RepeatedPtrField<std::string> sources;
  *sources.Add() = request.source();
  return caller.CheckSourcesExist(sources, "source");
}

}  // namespace

AdminService::AdminService(const AdminContext& context)
    : context_(context),
      quarantine_(context.quarantine, context.log, context.executor),
      calls_(context.executor, context.gate) {}

void AdminService::AddTo(MethodTable& table) {
  const auto get_status = [this](const Caller&, const GetStatusRequest&,
                                 GetStatusResponse& response) {
    return context_.get_status(response);
  };
  const auto list = [this](const Caller& caller, const ListQuarantinedRequest& request,
                           ListQuarantinedResponse& response) -> absl::Status {
    RETURN_IF_ERROR(quarantine_.List(request, response));
    return CheckFound(caller, request, response);
  };
  const auto get = [this](const Caller&, const GetQuarantinedRequest& request,
                          GetQuarantinedResponse& response) {
    return quarantine_.Get(request, response);
  };
  const auto retry = [this](const RetryQuarantinedRequest& request,
                            RetryQuarantinedResponse& response, UnaryCalls::Finish finish) {
    quarantine_.Retry(request, response, std::move(finish));
  };
  const auto discard = [this](const DiscardQuarantinedRequest& request,
                              DiscardQuarantinedResponse& response, UnaryCalls::Finish finish) {
    quarantine_.Discard(request, response, std::move(finish));
  };
  table.AddService(
      *GetStatusRequest::descriptor()->file()->FindServiceByName("AdminService"),
      {{"GetStatus", calls_.Reading<GetStatusRequest, GetStatusResponse>(MayAdmin<GetStatusRequest>,
                                                                         get_status)},
       {"ListQuarantined", calls_.Reading<ListQuarantinedRequest, ListQuarantinedResponse>(
                               MayAdmin<ListQuarantinedRequest>, list)},
       {"GetQuarantined", calls_.Reading<GetQuarantinedRequest, GetQuarantinedResponse>(
                              MayAdmin<GetQuarantinedRequest>, get)},
       {"RetryQuarantined", calls_.Writing<RetryQuarantinedRequest, RetryQuarantinedResponse>(
                                MayChange<RetryQuarantinedRequest>("RetryQuarantined"), retry)},
       {"DiscardQuarantined",
        calls_.Writing<DiscardQuarantinedRequest, DiscardQuarantinedResponse>(
            MayChange<DiscardQuarantinedRequest>("DiscardQuarantined"), discard)}});
}

}  // namespace hookgate
