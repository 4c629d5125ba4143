// What commands share that do one thing to many items, each named by a number: ask, call in
// batches, and print what became of each.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_BULK_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_BULK_COMMAND_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/message_json.h"
#include "client/cli/style.h"

namespace hookgate::cli {

struct BulkWords {
  std::string verb;      // "discard"
  std::string singular;  // "dead letter"
  std::string plural;
  // Asked before something is discarded permanently, about $0, which is "2 dead letters". Such a
  // command has YesFlag. Empty: it does not ask.
  std::string question = {};
};

// "1 dead letter", "2 dead letters"
std::string CountText(int64_t count, const BulkWords& words);

// INVALID_ARGUMENT if the command asks, but has nobody to ask.
absl::Status CheckCanAsk(const BulkWords& words, const Flags& flags,
                         const Environment& environment);

// Asks, if the command does, whether to go on with `counted`, as CountText has it. Says that
// nothing was discarded if the answer is no. REQUIRES: CheckCanAsk is OK.
bool MayGoOn(const BulkWords& words, const std::string& counted, GatewayClient& gateway);

// Says that there is nothing to do; returns the exit code.
int NothingToDo(const BulkWords& words, GatewayClient& gateway);

// The result of one item.
struct ResultLine {
  int64_t number = 0;
  bool done = false;
  std::string outcome;  // printable: "discarded"
};

// Of an item that was to be discarded.
ResultLine DiscardedLine(int64_t number, bool discarded, const Style& style);

template <typename Stub, typename Request, typename Response>
struct BulkCommand {
  std::string name;  // "dead-letters discard"
  BulkWords words;
  UnaryMethod<Stub, Request, Response> method;
  void (Request::*add)(int64_t number);  // to the request
  ResultLine (*line)(const typename Response::Result& result, const Style& style);
  size_t max_batch = 1000;  // in one request
};

// Asks, if the command does; then calls with `request` for `numbers`, at most max_batch in each
// call, and prints a line for each result, or the result itself with --output json. Stops at the
// first call that fails. Returns the exit code, which is kFailed also if an item was not handled.
// The command has --timeout, OutputFlag and ColorFlag. REQUIRES: CheckCanAsk is OK.
template <typename Stub, typename Request, typename Response>
int RunOnNumbers(const BulkCommand<Stub, Request, Response>& command, const Request& request,
                 const std::vector<int64_t>& numbers, GatewayClient& gateway) {
  if (numbers.empty()) return NothingToDo(command.words, gateway);
  const std::string counted = CountText(static_cast<int64_t>(numbers.size()), command.words);
  if (!MayGoOn(command.words, counted, gateway)) return kFailed;
  const bool json = IsJson(gateway.flags());
  const Style style = StyleOf(gateway.flags(), gateway.environment());
  int exit_code = kSuccess;
  for (size_t begin = 0; begin < numbers.size(); begin += command.max_batch) {
    Request batch = request;
    const size_t end = std::min(begin + command.max_batch, numbers.size());
    for (size_t i = begin; i < end; ++i) (batch.*command.add)(numbers[i]);
    Response response;
    const int called = gateway.Call(command.method, batch, command.words.verb, response);
    if (called != kSuccess) return called;
    for (const auto& result : response.results()) {
      const ResultLine line = command.line(result, style);
      if (!line.done) exit_code = kFailed;
      gateway.environment().out << (json ? MessageJson(result)
                                         : absl::StrCat(line.number, " ", line.outcome))
                                << "\n";
    }
  }
  return exit_code;
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_BULK_COMMAND_H_
