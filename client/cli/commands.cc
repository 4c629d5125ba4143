#include "client/cli/commands.h"

#include "client/cli/events_command.h"
#include "client/cli/failures_command.h"
#include "client/cli/get_command.h"
#include "client/cli/quarantine_discard_command.h"
#include "client/cli/quarantine_list_command.h"
#include "client/cli/quarantine_retry_command.h"
#include "client/cli/quarantine_show_command.h"
#include "client/cli/send_command.h"
#include "client/cli/status_command.h"
#include "client/cli/subscribe_command.h"

namespace hookgate::cli {

const std::vector<Command>& Commands() {
  static const auto* const kCommands = new std::vector<Command>{SubscribeCommand(),
                                                                FailuresCommand(),
                                                                EventsCommand(),
                                                                GetCommand(),
                                                                SendCommand(),
                                                                StatusCommand(),
                                                                QuarantineListCommand(),
                                                                QuarantineShowCommand(),
                                                                QuarantineRetryCommand(),
                                                                QuarantineDiscardCommand()};
  return *kCommands;
}

const std::vector<CommandGroup>& CommandGroups() {
  static const auto* const kGroups = new std::vector<CommandGroup>{
      {.name = "quarantine",
       .summary = "Look at webhooks that could not be decoded, retry them",
       .description =
           "A webhook that is properly signed, but whose body is not what its type promises, is "
           "answered 400 or 422 and kept in quarantine, without any event. An upgrade of hookgated "
           "that knows more may turn it into the event that it was meant to be."}};
  return *kGroups;
}

}  // namespace hookgate::cli
