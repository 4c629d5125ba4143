#include "client/cli/commands/subscriptions_redeliver_command.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/batched_call.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/dead_letter_selection.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "client/cli/time_format.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

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

int RedeliverThese(const std::vector<int64_t>& sequences, const Flags& flags,
                   Environment& environment) {
  GatewayClient gateway(flags, environment);
  using Stub = v1::SubscriptionService::StubInterface;
  using Request = v1::RedeliverEventsRequest;
  BatchedCall<Stub, Request, Response> call = {.what = "redeliver",
                                               .method = &Stub::RedeliverEvents,
                                               .add = &Request::add_sequences,
                                               .line = LineOf};
  call.request.set_subscription(flags.arguments()[0]);
  call.request.set_include_not_admitted(flags.Bool("include-not-admitted"));
  return CallInBatches(call, sequences, gateway);
}

int RedeliverSelection(const Flags& flags, Environment& environment) {
  const absl::Time now = environment.clock.WallNow();
  v1::RedeliverEventsRequest request;
  request.set_subscription(flags.arguments()[0]);
  v1::EventSelection& selection = *request.mutable_selection();
  *selection.mutable_filter() = FilterOf(flags);
  *selection.mutable_start_time() = ToProto(flags.Time("since", now));
  if (flags.Has("until")) *selection.mutable_end_time() = ToProto(flags.Time("until", now));
  selection.set_include_not_admitted(flags.Bool("include-not-admitted"));
  return RunSelectionJob({.verb = "redeliver", .singular = "event", .plural = "events"},
                         &v1::SubscriptionService::StubInterface::RedeliverEvents, request, flags,
                         environment);
}

int Run(const Flags& flags, Environment& environment) {
  const bool named = flags.arguments().size() > 1;
  bool selected = flags.Has("since") || flags.Has("until");
  for (const FlagSpec& flag : FilterFlags()) selected = selected || flags.Has(flag.name);
  if (named && (selected || flags.Bool("preview") || flags.Bool("detach"))) {
    return WrongUsage(kName, "sequences, or --since and what narrows it, but not both",
                      environment);
  }
  if (!named && !flags.Has("since")) {
    return WrongUsage(kName, "no events are selected: give sequences, or --since", environment);
  }
  if (!named) return RedeliverSelection(flags, environment);
  std::vector<int64_t> sequences;
  const absl::Status right = ParseSequences(flags, "hookgate events shows them", sequences);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  return RedeliverThese(sequences, flags, environment);
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
      .flags = Join(
          {{{.name = "since",
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
           {GrpcFlag(), TimeoutFlag("How long each call may take."), OutputFlag(), ColorFlag()}}),
      .examples = {{"hookgate subscriptions redeliver billing 41 42", "These two."},
                   {"hookgate subscriptions redeliver billing --since 2h --type batch.failed",
                    "What failed in the last two hours."},
                   {"hookgate subscriptions redeliver billing --since 1d --preview",
                    "How many would that be?"}},
      .exits = {{kSuccess,
                 "They are delivered again; or there were none; or the job goes on without this "
                 "command."},
                {kFailed,
                 "One cannot be delivered, the job has not come to its end, or the gateway "
                 "refused."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable, "No gateway answered in time."},
                {kNotFound, "There is no such subscription (any more)."},
                {kInterrupted, "Ctrl-C came while the job went on; it still does."}},
      .run = Run};
}

}  // namespace hookgate::cli
