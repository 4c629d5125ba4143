#include "client/cli/commands.h"

#include "client/cli/events_command.h"
#include "client/cli/failures_command.h"
#include "client/cli/get_command.h"
#include "client/cli/send_command.h"
#include "client/cli/subscribe_command.h"

namespace hookgate::cli {

const std::vector<Command>& Commands() {
  static const auto* const kCommands = new std::vector<Command>{
      SubscribeCommand(), FailuresCommand(), EventsCommand(), GetCommand(), SendCommand()};
  return *kCommands;
}

}  // namespace hookgate::cli
