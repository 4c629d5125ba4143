// What a gateway answered to a webhook. Pure.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SEND_RESULT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SEND_RESULT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "client/cli/http_post.h"
#include "client/cli/style.h"

namespace hookgate::cli {

struct SendResult {
  int status = 0;
  std::string webhook_id;  // As sent.
  std::string state;       // "stored" or "duplicate" if the webhook was taken.
  std::string sequence;    // Of the event, then.
  std::string code;    // Otherwise the stable word for what is wrong; empty: no gateway's answer.
  std::string detail;  // Why.
  std::string retry_after;  // In how many seconds to send it again; may be empty.

  // Only a gateway's own 200 says that the event is stored.
  bool accepted() const { return !state.empty(); }
};

SendResult ReadAnswer(const HttpAnswer& answer, absl::string_view webhook_id);

// "200 stored sequence 42 wh_1", "401 signature_mismatch wh_1: no signature matches": Printable,
// one line without its end.
std::string ResultLine(const SendResult& result, const Style& style);
// One JSON object of the fields that are not empty, under their names above.
std::string ResultJson(const SendResult& result);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SEND_RESULT_H_
