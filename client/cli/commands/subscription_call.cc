#include "client/cli/commands/subscription_call.h"

#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/message_json.h"

namespace hookgate::cli {

std::vector<Command::Exit> SubscriptionExits(const std::string& done) {
  return ChangeExits(done, "There is no such subscription (any more).");
}

void PrintSubscription(const v1::Subscription& subscription, const Flags& flags,
                       Environment& environment) {
  environment.out << (IsJson(flags) ? MessageJson(subscription) + "\n"
                                    : SubscriptionPage(subscription, ReaderOf(flags, environment)));
}

}  // namespace hookgate::cli
