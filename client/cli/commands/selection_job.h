// What commands share that ask the gateway for a job on a selection of events or dead letters: say
// how many there are, start the job, and follow it to its end.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/confirm.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// --preview, --detach.
std::vector<FlagSpec> SelectionJobFlags();

struct SelectionJob {
  std::string verb;      // "redrive"
  std::string singular;  // "dead letter"
  std::string plural;
  bool cannot_be_undone = false;  // asks first; the command has YesFlag
};

// "at least 20000 dead letters match, the first ones 3, 5 and 9", as a line.
std::string PreviewText(const v1::SelectionPreview& preview, const SelectionJob& what);
// "at least 20000 dead letters"
std::string CountText(const v1::SelectionPreview& preview, const SelectionJob& what);

// "redelivered", "redriven" or "discarded".
std::string DoneWord(const v1::Job& job);
// How far it is, or how it ended.
std::string JobText(const v1::Job& job);

// Says on stderr how the job goes on, and on stdout how it ended; returns the exit code. At Ctrl-C
// the job goes on without the command, which says how to cancel it.
int FollowJob(v1::Job job, GatewayClient& gateway);

// The whole of it for `request`, of which subscription and selection are set; `method` is its call.
template <typename Request, typename Response>
int RunSelectionJob(const SelectionJob& what,
                    UnaryMethod<v1::SubscriptionService::StubInterface, Request, Response> method,
                    Request request, const Flags& flags, Environment& environment) {
  GatewayClient gateway(flags, environment);
  Response response;
  request.set_preview(true);
  int called = gateway.Call(method, request, what.verb, response);
  if (called != kSuccess) return called;
  const v1::SelectionPreview preview = response.preview();
  if (flags.Bool("preview")) {
    environment.out << (IsJson(flags) ? MessageJson(preview) : PreviewText(preview, what)) << "\n";
    return kSuccess;
  }
  if (preview.count() == 0 && !preview.count_truncated()) {
    if (!IsJson(flags)) environment.out << "There is nothing to " << what.verb << ".\n";
    return kSuccess;
  }
  if (what.cannot_be_undone &&
      !Confirm(absl::StrCat("Discard ", CountText(preview, what), " permanently?"), flags,
               environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  request.set_preview(false);
  response.Clear();
  called = gateway.Call(method, request, what.verb, response);
  return called == kSuccess ? FollowJob(response.job(), gateway) : called;
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SELECTION_JOB_H_
