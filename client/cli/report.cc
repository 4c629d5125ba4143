#include "client/cli/report.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"

namespace hookgate::cli {
namespace {

// What the gateway calls by the names of its API, by those of the command line.
std::string AsTyped(absl::string_view message) {
  return absl::StrReplaceAll(message,
                             {{"ListSubscriptions names", "hookgate subscriptions list shows"},
                              {"ListJobs shows", "hookgate jobs list shows"},
                              {" in filter.sources", " by --source"}});
}

}  // namespace

void Say(absl::string_view message, Environment& environment) {
  // What was printed before comes before.
  environment.out.flush();
  // In one piece: others may write to the same terminal.
  environment.err << absl::StrCat("hookgate: ", Printable(message), "\n");
}

int Fail(int exit_code, absl::string_view message, Environment& environment) {
  Say(message, environment);
  return exit_code;
}

int WrongUsage(absl::string_view command, absl::string_view message, Environment& environment) {
  Fail(kWrongUsage, absl::StrCat(command, ": ", message), environment);
  environment.err << absl::StrCat("See hookgate ", command, " --help.\n");
  return kWrongUsage;
}

int FailedCall(const GatewayError& error, absl::string_view what, absl::string_view target,
               Environment& environment) {
  const absl::Status explained = Explain(error, what, target);
  const absl::StatusCode code = explained.code();
  int exit_code = kFailed;
  if (error.FromGateway() && code == absl::StatusCode::kNotFound) exit_code = kNotFound;
  if (!error.FromGateway() &&
      (code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded)) {
    exit_code = kUnreachable;
  }
  return Fail(exit_code, AsTyped(explained.message()), environment);
}

int Finish(int exit_code, Environment& environment) {
  environment.out.flush();
  if (environment.out.good() || environment.out_error() == EPIPE) return exit_code;
  Say(absl::StrCat("cannot write the output: ", std::strerror(environment.out_error())),
      environment);
  return exit_code == kSuccess ? kFailed : exit_code;
}

}  // namespace hookgate::cli
