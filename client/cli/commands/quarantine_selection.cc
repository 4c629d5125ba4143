#include "client/cli/commands/quarantine_selection.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/printable.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr int kPageSize = 1000;

}  // namespace

std::vector<FlagSpec> QuarantineSelectionFlags() {
  return {{.name = "all", .kind = FlagKind::kBool, .help = "All that are there now."},
          {.name = "source", .value = "NAME", .help = "With --all: only those from this source."}};
}

absl::Status CheckQuarantineSelection(const Flags& flags) {
  if (flags.Bool("all") != flags.arguments().empty()) {
    return absl::InvalidArgumentError(flags.Bool("all")
                                          ? "--all, or ids, but not both"
                                          : "nothing is selected: give ids, or --all");
  }
  if (flags.Given("source") && !flags.Bool("all")) {
    return absl::InvalidArgumentError("--source narrows --all; an id needs no source");
  }
  for (const std::string& argument : flags.arguments()) {
    int64_t id = 0;
    if (!absl::SimpleAtoi(argument, &id) || id < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", Printable(argument),
          "\" is not an id: ids are numbers, and hookgate quarantine list shows them"));
    }
  }
  return absl::OkStatus();
}

GatewayError SelectQuarantined(const Flags& flags, GatewayClient& gateway,
                               std::vector<int64_t>& ids) {
  for (const std::string& argument : flags.arguments()) {
    ids.emplace_back();
    (void)absl::SimpleAtoi(argument, &ids.back());
  }
  if (!flags.Bool("all")) return GatewayError();
  v1::ListQuarantinedRequest request;
  request.set_source(flags.Text("source"));
  request.set_page_size(kPageSize);
  do {
    v1::ListQuarantinedResponse response;
    GatewayError error =
        gateway.Try(&v1::AdminService::StubInterface::ListQuarantined, request, response);
    if (!error.status.ok()) return error;
    for (const auto& webhook : response.webhooks()) ids.push_back(webhook.id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  std::reverse(ids.begin(), ids.end());
  return GatewayError();
}

}  // namespace hookgate::cli
