// Runs whole command lines in this process, against a gateway of which the test writes the answers.
#ifndef HOOKGATE_CLIENT_CLI_CLI_FIXTURE_H_
#define HOOKGATE_CLIENT_CLI_CLI_FIXTURE_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/environment.h"
#include "client/cli/http_post.h"
#include "client/cli/interrupt.h"
#include "client/testing/fake_gateway.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace hookgate::cli {

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

// The reader's zone is two hours east of Greenwich, and it is 17:16:40 on 15 June 2025 there: ten
// minutes after sequence 0 of testing::MakeEvent.
class CliTest : public ::testing::Test {
 protected:
  Outcome Run(const std::vector<std::string>& arguments);

  // Called with the whole of stderr each time something is written there.
  std::function<void(const std::string&)> on_err_;

  testing::FakeGateway gateway_;
  // What hookgate takes for the gateway; by default the one above.
  std::string channel_target_ = gateway_.target();
  FakeClock clock_{absl::FromUnixSeconds(1'750'000'000) + absl::Minutes(10)};
  Interrupt interrupt_;
  ConnectionSecurity security_;  // of the last connection
  std::map<std::string, std::string> variables_;
  std::string in_;
  bool in_is_terminal_ = false;
  bool out_is_terminal_ = false;
  int out_error_ = 0;  // Unless 0: stdout cannot be written, for this reason.

  // What was sent by HTTP, by POST and by GET, and what is answered to it.
  std::vector<HttpRequest> posted_;
  std::vector<HttpRequest> asked_;
  std::vector<absl::Duration> post_timeouts_;
  std::function<absl::StatusOr<HttpAnswer>(const HttpRequest&)> answer_;
};

// Without its end.
std::string FirstLine(const std::string& text);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_CLI_FIXTURE_H_
