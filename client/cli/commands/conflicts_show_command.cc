#include "client/cli/commands/conflicts_show_command.h"

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

constexpr char kName[] = "conflicts show";

std::string PageOf(const v1::GetConflictResponse& response, const Reader& reader) {
  const v1::Conflict& conflict = response.conflict();
  std::string page = FieldLines({{"sequence", absl::StrCat(conflict.sequence())},
                                 {"source", conflict.source()},
                                 {"webhook-id", conflict.webhook_id()},
                                 {"first came", WhenLine(conflict.has_first_receive_time(),
                                                         conflict.first_receive_time(), reader)},
                                 {"last came", WhenLine(conflict.has_last_receive_time(),
                                                        conflict.last_receive_time(), reader)},
                                 {"times", absl::StrCat(conflict.receive_count())}},
                                reader.style);
  absl::StrAppend(&page, "first other body:\n", Block(response.first_raw_body()));
  if (!response.last_raw_body().empty()) {
    absl::StrAppend(&page, "last other body:\n", Block(response.last_raw_body()));
  }
  return page;
}

int Run(const Flags& flags, Environment& environment) {
  const absl::StatusOr<int64_t> sequence = ParseNumber(flags.arguments()[0], kConflictSequences);
  if (!sequence.ok()) return WrongUsage(kName, sequence.status().message(), environment);
  v1::GetConflictRequest request;
  request.set_sequence(*sequence);
  GatewayClient gateway(flags, environment);
  v1::GetConflictResponse response;
  const int exit_code = gateway.Call(&v1::AdminService::StubInterface::GetConflict, request,
                                     absl::StrCat("show ", *sequence), response);
  if (exit_code != kSuccess) return exit_code;
  if (flags.Text("raw") == "last") {
    environment.out << (response.last_raw_body().empty() ? response.first_raw_body()
                                                         : response.last_raw_body());
  } else if (flags.Text("raw") == "first") {
    environment.out << response.first_raw_body();
  } else if (IsJson(flags)) {
    environment.out << MessageJson(response) << "\n";
  } else {
    environment.out << PageOf(response, ReaderOf(flags, environment));
  }
  return kSuccess;
}

}  // namespace

Command ConflictsShowCommand() {
  return {
      .name = kName,
      .summary = "Show the other bodies of an event",
      .description =
          "Shows what came under the webhook-id of an event with another body: the first other "
          "body, and the last one, if that is another again. hookgate get shows the event.",
      .arguments = {.usage = "SEQUENCE", .least = 1, .most = 1},
      .flags = Join({{{.name = "raw",
                       .kind = FlagKind::kChoice,
                       .help = "Print this other body exactly as it was received and signed, and "
                               "nothing else.",
                       .choices = {"first", "last"}}},
                     CallFlags("How long the call may take.")}),
      .examples = {{"hookgate conflicts show 42", "Which other body came?"},
                   {"diff <(hookgate get --sequence 42 --raw) "
                    "<(hookgate conflicts show 42 --raw first)",
                    "Where do the bodies differ?"}},
      .exits = ShowExits("It was printed.", "No other body of this event is kept."),
      .run = Run};
}

}  // namespace hookgate::cli
