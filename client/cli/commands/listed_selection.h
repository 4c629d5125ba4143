// Which items of a list a command is about: NUMBER ..., or --all.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_LISTED_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_LISTED_SELECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/cli/command.h"
#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/report.h"
#include "client/gateway_error.h"
#include "google/protobuf/repeated_ptr_field.h"

namespace hookgate::cli {

// --all, which is about `all`, and --source.
std::vector<FlagSpec> ListedSelectionFlags(const std::string& all);

// How a command ends that discards what is selected.
std::vector<Command::Exit> ListedDiscardExits();

// A list whose items a command can be about.
struct NumberedList {
  absl::string_view name;  // "the quarantine"
  NumberWords words;
  // Gets the numbers of all items from `source`; "": from any.
  GatewayError (*list)(const std::string& source, GatewayClient& gateway,
                       std::vector<int64_t>& numbers);
};

// INVALID_ARGUMENT unless it is numbers or --all, and each number is one.
absl::Status CheckListedSelection(const Flags& flags, const NumberWords& words);

// For NumberedList::list: appends the numbers of all items that pages of `method` have.
template <typename Stub, typename Request, typename Response, typename Item>
GatewayError ListNumbers(UnaryMethod<Stub, Request, Response> method, const std::string& source,
                         const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                         int64_t (Item::*number)() const, GatewayClient& gateway,
                         std::vector<int64_t>& numbers) {
  constexpr int kPageSize = 1000;
  Request request;
  request.set_source(source);
  request.set_page_size(kPageSize);
  do {
    Response response;
    GatewayError error = gateway.Try(method, request, response);
    if (!error.status.ok()) return error;
    for (const Item& item : (response.*items)()) numbers.push_back((item.*number)());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return GatewayError();
}

// The whole of a command that does something to what is selected of `list`.
template <typename Stub, typename Request, typename Response>
int RunOnListed(const BulkCommand<Stub, Request, Response>& command, const NumberedList& list,
                const Flags& flags, Environment& environment) {
  absl::Status right = CheckListedSelection(flags, list.words);
  if (right.ok()) right = CheckCanAsk(command.words, flags, environment);
  if (!right.ok()) return WrongUsage(command.name, right.message(), environment);
  GatewayClient gateway(flags, environment);
  std::vector<int64_t> numbers = ParseNumbers(flags, 0, list.words).value();
  if (flags.Bool("all")) {
    const GatewayError error = list.list(flags.Text("source"), gateway, numbers);
    const int listed = gateway.Report(error, absl::StrCat("list ", list.name));
    if (listed != kSuccess) return listed;
  }
  return RunOnNumbers(command, Request(), numbers, gateway);
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_LISTED_SELECTION_H_
