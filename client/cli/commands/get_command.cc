#include "client/cli/commands/get_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/event_text.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "get";

absl::Status CheckKey(const Flags& flags) {
  absl::Status one = CheckAtMostOne(flags, {"sequence", "webhook-id"});
  if (!one.ok()) return one;
  if (!flags.Has("sequence") && !flags.Has("webhook-id")) {
    return absl::InvalidArgumentError("no event is selected: give --webhook-id ID or --sequence N");
  }
  return CheckAtMostOne(flags, {"sequence", "source"});
}

v1::GetEventRequest RequestOf(const Flags& flags) {
  v1::GetEventRequest request;
  if (flags.Has("sequence")) {
    request.set_sequence(flags.Int("sequence"));
  } else {
    request.mutable_webhook()->set_source(flags.Text("source"));
    request.mutable_webhook()->set_webhook_id(flags.Text("webhook-id"));
  }
  request.set_include_raw_body(flags.Bool("raw"));
  return request;
}

std::string KeyText(const v1::GetEventRequest& request) {
  if (request.has_webhook()) {
    return absl::StrCat("event ", request.webhook().source(), "/", request.webhook().webhook_id());
  }
  return absl::StrCat("event #", request.sequence());
}

int Run(const Flags& flags, Environment& environment) {
  if (const absl::Status key = CheckKey(flags); !key.ok()) {
    return WrongUsage(kName, key.message(), environment);
  }
  GatewayClient gateway(flags, environment);
  const v1::GetEventRequest request = RequestOf(flags);
  v1::GetEventResponse response;
  const int exit_code = gateway.Call(&v1::EventService::StubInterface::GetEvent, request,
                                     absl::StrCat("get ", KeyText(request)), response);
  if (exit_code != kSuccess) return exit_code;
  if (flags.Bool("raw")) {
    environment.out << response.event().raw_body();
  } else if (IsJson(flags)) {
    environment.out << EventJson(response.event()) << "\n";
  } else {
    environment.out << EventDetails(
        response.event(),
        {environment.clock.WallNow(), environment.zone, StyleOf(flags, environment)});
  }
  return kSuccess;
}

}  // namespace

Command GetCommand() {
  return {
      .name = kName,
      .summary = "Show one event, whole",
      .description =
          "Shows one event with all its fields. The gateway knows it by its sequence, or by the "
          "sender's own key: source and webhook-id.",
      .arguments = {.flag_of_stray = "sequence",
                    .advice_on_others = "hookgate explain $0 finds an event by any of its ids"},
      .flags = Join({{{.name = "webhook-id",
                       .value = "ID",
                       .help = "The header webhook-id that it came with."},
                      {.name = "source",
                       .value = "NAME",
                       .help = "The source that sent that webhook-id.",
                       .default_value = "openai"},
                      {.name = "sequence",
                       .kind = FlagKind::kInt,
                       .value = "N",
                       .help = "Its position in the gateway's log.",
                       .minimum = 1},
                      {.name = "raw",
                       .kind = FlagKind::kBool,
                       .help = "Print the body exactly as it was received and signed, and nothing "
                               "else."}},
                     CallFlags("How long the call may take.")}),
      .examples = {{"hookgate get --webhook-id wh_abc", "Which event has this webhook-id?"},
                   {"hookgate get --sequence 42 --output json", "The 42nd event, for a script."},
                   {"hookgate get --sequence 42 --raw > body.json",
                    "The signed bytes, such as for `hookgate send --file body.json`."}},
      .exits = ShowExits("The event was printed.",
                         "There is no such event: it never came, or retention removed it."),
      .run = Run};
}

}  // namespace hookgate::cli
