#include "server/rpc/admin_service.h"

#include <string>
#include <utility>

#include "hookgate/v1/admin_service.pb.h"
#include "server/base/status.h"
#include "server/delivery/capabilities.h"
#include "server/rpc/caller.h"
#include "server/rpc/refusal_queries.h"
#include "server/rpc/stream_queries.h"

namespace hookgate {
namespace {

using hookgate::v1::DiscardConflictsRequest;
using hookgate::v1::DiscardConflictsResponse;
using hookgate::v1::DiscardQuarantinedRequest;
using hookgate::v1::DiscardQuarantinedResponse;
using hookgate::v1::GetConflictRequest;
using hookgate::v1::GetConflictResponse;
using hookgate::v1::GetQuarantinedRequest;
using hookgate::v1::GetQuarantinedResponse;
using hookgate::v1::GetStatusRequest;
using hookgate::v1::GetStatusResponse;
using hookgate::v1::ListConflictsRequest;
using hookgate::v1::ListConflictsResponse;
using hookgate::v1::ListQuarantinedRequest;
using hookgate::v1::ListQuarantinedResponse;
using hookgate::v1::ListRefusedRequest;
using hookgate::v1::ListRefusedResponse;
using hookgate::v1::ListStreamsRequest;
using hookgate::v1::ListStreamsResponse;
using hookgate::v1::RetryQuarantinedRequest;
using hookgate::v1::RetryQuarantinedResponse;

template <typename Request>
absl::Status MayAdmin(const Caller& caller, const Request&) {
  return caller.CheckAdmin();
}

template <typename Request>
UnaryCalls::Check<Request> MayChange(absl::string_view method, absl::string_view what) {
  return [method, what](const Caller& caller, const Request&) -> absl::Status {
    RETURN_IF_ERROR(caller.CheckAdmin());
    caller.LogChange(method, what);
    return absl::OkStatus();
  };
}

// Nothing found may mean a typo in the source.
template <typename Request>
absl::Status CheckFound(const Caller& caller, const Request& request, bool found) {
  if (request.source().empty() || found) return absl::OkStatus();
  return caller.CheckSourceExists(request.source(), "source");
}

}  // namespace

AdminService::AdminService(const AdminContext& context)
    : context_(context),
      quarantine_(context.quarantine, context.log, context.executor),
      conflicts_(context.conflicts, context.log, context.executor),
      calls_(context.executor, context.gate) {}

void AdminService::AddTo(MethodTable& table) {
  const auto get_status = [this](const Caller&, const GetStatusRequest&,
                                 GetStatusResponse& response) {
    AddCapabilities(response);
    return context_.get_status(response);
  };
  const auto list = [this](const Caller& caller, const ListQuarantinedRequest& request,
                           ListQuarantinedResponse& response) -> absl::Status {
    RETURN_IF_ERROR(quarantine_.List(request, response));
    return CheckFound(caller, request, !response.webhooks().empty());
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
  const auto list_refused = [this](const Caller& caller, const ListRefusedRequest& request,
                                   ListRefusedResponse& response) -> absl::Status {
    RETURN_IF_ERROR(ListRefused(context_.refused, context_.log, request, response));
    return CheckFound(caller, request, !response.requests().empty());
  };
  const auto list_streams = [this](const Caller&, const ListStreamsRequest& request,
                                   ListStreamsResponse& response) -> absl::Status {
    RETURN_IF_ERROR(ListStreams(context_.streams, context_.log, request, response));
    if (request.subscription().empty() || !response.streams().empty()) return absl::OkStatus();
    // A name that is mistyped is not one that nobody consumes.
    return context_.subscriptions.Find(request.subscription()).status();
  };
  const auto list_conflicts = [this](const Caller& caller, const ListConflictsRequest& request,
                                     ListConflictsResponse& response) -> absl::Status {
    RETURN_IF_ERROR(conflicts_.List(request, response));
    return CheckFound(caller, request, !response.conflicts().empty());
  };
  const auto get_conflict = [this](const Caller&, const GetConflictRequest& request,
                                   GetConflictResponse& response) {
    return conflicts_.Get(request, response);
  };
  const auto discard_conflicts = [this](const DiscardConflictsRequest& request,
                                        DiscardConflictsResponse& response,
                                        UnaryCalls::Finish finish) {
    conflicts_.Discard(request, response, std::move(finish));
  };
  table.AddService(
      *GetStatusRequest::descriptor()->file()->FindServiceByName("AdminService"),
      {{"GetStatus", calls_.Reading<GetStatusRequest, GetStatusResponse>(MayAdmin<GetStatusRequest>,
                                                                         get_status)},
       {"ListQuarantined", calls_.Reading<ListQuarantinedRequest, ListQuarantinedResponse>(
                               MayAdmin<ListQuarantinedRequest>, list)},
       {"GetQuarantined", calls_.Reading<GetQuarantinedRequest, GetQuarantinedResponse>(
                              MayAdmin<GetQuarantinedRequest>, get)},
       {"RetryQuarantined",
        calls_.Writing<RetryQuarantinedRequest, RetryQuarantinedResponse>(
            MayChange<RetryQuarantinedRequest>("RetryQuarantined", "quarantine"), retry)},
       {"DiscardQuarantined",
        calls_.Writing<DiscardQuarantinedRequest, DiscardQuarantinedResponse>(
            MayChange<DiscardQuarantinedRequest>("DiscardQuarantined", "quarantine"), discard)},
       {"ListRefused", calls_.Reading<ListRefusedRequest, ListRefusedResponse>(
                           MayAdmin<ListRefusedRequest>, list_refused)},
       {"ListStreams", calls_.Reading<ListStreamsRequest, ListStreamsResponse>(
                           MayAdmin<ListStreamsRequest>, list_streams)},
       {"ListConflicts", calls_.Reading<ListConflictsRequest, ListConflictsResponse>(
                             MayAdmin<ListConflictsRequest>, list_conflicts)},
       {"GetConflict", calls_.Reading<GetConflictRequest, GetConflictResponse>(
                           MayAdmin<GetConflictRequest>, get_conflict)},
       {"DiscardConflicts", calls_.Writing<DiscardConflictsRequest, DiscardConflictsResponse>(
                                MayChange<DiscardConflictsRequest>("DiscardConflicts", "conflicts"),
                                discard_conflicts)}});
}

}  // namespace hookgate
