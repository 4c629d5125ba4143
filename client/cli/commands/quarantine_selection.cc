#include "client/cli/commands/quarantine_selection.h"

#include <algorithm>

#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

GatewayError List(const std::string& source, GatewayClient& gateway, std::vector<int64_t>& ids) {
  GatewayError error = ListNumbers(&v1::AdminService::StubInterface::ListQuarantined, source,
                                   &v1::ListQuarantinedResponse::webhooks,
                                   &v1::QuarantinedWebhook::id, gateway, ids);
  std::reverse(ids.begin(), ids.end());
  return error;
}

}  // namespace

NumberedList Quarantine() {
  return {.name = "the quarantine", .words = kQuarantineIds, .list = List};
}

}  // namespace hookgate::cli
