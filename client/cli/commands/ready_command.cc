#include "client/cli/commands/ready_command.h"

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/http_post.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"

namespace hookgate::cli {
namespace {

namespace json = boost::json;

constexpr char kName[] = "ready";
constexpr char kPath[] = "/readyz";

// What /readyz of an admin port says.
struct Readiness {
  std::string status;  // "ready" or "not_ready"; anything else: it is not a gateway's admin port.
  std::vector<std::string> reasons;
};

Readiness ReadBody(const std::string& body) {
  Readiness readiness;
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error || !value.is_object()) return readiness;
  const json::object& object = value.get_object();
  const json::value* status = object.if_contains("status");
  if (status != nullptr && status->is_string()) {
    readiness.status = std::string(status->get_string());
  }
  const json::value* reasons = object.if_contains("reasons");
  if (reasons == nullptr || !reasons->is_array()) return readiness;
  for (const json::value& reason : reasons->get_array()) {
    if (reason.is_string()) readiness.reasons.emplace_back(reason.get_string());
  }
  return readiness;
}

int Run(const Flags& flags, Environment& environment) {
  absl::StatusOr<HttpUrl> url = ParseHttpUrl(flags.Text("url"));
  if (!url.ok()) {
    return WrongUsage(kName, absl::StrCat("--url: ", std::string(url.status().message())),
                      environment);
  }
  url->path += kPath;
  const absl::StatusOr<HttpAnswer> answer =
      environment.get({.url = *url}, flags.Duration("timeout"));
  if (!answer.ok()) {
    return Fail(absl::IsInternal(answer.status()) ? kFailed : kUnreachable,
                absl::StrCat(std::string(answer.status().message()), ". Check that ",
                             url->Authority(), " is a gateway's admin address, or give --url URL"),
                environment);
  }
  const Readiness readiness = ReadBody(answer->body);
  if (answer->status == 200 && readiness.status == "ready") {
    environment.out << "ready\n";
    return kSuccess;
  }
  if (answer->status == 503 && readiness.status == "not_ready") {
    environment.out << "not ready: " << Printable(absl::StrJoin(readiness.reasons, "; ")) << "\n";
    return kFailed;
  }
  return Fail(kFailed,
              absl::StrCat(url->ToString(), " is not the admin address of a gateway: it answered ",
                           answer->status),
              environment);
}

}  // namespace

Command ReadyCommand() {
  return {
      .name = kName,
      .summary = "Ask whether a gateway is ready, for scripts and health checks",
      .description =
          "Asks /readyz of a gateway's admin port, which needs no identity, and says whether the "
          "gateway should be sent webhooks now, or why not: it is shutting down, or its log cannot "
          "be written.",
      .flags = {{.name = "url",
                 .value = "URL",
                 .help = "The gateway's admin address.",
                 .default_value = "http://127.0.0.1:9090",
                 .variable = "HOOKGATE_ADMIN_URL"},
                TimeoutFlag("How long connecting and the answer may take.", "5s")},
      .examples = {{"hookgate ready", "Is the gateway of this machine ready?"},
                   {"until hookgate ready; do sleep 1; done", "Wait until it is."}},
      .exits = {{kSuccess, "It is ready."},
                {kFailed, "It is not, and the reason is printed; or another program answered."},
                {kWrongUsage, "The command line is wrong."},
                {kUnreachable, "Nothing answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
