#include "client/cli/commands/quarantine_show_command.h"

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/page_text.h"
#include "client/cli/report.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "quarantine show";

std::string PageOf(const v1::GetQuarantinedResponse& response, const Reader& reader) {
  const v1::QuarantinedWebhook& webhook = response.webhook();
  std::vector<Field> fields = {
      {"id", absl::StrCat(webhook.id())},
      {"source", webhook.source()},
      {"webhook-id", webhook.webhook_id()},
      {"webhook time", WhenLine(webhook.has_webhook_time(), webhook.webhook_time(), reader)},
      {"first came",
       WhenLine(webhook.has_first_receive_time(), webhook.first_receive_time(), reader)},
      {"last came", WhenLine(webhook.has_last_receive_time(), webhook.last_receive_time(), reader)},
      {"times", absl::StrCat(webhook.receive_count())},
      {"reason", webhook.reason(), Look::kBad},
      {"detail", webhook.detail()},
      {"body bytes", absl::StrCat(webhook.body_bytes())}};
  const auto add_if_any = [&fields](const std::string& name, const std::string& value) {
    if (!value.empty()) fields.push_back({name, value});
  };
  add_if_any("sender trace", webhook.sender_trace_parent());
  add_if_any("trace", webhook.trace_parent());
  return absl::StrCat(FieldLines(fields, reader.style), "body:\n", Block(response.raw_body()));
}

int Run(const Flags& flags, Environment& environment) {
  const absl::StatusOr<int64_t> id = ParseNumber(flags.arguments()[0], kQuarantineIds);
  if (!id.ok()) return WrongUsage(kName, id.status().message(), environment);
  v1::GetQuarantinedRequest request;
  request.set_id(*id);
  GatewayClient gateway(flags, environment);
  v1::GetQuarantinedResponse response;
  const int exit_code = gateway.Call(&v1::AdminService::StubInterface::GetQuarantined, request,
                                     absl::StrCat("show ", *id), response);
  if (exit_code != kSuccess) return exit_code;
  if (flags.Bool("raw")) {
    environment.out << response.raw_body();
  } else if (IsJson(flags)) {
    environment.out << MessageJson(response) << "\n";
  } else {
    environment.out << PageOf(response, ReaderOf(flags, environment));
  }
  return kSuccess;
}

}  // namespace

Command QuarantineShowCommand() {
  return {
      .name = kName,
      .summary = "Show one of them, with its body",
      .description =
          "Shows a webhook in quarantine with all that is known of it: why it was not decoded, "
          "with the path of the field that is wrong, and its body.",
      .arguments = {.usage = "ID", .least = 1, .most = 1},
      .flags = Join({{{.name = "raw",
                       .kind = FlagKind::kBool,
                       .help = "Print the body exactly as it was received and signed, and nothing "
                               "else."}},
                     CallFlags("How long the call may take.")}),
      .examples = {{"hookgate quarantine show 7", "What is wrong with it?"},
                   {"hookgate quarantine show 7 --raw > body.json", "The signed bytes."}},
      .exits = ShowExits("It was printed.", "There is no such entry (any more)."),
      .run = Run};
}

}  // namespace hookgate::cli
