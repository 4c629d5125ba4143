// The HTTP request of one signed webhook. Pure.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SIGNED_REQUEST_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SIGNED_REQUEST_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/cli/http_post.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate::cli {

struct Webhook {
  std::string source;  // The last part of the path.
  std::string webhook_id;
  absl::Time webhook_time;
  std::string body;
  // Sign it wrongly: a well-formed signature of something else.
  bool corrupt_signature = false;
};

// POST `gateway`/webhooks/SOURCE with the headers of Standard Webhooks.
HttpRequest SignedRequest(const HttpUrl& gateway, const Webhook& webhook, const Secret& secret);

// A shell command that sends `request`, in several lines.
//   body_file  where the body can be read again; "": it is part of the command and must hold no NUL
//   ca_file    where the request's `ca` can be read again; "": it has none
std::string CurlCommand(const HttpRequest& request, absl::string_view body_file,
                        absl::string_view ca_file = "");

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SIGNED_REQUEST_H_
