// One HTTP/1.1 POST or GET, in plain text or through TLS.
#ifndef HOOKGATE_CLIENT_CLI_HTTP_POST_H_
#define HOOKGATE_CLIENT_CLI_HTTP_POST_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate::cli {

// Where http[s]://HOST[:PORT][/PATH] leads.
struct HttpUrl {
  bool tls = false;
  std::string host;         // Without the brackets of an IPv6 address.
  std::string port = "80";  // As text, since that is what resolvers take.
  std::string path;         // Begins with '/', or is empty; does not end with '/'.

  // As a URL again.
  std::string ToString() const;
  // The header Host.
  std::string Authority() const;
};

// Without a port, it is 80 or 443. INVALID_ARGUMENT says what is wrong with `text`.
absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view text);

struct HttpRequest {
  HttpUrl url;
  std::vector<std::pair<std::string, std::string>> fields;  // Besides Host and Content-Length.
  std::string body;
  // In PEM, who may have signed the server's certificate; "": whom the system trusts.
  std::string ca;
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> fields;  // Names in lower case.
  std::string body;

  // The field's value, or "".
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

// Sends `request` over a connection of its own and waits for the whole answer, whatever its status.
//   timeout  for all of it
// Errors: UNAVAILABLE if no connection could be made, or it ended without a whole answer;
// UNAUTHENTICATED if the certificate is not to be believed; FAILED_PRECONDITION if it is another
// host's; INVALID_ARGUMENT if `ca` holds no certificate; DEADLINE_EXCEEDED; INTERNAL if what came
// is no HTTP, or more than 1 MiB.
absl::StatusOr<HttpAnswer> HttpPost(const HttpRequest& request, absl::Duration timeout);
// The same by GET, without a body.
absl::StatusOr<HttpAnswer> HttpGet(const HttpRequest& request, absl::Duration timeout);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_HTTP_POST_H_
