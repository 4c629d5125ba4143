// Calls that act on items named by numbers, such as dead letters, and return a result for each
// item.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_BATCHED_CALL_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_BATCHED_CALL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/style.h"

namespace hookgate::cli {

// The result of one item.
struct ResultLine {
  int64_t number = 0;
  bool done = false;
  std::string outcome;  // printable: "discarded"
};

template <typename Stub, typename Request, typename Response>
struct BatchedCall {
  std::string what;  // that it does: "discard"
  UnaryMethod<Stub, Request, Response> method;
  void (Request::*add)(int64_t number);  // to the request
  ResultLine (*line)(const typename Response::Result& result, const Style& style);
  Request request = {};     // without numbers
  size_t max_batch = 1000;  // in one request
};

// Makes calls for `numbers`, with at most max_batch in each, and prints a line for each result, or
// the result itself with --output json. Stops at the first call that fails. Returns the exit code,
// which is kFailed also if an item was not handled. The command has --timeout, OutputFlag and
// ColorFlag.
template <typename Stub, typename Request, typename Response>
int CallInBatches(const BatchedCall<Stub, Request, Response>& call,
                  const std::vector<int64_t>& numbers, GatewayClient& gateway) {
  const Style style = StyleOf(gateway.flags(), gateway.environment());
  int exit_code = kSuccess;
  for (size_t begin = 0; begin < numbers.size(); begin += call.max_batch) {
    Request request = call.request;
    const size_t end = std::min(begin + call.max_batch, numbers.size());
    for (size_t i = begin; i < end; ++i) (request.*call.add)(numbers[i]);
    Response response;
    const int called = gateway.Call(call.method, request, call.what, response);
    if (called != kSuccess) return called;
    for (const auto& result : response.results()) {
      const ResultLine line = call.line(result, style);
      if (!line.done) exit_code = kFailed;
      gateway.environment().out << (IsJson(gateway.flags())
                                        ? MessageJson(result)
                                        : absl::StrCat(line.number, " ", line.outcome))
                                << "\n";
    }
  }
  return exit_code;
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_BATCHED_CALL_H_
