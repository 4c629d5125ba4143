// What a command touches outside itself; a test has all of it in its hands.
#ifndef HOOKGATE_CLIENT_CLI_ENVIRONMENT_H_
#define HOOKGATE_CLIENT_CLI_ENVIRONMENT_H_

#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/http_post.h"
#include "client/cli/interrupt.h"
#include "client/connection_security.h"
#include "common/clock.h"

namespace hookgate {
class Connection;
}  // namespace hookgate

namespace hookgate::cli {

struct Environment {
  std::istream& in;
  std::ostream& out;  // Results, and nothing else.
  // The errno of the first write to `out` that failed.
  std::function<int()> out_error;
  std::ostream& err;  // What happens, and what is wrong.
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  const Clock& clock;
  absl::TimeZone zone;  // Of the reader.
  Interrupt& interrupt;
  // An environment variable.
  std::function<std::optional<std::string>(const std::string& name)> get_variable;
  // TLS and token for connect, as the flags of the command say.
  ConnectionSecurity security = {};
  // The gateway at a gRPC target.
  std::function<std::unique_ptr<Connection>(const std::string& target,
                                            const ConnectionSecurity& security)>
      connect;
  std::function<absl::StatusOr<HttpAnswer>(const HttpRequest&, absl::Duration timeout)> post;
  std::function<absl::StatusOr<HttpAnswer>(const HttpRequest&, absl::Duration timeout)> get;
  // A webhook-id that nobody has used.
  std::function<std::string()> fresh_webhook_id;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_ENVIRONMENT_H_
