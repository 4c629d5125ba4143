// What commands share that ask the gateway for a job on a selection of events or dead letters: say
// how many there are, start the job, and follow it to its end.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// --preview, --detach.
std::vector<FlagSpec> SelectionJobFlags();
// How the commands end; `done` is what success means, `failed` what failure means.
std::vector<Command::Exit> SelectionJobExits(const std::string& done, const std::string& failed);

// "at least 20000 dead letters match, the first ones 3, 5 and 9", as a line.
std::string PreviewText(const v1::SelectionPreview& preview, const BulkWords& words);
// "at least 20000 dead letters"
std::string CountText(const v1::SelectionPreview& preview, const BulkWords& words);

// "redelivered", "redriven" or "discarded".
std::string DoneWord(const v1::Job& job);
// How far it is, or how it ended.
std::string JobText(const v1::Job& job);

// Says on stderr how the job goes on, and on stdout how it ended; returns the exit code. At Ctrl-C
// the job goes on without the command, which says how to cancel it.
int FollowJob(v1::Job job, GatewayClient& gateway);

// The whole of it for `request`, of which subscription and selection are set. REQUIRES: CheckCanAsk
// is OK, or --preview.
template <typename Request, typename Response>
int RunAsJob(const BulkCommand<v1::SubscriptionService::StubInterface, Request, Response>& command,
             Request request, GatewayClient& gateway) {
  const BulkWords& words = command.words;
  Response response;
  request.set_preview(true);
  int called = gateway.Call(command.method, request, words.verb, response);
  if (called != kSuccess) return called;
  const v1::SelectionPreview preview = response.preview();
  if (gateway.flags().Bool("preview")) {
    gateway.environment().out << (IsJson(gateway.flags()) ? MessageJson(preview)
                                                          : PreviewText(preview, words))
                              << "\n";
    return kSuccess;
  }
  if (preview.count() == 0 && !preview.count_truncated()) return NothingToDo(words, gateway);
  if (!MayGoOn(words, CountText(preview, words), gateway)) return kFailed;
  request.set_preview(false);
  response.Clear();
  called = gateway.Call(command.method, request, words.verb, response);
  return called == kSuccess ? FollowJob(response.job(), gateway) : called;
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_
