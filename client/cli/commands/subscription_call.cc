#include "client/cli/commands/subscription_call.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/message_json.h"

namespace hookgate::cli {

std::vector<Command::Exit> SubscriptionExits(const std::string& done) {
  return {{kSuccess, done},
          {kFailed, "The gateway refused, or the output could not be written."},
          {kWrongUsage, "The command line is wrong; nothing was done."},
          {kUnreachable, "No gateway answered in time."},
          {kNotFound, "There is no such subscription (any more)."}};
}

void PrintSubscription(const v1::Subscription& subscription, const Flags& flags,
                       Environment& environment) {
  environment.out << (IsJson(flags) ? MessageJson(subscription) + "\n"
                                    : SubscriptionPage(subscription, ReaderOf(flags, environment)));
}

}  // namespace hookgate::cli
