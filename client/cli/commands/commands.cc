#include "client/cli/commands/commands.h"

#include <algorithm>
#include <utility>

#include "client/cli/commands/cluster_copy_commands.h"
#include "client/cli/commands/cluster_status_command.h"
#include "client/cli/commands/conflicts_discard_command.h"
#include "client/cli/commands/conflicts_list_command.h"
#include "client/cli/commands/conflicts_show_command.h"
#include "client/cli/commands/consume_command.h"
#include "client/cli/commands/dead_letters_discard_command.h"
#include "client/cli/commands/dead_letters_list_command.h"
#include "client/cli/commands/dead_letters_redrive_command.h"
#include "client/cli/commands/deliveries_command.h"
#include "client/cli/commands/events_command.h"
#include "client/cli/commands/explain_command.h"
#include "client/cli/commands/failures_command.h"
#include "client/cli/commands/fsck_command.h"
#include "client/cli/commands/get_command.h"
#include "client/cli/commands/jobs_command.h"
#include "client/cli/commands/quarantine_discard_command.h"
#include "client/cli/commands/quarantine_list_command.h"
#include "client/cli/commands/quarantine_retry_command.h"
#include "client/cli/commands/quarantine_show_command.h"
#include "client/cli/commands/ready_command.h"
#include "client/cli/commands/refused_command.h"
#include "client/cli/commands/send_command.h"
#include "client/cli/commands/status_command.h"
#include "client/cli/commands/streams_command.h"
#include "client/cli/commands/subscribe_command.h"
#include "client/cli/commands/subscriptions_create_command.h"
#include "client/cli/commands/subscriptions_delete_command.h"
#include "client/cli/commands/subscriptions_list_command.h"
#include "client/cli/commands/subscriptions_pause_command.h"
#include "client/cli/commands/subscriptions_redeliver_command.h"
#include "client/cli/commands/subscriptions_seek_command.h"
#include "client/cli/commands/subscriptions_show_command.h"
#include "client/cli/commands/subscriptions_update_command.h"
#include "client/cli/commands/table_commands.h"
#include "client/cli/security_flags.h"

namespace hookgate::cli {

namespace {

bool CallsGateway(const Command& command) {
  return std::any_of(command.flags.begin(), command.flags.end(),
                     [](const FlagSpec& flag) { return flag.name == "grpc"; });
}

int RunCompletion(const Flags& flags, Environment& environment) {
  return PrintCompletion(Commands(), CommandGroups(), flags, environment);
}

int RunMan(const Flags&, Environment& environment) {
  return PrintManPage(Commands(), CommandGroups(), environment);
}

std::vector<Command> WithSecurityFlags(std::vector<Command> commands) {
  for (Command& command : commands) {
    if (!CallsGateway(command)) continue;
    for (FlagSpec& flag : SecurityFlags()) command.flags.push_back(std::move(flag));
  }
  return commands;
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto* const kCommands =
      new std::vector<Command>(WithSecurityFlags({SubscribeCommand(),
                                                  ConsumeCommand(),
                                                  FailuresCommand(),
                                                  EventsCommand(),
                                                  GetCommand(),
                                                  ExplainCommand(),
                                                  SendCommand(),
                                                  ReadyCommand(),
                                                  StatusCommand(),
                                                  ClusterStatusCommand(),
                                                  ClusterSnapshotCommand(),
                                                  ClusterReseedCommand(),
                                                  StreamsCommand(),
                                                  RefusedCommand(),
                                                  QuarantineListCommand(),
                                                  QuarantineShowCommand(),
                                                  QuarantineRetryCommand(),
                                                  QuarantineDiscardCommand(),
                                                  ConflictsListCommand(),
                                                  ConflictsShowCommand(),
                                                  ConflictsDiscardCommand(),
                                                  SubscriptionsCreateCommand(),
                                                  SubscriptionsListCommand(),
                                                  SubscriptionsShowCommand(),
                                                  SubscriptionsUpdateCommand(),
                                                  SubscriptionsSeekCommand(),
                                                  SubscriptionsPauseCommand(),
                                                  SubscriptionsResumeCommand(),
                                                  SubscriptionsRedeliverCommand(),
                                                  SubscriptionsDeleteCommand(),
                                                  DeliveriesCommand(),
                                                  DeadLettersListCommand(),
                                                  DeadLettersRedriveCommand(),
                                                  DeadLettersDiscardCommand(),
                                                  JobsListCommand(),
                                                  JobsCancelCommand(),
                                                  FsckCommand(),
                                                  CompletionCommand(RunCompletion),
                                                  ManCommand(RunMan)}));
  return *kCommands;
}

const std::vector<CommandGroup>& CommandGroups() {
  static const auto* const kGroups = new std::vector<CommandGroup>{
      {.name = "cluster",
       .summary = "Look at gateways that share one log, and reseed them",
       .description = "Gateways of a cluster store what they take in one log, on PostgreSQL or "
                      "JetStream, and each holds all of it: one leads, and when its machine dies "
                      "another one does. docs/cluster.md is about running one."},
      {.name = "subscriptions",
       .summary = "Create and manage durable subscriptions",
       .description = "A durable subscription keeps its position in the gateway. Any number of "
                      "consumers share "
                      "its events, and each event is delivered until one of them has acked it."},
      {.name = "dead-letters",
       .summary = "List events that consumers failed on, redrive them",
       .description =
           "An event of a durable subscription whose last attempt has failed, or that a consumer "
           "gave up, becomes a dead letter. It is kept until it is redriven or discarded."},
      {.name = "jobs",
       .summary = "List and cancel jobs that change many events",
       .description =
           "A job redelivers many events of a durable subscription, or redrives or discards many "
           "of "
           "its dead letters. The gateway carries it out in small steps, also after a restart. "
           "hookgate subscriptions redeliver and hookgate dead-letters start one."},
      {.name = "quarantine",
       .summary = "List webhooks that could not be decoded, retry them",
       .description =
           "A webhook that is properly signed, but whose body is not what its type promises, is "
           "answered 400 or 422 and kept in quarantine, without any event. An upgrade of hookgated "
           "that knows more may turn it into the event that it was meant to be."},
      {.name = "conflicts",
       .summary = "List webhooks that were repeated with another body",
       .description =
           "A webhook that comes again under the same webhook-id, properly signed, is one event, "
           "with the body that came first. If another body comes, that is kept beside the event: "
           "the first other one, and the last."}};
  return *kGroups;
}

}  // namespace hookgate::cli
