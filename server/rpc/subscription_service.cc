#include "server/rpc/subscription_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "server/base/status.h"
#include "server/delivery/subscription_settings.h"
#include "server/rpc/caller.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/pull_call.h"
#include "server/rpc/refused_stream.h"
#include "server/rpc/subscription_calls.h"
#include "server/rpc/subscription_messages.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {
namespace {

using hookgate::v1::SubscriptionService;

// Consume is raw, so that frames go out as they were put together, not parsed and built again.
using ServiceBase = SubscriptionService::WithRawCallbackMethod_Consume<
    SubscriptionService::WithCallbackMethod_CreateSubscription<
        SubscriptionService::WithCallbackMethod_GetSubscription<
            SubscriptionService::WithCallbackMethod_ListSubscriptions<
                SubscriptionService::WithCallbackMethod_UpdateSubscription<
                    SubscriptionService::WithCallbackMethod_DeleteSubscription<
                        SubscriptionService::WithCallbackMethod_SeekSubscription<
                            SubscriptionService::WithCallbackMethod_Pull<
                                SubscriptionService::WithCallbackMethod_Acknowledge<
                                    SubscriptionService::WithCallbackMethod_ListDeadLetters<
                                        SubscriptionService::WithCallbackMethod_RedriveDeadLetters<
                                            SubscriptionService::
                                                WithCallbackMethod_DiscardDeadLetters<
                                                    SubscriptionService::Service>>>>>>>>>>>>;

class SubscriptionServiceImpl final : public ServiceBase {
 public:
  SubscriptionServiceImpl(const ConsumeContext& context, EventLog& log)
      : context_(context),
        unary_(context.executor),
        calls_(context.subscriptions, log, context.executor) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Consume(
      grpc::CallbackServerContext* call) override {
    absl::StatusOr<Caller> caller = Admit(*call, "Consume");
    if (!caller.ok()) return new RefusedBidiStream(caller.status());
    auto stream = std::make_shared<ConsumeStream>(*std::move(caller), context_);
    const absl::Status added = context_.registry.Add(stream);
    if (!added.ok()) return new RefusedBidiStream(added);
    stream->Start();
    return stream.get();
  }

  grpc::ServerUnaryReactor* Pull(grpc::CallbackServerContext* call,
                                 const hookgate::v1::PullRequest* request,
                                 hookgate::v1::PullResponse* response) override {
    absl::StatusOr<Caller> caller = Admit(*call, "Pull");
    if (!caller.ok()) return Refuse(call, caller.status());
    auto pull = std::make_shared<PullCall>(*request, *response, *std::move(caller), context_);
    const absl::Status added = context_.registry.Add(pull);
    if (!added.ok()) return Refuse(call, added);
    pull->Start();
    return pull.get();
  }

  grpc::ServerUnaryReactor* Acknowledge(grpc::CallbackServerContext* call,
                                        const hookgate::v1::AcknowledgeRequest* request,
                                        hookgate::v1::AcknowledgeResponse* response) override {
    const absl::Status allowed = MayConsume(*call, request->subscription(), "Acknowledge");
    if (!allowed.ok()) return Refuse(call, allowed);
    const auto subscription = context_.subscriptions.Find(request->subscription());
    if (!subscription.ok()) return Refuse(call, subscription.status());
    AckItems items;
    AppendItems(request->ack(), (*subscription)->delivery_ids(), items);
    AppendItems(request->nack(), (*subscription)->delivery_ids(), items);
    AppendItems(request->extend(), (*subscription)->delivery_ids(), items);
    grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
    (*subscription)
        ->Settle(std::move(items.items),
                 [reactor, response, ids = std::move(items.ids)](
                     const absl::StatusOr<std::vector<AckOutcome>>& outcomes) {
                   for (size_t i = 0; outcomes.ok() && i < ids.size(); ++i) {
                     *response->add_results() = ToProto(ids[i], (*outcomes)[i]);
                   }
                   reactor->Finish(ToGrpcStatus(outcomes.status()));
                 });
    return reactor;
  }

  grpc::ServerUnaryReactor* CreateSubscription(
      grpc::CallbackServerContext* call, const hookgate::v1::CreateSubscriptionRequest* request,
      hookgate::v1::CreateSubscriptionResponse* response) override {
    return unary_.Begin(
        call, MayDefine(*call, request->name(), request->settings(), "CreateSubscription"),
        [=, this](UnaryCalls::Finish finish) {
          calls_.Create(*request, *response, std::move(finish));
        });
  }

  grpc::ServerUnaryReactor* GetSubscription(
      grpc::CallbackServerContext* call, const hookgate::v1::GetSubscriptionRequest* request,
      hookgate::v1::GetSubscriptionResponse* response) override {
    return unary_.Run(call, MayLookAt(*call, request->name(), "GetSubscription"),
                      [=, this] { return calls_.Get(*request, *response); });
  }

  grpc::ServerUnaryReactor* ListSubscriptions(
      grpc::CallbackServerContext* call, const hookgate::v1::ListSubscriptionsRequest* request,
      hookgate::v1::ListSubscriptionsResponse* response) override {
    return unary_.Run(call, MayLookAtAll(*call, "ListSubscriptions"),
                      [=, this] { return calls_.List(*request, *response); });
  }

  grpc::ServerUnaryReactor* UpdateSubscription(
      grpc::CallbackServerContext* call, const hookgate::v1::UpdateSubscriptionRequest* request,
      hookgate::v1::UpdateSubscriptionResponse* response) override {
    return unary_.Begin(
        call, MayDefine(*call, request->name(), request->settings(), "UpdateSubscription"),
        [=, this](UnaryCalls::Finish finish) {
          calls_.Update(*request, *response, std::move(finish));
        });
  }

  grpc::ServerUnaryReactor* DeleteSubscription(
      grpc::CallbackServerContext* call, const hookgate::v1::DeleteSubscriptionRequest* request,
      hookgate::v1::DeleteSubscriptionResponse* response) override {
    return unary_.Begin(call, MayChange(*call, request->name(), "DeleteSubscription"),
                        [=, this](UnaryCalls::Finish finish) {
                          calls_.Delete(*request, *response, std::move(finish));
                        });
  }

  grpc::ServerUnaryReactor* SeekSubscription(
      grpc::CallbackServerContext* call, const hookgate::v1::SeekSubscriptionRequest* request,
      hookgate::v1::SeekSubscriptionResponse* response) override {
    return unary_.Begin(call, MayChange(*call, request->name(), "SeekSubscription"),
                        [=, this](UnaryCalls::Finish finish) {
                          calls_.Seek(*request, *response, std::move(finish));
                        });
  }

  grpc::ServerUnaryReactor* ListDeadLetters(
      grpc::CallbackServerContext* call, const hookgate::v1::ListDeadLettersRequest* request,
      hookgate::v1::ListDeadLettersResponse* response) override {
    return unary_.Run(call, MayConsume(*call, request->subscription(), "ListDeadLetters"),
                      [=, this] { return calls_.ListDeadLetters(*request, *response); });
  }

  grpc::ServerUnaryReactor* RedriveDeadLetters(
      grpc::CallbackServerContext* call, const hookgate::v1::RedriveDeadLettersRequest* request,
      hookgate::v1::RedriveDeadLettersResponse* response) override {
    return unary_.Begin(call, MayChange(*call, request->subscription(), "RedriveDeadLetters"),
                        [=, this](UnaryCalls::Finish finish) {
                          calls_.RedriveDeadLetters(*request, *response, std::move(finish));
                        });
  }

  grpc::ServerUnaryReactor* DiscardDeadLetters(
      grpc::CallbackServerContext* call, const hookgate::v1::DiscardDeadLettersRequest* request,
      hookgate::v1::DiscardDeadLettersResponse* response) override {
    return unary_.Begin(call, MayChange(*call, request->subscription(), "DiscardDeadLetters"),
                        [=, this](UnaryCalls::Finish finish) {
                          calls_.DiscardDeadLetters(*request, *response, std::move(finish));
                        });
  }

 private:
  static grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* call,
                                          const absl::Status& status) {
    grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& call,
                               absl::string_view method) const {
    return Caller::Admit(call, context_.gate,
                         absl::StrCat("/", SubscriptionService::service_full_name(), "/", method));
  }

  // Where the field is called `subscription` and where `name`, its path says.
  static absl::Status CheckName(const std::string& subscription, absl::string_view method) {
    return CheckSubscriptionName(subscription,
                                 absl::EndsWith(method, "Subscription") ? "name" : "subscription");
  }

  // A name that cannot be one goes no further: neither rights nor log lines repeat it.
  absl::Status MayConsume(const grpc::CallbackServerContext& call, const std::string& subscription,
                          absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    RETURN_IF_ERROR(CheckName(subscription, method));
    return caller.CheckConsume(subscription);
  }

  absl::Status MayLookAt(const grpc::CallbackServerContext& call, const std::string& subscription,
                         absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    RETURN_IF_ERROR(CheckName(subscription, method));
    return caller.CheckLookAt(subscription);
  }

  absl::Status MayLookAtAll(const grpc::CallbackServerContext& call,
                            absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    return caller.CheckAllSubscriptions();
  }

  absl::Status MayChange(const grpc::CallbackServerContext& call, const std::string& subscription,
                         absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    RETURN_IF_ERROR(CheckName(subscription, method));
    RETURN_IF_ERROR(caller.CheckConsume(subscription));
    caller.LogChange(method, subscription);
    return absl::OkStatus();
  }

  // Whoever makes a subscription over sources could consume their events through it.
  absl::Status MayDefine(const grpc::CallbackServerContext& call, const std::string& subscription,
                         const hookgate::v1::SubscriptionSettings& settings,
                         absl::string_view method) const {
    ASSIGN_OR_RETURN(const Caller caller, Admit(call, method));
    RETURN_IF_ERROR(CheckName(subscription, method));
    RETURN_IF_ERROR(caller.CheckSources(Right::kSubscribe, settings.filter().sources()));
    RETURN_IF_ERROR(caller.CheckConsume(subscription));
    RETURN_IF_ERROR(
        caller.CheckSourcesExist(settings.filter().sources(), "settings.filter.sources"));
    caller.LogChange(method, subscription);
    return absl::OkStatus();
  }

  const ConsumeContext context_;
  UnaryCalls unary_;
  SubscriptionCalls calls_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSubscriptionService(const ConsumeContext& context,
                                                       EventLog& log) {
  return std::make_unique<SubscriptionServiceImpl>(context, log);
}

}  // namespace hookgate
