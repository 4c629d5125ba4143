#include "client/cli/commands/subscriptions_redeliver_command.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/report.h"
#include "client/cli/time_format.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using Stub = v1::SubscriptionService::StubInterface;
using Request = v1::RedeliverEventsRequest;
using Response = v1::RedeliverEventsResponse;

constexpr char kName[] = "subscriptions redeliver";

std::string OutcomeText(const Response::Result& result, const Style& style) {
  switch (result.outcome()) {
    case Response::OUTCOME_REDELIVERED:
      return style(Look::kGood, "redelivered");
    case Response::OUTCOME_EVENT_NOT_FOUND:
      return style(Look::kBad, "the event log has no such event (any more)");
    case Response::OUTCOME_NOT_REACHED:
      return style(Look::kBad, "not reached yet: it will be delivered if the filter admits it");
    case Response::OUTCOME_UNSETTLED:
      return style(Look::kBad, "on its way already");
    case Response::OUTCOME_NOT_ADMITTED:
      return style(Look::kBad, "not admitted by the filter: see --include-not-admitted");
    case Response::OUTCOME_TOO_MANY_UNSETTLED:
      return style(Look::kBad, "too many events are unsettled: try again later");
    default:
      return Response::Outcome_Name(result.outcome());
  }
}

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return {.number = result.sequence(),
          .done = result.outcome() == Response::OUTCOME_REDELIVERED,
          .outcome = OutcomeText(result, style)};
}

// INVALID_ARGUMENT unless it is sequences, each a number, or --since and what narrows it.
absl::Status CheckSelection(const Flags& flags) {
  const bool named = flags.arguments().size() > 1;
  bool selected = flags.Has("since") || flags.Has("until");
  for (const FlagSpec& flag : FilterFlags()) selected = selected || flags.Has(flag.name);
  if (named && (selected || flags.Bool("preview") || flags.Bool("detach"))) {
    return absl::InvalidArgumentError("sequences, or --since and what narrows it, but not both");
  }
  if (!named && !flags.Has("since")) {
    return absl::InvalidArgumentError("no events are selected: give sequences, or --since");
  }
  return ParseNumbers(flags, 1, kEventSequences).status();
}

v1::EventSelection SelectionOf(const Flags& flags, absl::Time now) {
  v1::EventSelection selection;
  *selection.mutable_filter() = FilterOf(flags);
  *selection.mutable_start_time() = ToProto(flags.Time("since", now));
  if (flags.Has("until")) *selection.mutable_end_time() = ToProto(flags.Time("until", now));
  selection.set_include_not_admitted(flags.Bool("include-not-admitted"));
  return selection;
}

int Run(const Flags& flags, Environment& environment) {
  const absl::Status right = CheckSelection(flags);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "redeliver", .singular = "event", .plural = "events"},
      .method = &Stub::RedeliverEvents,
      .add = &Request::add_sequences,
      .line = LineOf};
  Request request;
  request.set_subscription(flags.arguments()[0]);
  GatewayClient gateway(flags, environment);
  if (flags.Has("since")) {
    *request.mutable_selection() = SelectionOf(flags, environment.clock.WallNow());
    return RunAsJob(command, request, gateway);
  }
  request.set_include_not_admitted(flags.Bool("include-not-admitted"));
  return RunOnNumbers(command, request, ParseNumbers(flags, 1, kEventSequences).value(), gateway);
}

}  // namespace

Command SubscriptionsRedeliverCommand() {
  return {
      .name = kName,
      .summary = "Deliver past events again, without moving its position",
      .description =
          "Puts past events in front of a durable subscription, whether they were acked, came "
          "before its start or were skipped: each is delivered as attempt 1, marked as replayed, "
          "in "
          "turns with what is new. Events that are on their way already stay as they are. Named by "
          "their sequences, it is done when the command ends. With --since, the gateway does it as "
          "a job, of which this command shows the progress; Ctrl-C ends the command and leaves the "
          "job to the gateway. A job over very many events waits for consumers in between.",
      .arguments = {.usage = "NAME [SEQUENCE ...]", .least = 1, .most = kAnyNumber},
      .flags = Join({{{.name = "since",
                       .kind = FlagKind::kTime,
                       .value = "AGO|TIME",
                       .help = absl::StrCat("Those received from then on: ", kTimeForms, ".")},
                      {.name = "until",
                       .kind = FlagKind::kTime,
                       .value = "AGO|TIME",
                       .help = "And before then. Default: now."}},
                     FilterFlags(),
                     {{.name = "include-not-admitted",
                       .kind = FlagKind::kBool,
                       .help = "Also events that the filter of the subscription does not admit, if "
                               "they are of its sources."}},
                     SelectionJobFlags(),
                     CallFlags("How long each call may take.")}),
      .examples = {{"hookgate subscriptions redeliver billing 41 42", "These two."},
                   {"hookgate subscriptions redeliver billing --since 2h --type batch.failed",
                    "What failed in the last two hours."},
                   {"hookgate subscriptions redeliver billing --since 1d --preview",
                    "How many would that be?"}},
      .exits = SelectionJobExits(
          "They are delivered again; or there were none; or the job goes on without this "
          "command.",
          "One cannot be delivered, the job has not come to its end, or the gateway "
          "refused."),
      .run = Run};
}

}  // namespace hookgate::cli
