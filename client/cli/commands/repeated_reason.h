// Why a stream has broken, for people: while a gateway is away the same reason comes again and
// again.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_REPEATED_REASON_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_REPEATED_REASON_H_

#include <string>

#include "absl/status/status.h"

namespace hookgate::cli {

// Not thread-safe.
class RepeatedReason {
 public:
  // The message of `why`; "as before" if that was the one before.
  std::string Text(const absl::Status& why) {
    if (why == last_) return "as before";
    last_ = why;
    return std::string(why.message());
  }

  // The stream is open again.
  void Forget() { last_ = absl::OkStatus(); }

 private:
  absl::Status last_;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_REPEATED_REASON_H_
