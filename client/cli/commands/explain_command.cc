#include "client/cli/commands/explain_command.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/explain_text.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "explain";

// With a '#' before it, it is nothing else. Without, it may also be the text of an event.
bool IsSequence(absl::string_view id, int64_t& sequence) {
  absl::ConsumePrefix(&id, "#");
  return !id.empty() && std::all_of(id.begin(), id.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(id, &sequence) && sequence > 0;
}

v1::ExplainEventRequest RequestOf(const Flags& flags) {
  v1::ExplainEventRequest request;
  const std::string& id = flags.arguments()[0];
  int64_t sequence = 0;
  if (flags.Has("source")) {
    request.mutable_webhook()->set_source(flags.Text("source"));
    request.mutable_webhook()->set_webhook_id(id);
  } else if (IsSequence(id, sequence)) {
    request.set_sequence(sequence);
  } else {
    request.set_text(id);
  }
  request.set_include_raw_body(flags.Bool("raw"));
  for (const std::string& name : flags.List("subscription")) request.add_subscriptions(name);
  return request;
}

std::string WhatIs(const v1::ExplainEventRequest& request) {
  if (request.has_webhook()) {
    return absl::StrCat("event ", request.webhook().source(), "/", request.webhook().webhook_id());
  }
  return request.has_text() ? absl::StrCat("event ", request.text())
                            : absl::StrCat("event #", request.sequence());
}

// Whether an answer about a text says more than that nothing is known.
bool SaysMore(const v1::ExplainEventResponse& response) {
  return response.has_event() || response.absence().cause() == v1::Absence::CAUSE_QUARANTINED ||
         response.absence().cause() == v1::Absence::CAUSE_REFUSED;
}

// A number that is no sequence of an event may be its id, its subject or its webhook-id; one that
// is may be those of another one, which a line tells of.
int AskAsText(const Flags& flags, GatewayClient& gateway, Environment& environment,
              v1::ExplainEventRequest& request, v1::ExplainEventResponse& response) {
  if (!request.has_sequence() || flags.arguments()[0][0] == '#') return kSuccess;
  v1::ExplainEventRequest as_text = request;
  as_text.set_text(flags.arguments()[0]);
  as_text.set_include_raw_body(request.include_raw_body() && !response.has_event());
  v1::ExplainEventResponse other;
  const int exit_code = gateway.Call(&v1::EventService::StubInterface::ExplainEvent, as_text,
                                     absl::StrCat("explain ", WhatIs(as_text)), other);
  if (exit_code != kSuccess || !SaysMore(other)) return exit_code;
  if (!response.has_event()) {
    request = std::move(as_text);
    response = std::move(other);
  } else if (other.has_event() && other.event().sequence() != response.event().sequence()) {
    environment.err << "hookgate: " << flags.arguments()[0]
                    << " is an id, the subject or the webhook-id of another event, too: hookgate "
                       "explain "
                    << other.event().sequence() << " explains that\n";
  }
  return kSuccess;
}

int Run(const Flags& flags, Environment& environment) {
  if (flags.arguments()[0].empty()) {
    return WrongUsage(kName, "the id is empty; give the id of an event", environment);
  }
  v1::ExplainEventRequest request = RequestOf(flags);
  GatewayClient gateway(flags, environment);
  v1::ExplainEventResponse response;
  const int exit_code = gateway.Call(&v1::EventService::StubInterface::ExplainEvent, request,
                                     absl::StrCat("explain ", WhatIs(request)), response);
  if (exit_code != kSuccess) return exit_code;
  if (const int other = AskAsText(flags, gateway, environment, request, response);
      other != kSuccess) {
    return other;
  }
  if (flags.Bool("raw") && !IsJson(flags) && response.has_event()) {
    environment.out << response.event().raw_body();
  } else if (flags.Bool("raw") && !IsJson(flags)) {
    // What is written to standard output is a body, or nothing.
    environment.err << ExplainPage(WhatIs(request), response, ReaderOf(flags, environment));
  } else if (IsJson(flags)) {
    environment.out << MessageJson(response) << "\n";
  } else {
    environment.out << ExplainPage(WhatIs(request), response, ReaderOf(flags, environment));
  }
  return response.has_event() ? kSuccess : kNotFound;
}

}  // namespace

Command ExplainCommand() {
  return {
      .name = kName,
      .summary = "Explain one event: how it arrived, what handled it, or why not",
      .description =
          "Says all that is known of one event: how it came, and for each durable subscription "
          "where it is and why, with every attempt. ID is its sequence, the id in its body "
          "(evt_...), its subject (such as a batch's id), or its webhook-id. Of several events "
          "with one ID the newest is explained, and the others are listed. A number is a sequence "
          "first, and #N nothing else.\n\n"
          "Of an event that is not there it says what is known instead: whether it is in "
          "quarantine or was refused, or is older than what the log holds; and when its source was "
          "heard of last.",
      .arguments = {.usage = "ID", .least = 1, .most = 1, .flag_of_stray = "subscription"},
      .flags =
          Join({{{.name = "source",
                  .value = "NAME",
                  .help = "ID is the webhook-id of this source, and nothing else."},
                 {.name = "subscription",
                  .value = "NAME",
                  .help = "Only where it is in this one.",
                  .repeated = true},
                 {.name = "raw",
                  .kind = FlagKind::kBool,
                  .help = "Print its body exactly as it was received and signed, and nothing else; "
                          "with --output json, beside the rest."}},
                CallFlags("How long the call may take.")}),
      .examples = {{"hookgate explain batch_abc", "Who has handled this batch's last event?"},
                   {"hookgate explain evt_abc", "Has it arrived, and if not, why?"},
                   {"hookgate explain 42 --subscription billing --output json",
                    "Where the 42nd event is in billing, for a script."}},
      .exits = ShowExits("The event was explained.",
                         "There is no such event; what is known instead was printed. Or there "
                         "is no such subscription."),
      .run = Run};
}

}  // namespace hookgate::cli
