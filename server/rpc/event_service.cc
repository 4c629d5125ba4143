#include "server/rpc/event_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/rpc/byte_buffer.h"
#include "server/rpc/caller.h"
#include "server/rpc/event_queries.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/refused_stream.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {
namespace {

using hookgate::v1::EventService;
using hookgate::v1::SubscribeRequest;

// Subscribe is raw, so that frames go out as they were put together, not parsed and built again.
using ServiceBase = EventService::WithRawCallbackMethod_Subscribe<
    EventService::WithCallbackMethod_ListRecentFailures<EventService::WithCallbackMethod_ListEvents<
        EventService::WithCallbackMethod_GetEvent<EventService::Service>>>>;

class EventServiceImpl final : public ServiceBase {
 public:
  explicit EventServiceImpl(const StreamContext& context)
      : context_(context), calls_(context.executor), queries_(context.log, context.clock) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext* call,
                                                        const grpc::ByteBuffer* bytes) override {
    absl::StatusOr<Caller> caller = Admit(*call, "Subscribe");
    if (!caller.ok()) return new RefusedServerStream(caller.status());
    SubscribeRequest request;
    if (!ParseByteBuffer(*bytes, request)) {
      return new RefusedServerStream(ErrorWithReason(absl::StatusCode::kInvalidArgument,
                                                     reason::kInvalidRequest,
                                                     "the request is no SubscribeRequest"));
    }
    // gRPC keeps it as long as the call, and with it all of the block that it was read into.
    const_cast<grpc::ByteBuffer*>(bytes)->Clear();
    absl::Status allowed = caller->CheckSources(Right::kSubscribe, request.filter().sources());
    // After the rights: who has none for a source must not learn whether there is one.
    allowed.Update(caller->CheckSourcesExist(request.filter().sources(), "filter.sources"));
    if (!allowed.ok()) return new RefusedServerStream(allowed);
    auto stream =
        std::make_shared<SubscribeStream>(request.client_name(), *std::move(caller), context_);
    const absl::Status added = context_.registry.Add(stream);
    if (!added.ok()) return new RefusedServerStream(added);
    stream->Start(std::move(request));
    return stream.get();
  }

  grpc::ServerUnaryReactor* ListRecentFailures(
      grpc::CallbackServerContext* call, const hookgate::v1::ListRecentFailuresRequest* request,
      hookgate::v1::ListRecentFailuresResponse* response) override {
    const absl::StatusOr<Caller> caller = MayQuery(*call, "ListRecentFailures", request->filter());
    return calls_.Run(call, caller.status(), [=, this] {
      RETURN_IF_ERROR(queries_.ListRecentFailures(*request, *response));
      return CheckFound(*caller, request->filter(), *response);
    });
  }

  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* call,
                                       const hookgate::v1::ListEventsRequest* request,
                                       hookgate::v1::ListEventsResponse* response) override {
    const absl::StatusOr<Caller> caller = MayQuery(*call, "ListEvents", request->filter());
    return calls_.Run(call, caller.status(), [=, this] {
      RETURN_IF_ERROR(queries_.ListEvents(*request, *response));
      return CheckFound(*caller, request->filter(), *response);
    });
  }

  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* call,
                                     const hookgate::v1::GetEventRequest* request,
                                     hookgate::v1::GetEventResponse* response) override {
    const absl::StatusOr<Caller> caller = Admit(*call, "GetEvent");
    // Of an event known by its sequence alone, only the log can tell the source.
    const absl::Status allowed =
        caller.ok() && request->has_webhook()
            ? caller->CheckSource(Right::kQuery, request->webhook().source())
            : caller.status();
    return calls_.Run(call, allowed, [=, this] {
      const absl::Status found =
          queries_.GetEvent(*request, *response, [&caller](const std::string& source) {
            return caller->MayQuietly(Right::kQuery, source);
          });
      if (!absl::IsNotFound(found) || !request->has_webhook()) return found;
      google::protobuf::RepeatedPtrField<std::string> sources;
      *sources.Add() = request->webhook().source();
      const absl::Status exists = caller->CheckSourcesExist(sources, "webhook.source");
      return exists.ok() ? found : exists;
    });
  }

 private:
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& call,
                               absl::string_view method) const {
    return Caller::Admit(call, context_.gate,
                         absl::StrCat("/", EventService::service_full_name(), "/", method));
  }
  absl::StatusOr<Caller> MayQuery(const grpc::CallbackServerContext& call, absl::string_view method,
                                  const hookgate::v1::EventFilter& filter) const {
    ASSIGN_OR_RETURN(Caller caller, Admit(call, method));
    RETURN_IF_ERROR(caller.CheckSources(Right::kQuery, filter.sources()));
    return caller;
  }

  // Nothing found may mean a typo in a source. Events of a source that the config no longer names
  // are found as long as there are any.
  template <typename Response>
  static absl::Status CheckFound(const Caller& caller, const hookgate::v1::EventFilter& filter,
                                 const Response& response) {
    if (!response.events().empty() || !response.next_page_token().empty()) return absl::OkStatus();
    return caller.CheckSourcesExist(filter.sources(), "filter.sources");
  }

  const StreamContext context_;
  UnaryCalls calls_;
  EventQueries queries_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeEventService(const StreamContext& context) {
  return std::make_unique<EventServiceImpl>(context);
}

}  // namespace hookgate
