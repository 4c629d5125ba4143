#include "client/capabilities.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate {
namespace {

// Each is the name of the capability as well, in whatever request it is.
constexpr const char* kFields[] = {"etag", "preview", "update_mask"};

struct CallCapability {
  absl::string_view request;  // Identifies the call.
  absl::string_view capability;
};

// Calls that an older gateway does not have.
constexpr CallCapability kCalls[] = {
    {"CancelJobRequest", "jobs"},
    {"DiscardConflictsRequest", "conflicts"},
    {"ExplainEventRequest", "explain"},
    {"GetConflictRequest", "conflicts"},
    {"GetJobRequest", "jobs"},
    {"ListConflictsRequest", "conflicts"},
    {"ListDeliveriesRequest", "deliveries"},
    {"ListJobsRequest", "jobs"},
    {"ListRefusedRequest", "refused"},
    {"ListStreamsRequest", "streams"},
    {"PauseSubscriptionRequest", "pause"},
    {"RedeliverEventsRequest", "redeliver"},
    {"ResumeSubscriptionRequest", "pause"},
};

GatewayError Missing(absl::string_view capability, absl::string_view message) {
  GatewayError error;
  error.status = absl::UnimplementedError(
      absl::StrCat("the gateway does not have the capability \"", capability, "\"", message));
  error.reason = kCapabilityMissing;
  error.metadata = {{"capability", std::string(capability)}};
  return error;
}

}  // namespace

std::vector<std::string> FieldCapabilities(const google::protobuf::Message& request) {
  std::vector<std::string> names;
  for (const char* name : kFields) {
    const auto* const field = request.GetDescriptor()->FindFieldByName(name);
    if (field != nullptr && request.GetReflection()->HasField(request, field)) {
      names.emplace_back(name);
    }
  }
  return names;
}

GatewayError CheckCapabilities(Connection& connection, const google::protobuf::Message& request,
                               std::chrono::system_clock::time_point deadline) {
  const std::vector<std::string> needed = FieldCapabilities(request);
  if (needed.empty()) return {};
  grpc::ClientContext context;
  context.set_deadline(deadline);
  v1::GetStatusResponse response;
  const grpc::Status status = connection.admin().GetStatus(&context, {}, &response);
  // A caller without the right to ask cannot know, and is not to be kept from its work.
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) return {};
  if (!status.ok() && status.error_code() != grpc::StatusCode::UNIMPLEMENTED) {
    return ReadGatewayError(status);
  }
  const auto& had = response.capabilities();
  for (const std::string& name : needed) {
    if (std::find(had.begin(), had.end(), name) != had.end()) continue;
    return Missing(name, absl::StrCat(": it would ignore the field ", name, " of ",
                                      request.GetDescriptor()->name(),
                                      " and do the rest, so the request was not sent"));
  }
  return {};
}

GatewayError NameMissingCapability(GatewayError error, const google::protobuf::Message& request) {
  if (error.FromGateway() || !absl::IsUnimplemented(error.status)) return error;
  const std::string& name = request.GetDescriptor()->name();
  for (const CallCapability& call : kCalls) {
    if (call.request == name) {
      return Missing(call.capability, absl::StrCat(", which ", name, " needs"));
    }
  }
  return error;
}

}  // namespace hookgate
