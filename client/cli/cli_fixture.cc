#include "client/cli/cli_fixture.h"

#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/cli/cli.h"
#include "client/connection.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace hookgate::cli {
namespace {

// A string that tells of each write.
class ListeningBuffer final : public std::stringbuf {
 public:
  explicit ListeningBuffer(const std::function<void(const std::string&)>& listener)
      : listener_(listener) {}

 private:
  std::streamsize xsputn(const char* bytes, std::streamsize length) override {
    const std::streamsize written = std::stringbuf::xsputn(bytes, length);
    if (listener_) listener_(str());
    return written;
  }

  const std::function<void(const std::string&)>& listener_;
};

}  // namespace

Outcome CliTest::Run(const std::vector<std::string>& arguments) {
  std::istringstream in(in_);
  std::ostringstream out;
  if (out_error_ != 0) out.setstate(std::ios::badbit);
  ListeningBuffer err_buffer(on_err_);
  std::ostream err(&err_buffer);
  int ids = 0;
  Environment environment = {
      .in = in,
      .out = out,
      .out_error = [this] { return out_error_; },
      .err = err,
      .in_is_terminal = in_is_terminal_,
      .out_is_terminal = out_is_terminal_,
      .clock = clock_,
      .zone = absl::FixedTimeZone(2 * 60 * 60),
      .interrupt = interrupt_,
      .get_variable = [this](const std::string& name) -> std::optional<std::string> {
        const auto found = variables_.find(name);
        if (found == variables_.end()) return std::nullopt;
        return found->second;
      },
      .connect =
          [this](const std::string& target, const ConnectionSecurity& security) {
            security_ = security;
            return std::make_unique<Connection>(
                target, grpc::CreateChannel(channel_target_, grpc::InsecureChannelCredentials()));
          },
      .post =
          [this](const HttpRequest& request, absl::Duration timeout) {
            posted_.push_back(request);
            post_timeouts_.push_back(timeout);
            return answer_(request);
          },
      .get =
          [this](const HttpRequest& request, absl::Duration timeout) {
            asked_.push_back(request);
            post_timeouts_.push_back(timeout);
            return answer_(request);
          },
      .fresh_webhook_id = [&ids] { return absl::StrCat("wh_fresh_", ++ids); }};
  const int exit_code = RunCommandLine(arguments, environment);
  return {exit_code, out.str(), err_buffer.str()};
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace hookgate::cli
