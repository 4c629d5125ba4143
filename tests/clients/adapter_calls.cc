#include "tests/clients/adapter_calls.h"

#include <chrono>
#include <functional>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/capabilities.h"
#include "google/protobuf/util/json_util.h"
#include "grpcpp/client_context.h"
#include "tests/clients/adapter_json.h"

namespace hookgate::adapter {
namespace {

using AdminService = v1::AdminService::StubInterface;
using EventService = v1::EventService::StubInterface;
using SubscriptionService = v1::SubscriptionService::StubInterface;

using Call = std::function<GatewayError(Connection& connection, grpc::ClientContext& context,
                                        const std::string& request, std::string* answer)>;

template <typename Stub, typename Request, typename Response>
Call Over(Stub& (Connection::*stub)(),
          grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  return [stub, method](Connection& connection, grpc::ClientContext& context,
                        const std::string& text, std::string* answer) -> GatewayError {
    Request request;
    const auto parsed = google::protobuf::util::JsonStringToMessage(text, &request);
    if (!parsed.ok()) {
      return {.status = absl::InvalidArgumentError(parsed.ToString())};
    }
    Response response;
    GatewayError error =
        CheckedCall(connection, (connection.*stub)(), method, context, request, &response);
    if (error.status.ok()) *answer = MessageJson(response);
    return error;
  };
}

const std::map<std::string, Call>& Calls() {
  static const auto* const calls = new std::map<std::string, Call>{
      {"EventService.ListRecentFailures",
       Over(&Connection::events, &EventService::ListRecentFailures)},
      {"EventService.ListEvents", Over(&Connection::events, &EventService::ListEvents)},
      {"EventService.GetEvent", Over(&Connection::events, &EventService::GetEvent)},
      {"EventService.ExplainEvent", Over(&Connection::events, &EventService::ExplainEvent)},
      {"SubscriptionService.CreateSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::CreateSubscription)},
      {"SubscriptionService.GetSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::GetSubscription)},
      {"SubscriptionService.ListSubscriptions",
       Over(&Connection::subscriptions, &SubscriptionService::ListSubscriptions)},
      {"SubscriptionService.UpdateSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::UpdateSubscription)},
      {"SubscriptionService.DeleteSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::DeleteSubscription)},
      {"SubscriptionService.RedeliverEvents",
       Over(&Connection::subscriptions, &SubscriptionService::RedeliverEvents)},
      {"SubscriptionService.GetJob",
       Over(&Connection::subscriptions, &SubscriptionService::GetJob)},
      {"SubscriptionService.ListJobs",
       Over(&Connection::subscriptions, &SubscriptionService::ListJobs)},
      {"SubscriptionService.CancelJob",
       Over(&Connection::subscriptions, &SubscriptionService::CancelJob)},
      {"SubscriptionService.SeekSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::SeekSubscription)},
      {"SubscriptionService.PauseSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::PauseSubscription)},
      {"SubscriptionService.ResumeSubscription",
       Over(&Connection::subscriptions, &SubscriptionService::ResumeSubscription)},
      {"SubscriptionService.Pull", Over(&Connection::subscriptions, &SubscriptionService::Pull)},
      {"SubscriptionService.Acknowledge",
       Over(&Connection::subscriptions, &SubscriptionService::Acknowledge)},
      {"SubscriptionService.ListDeliveries",
       Over(&Connection::subscriptions, &SubscriptionService::ListDeliveries)},
      {"SubscriptionService.ListDeadLetters",
       Over(&Connection::subscriptions, &SubscriptionService::ListDeadLetters)},
      {"SubscriptionService.RedriveDeadLetters",
       Over(&Connection::subscriptions, &SubscriptionService::RedriveDeadLetters)},
      {"SubscriptionService.DiscardDeadLetters",
       Over(&Connection::subscriptions, &SubscriptionService::DiscardDeadLetters)},
      {"AdminService.GetStatus", Over(&Connection::admin, &AdminService::GetStatus)},
      {"AdminService.ListQuarantined", Over(&Connection::admin, &AdminService::ListQuarantined)},
      {"AdminService.GetQuarantined", Over(&Connection::admin, &AdminService::GetQuarantined)},
      {"AdminService.RetryQuarantined", Over(&Connection::admin, &AdminService::RetryQuarantined)},
      {"AdminService.DiscardQuarantined",
       Over(&Connection::admin, &AdminService::DiscardQuarantined)},
      {"AdminService.ListRefused", Over(&Connection::admin, &AdminService::ListRefused)},
      {"AdminService.ListStreams", Over(&Connection::admin, &AdminService::ListStreams)},
      {"AdminService.ListConflicts", Over(&Connection::admin, &AdminService::ListConflicts)},
      {"AdminService.GetConflict", Over(&Connection::admin, &AdminService::GetConflict)},
      {"AdminService.DiscardConflicts", Over(&Connection::admin, &AdminService::DiscardConflicts)},
  };
  return *calls;
}

}  // namespace

GatewayError CallByName(Connection& connection, const std::string& method,
                        const std::string& request, absl::Duration timeout, std::string* answer) {
  const auto call = Calls().find(method);
  if (call == Calls().end()) {
    return {.status = absl::UnimplementedError(absl::StrCat("no method ", method))};
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  return call->second(connection, context, request, answer);
}

}  // namespace hookgate::adapter
