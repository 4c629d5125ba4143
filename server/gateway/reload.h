// Which parts of the config may change while hookgated runs.
#ifndef HOOKGATE_SERVER_GATEWAY_RELOAD_H_
#define HOOKGATE_SERVER_GATEWAY_RELOAD_H_

#include "absl/status/status.h"
#include "hookgate/config/v1/config.pb.h"

namespace hookgate {

// Whether a gateway that runs with `running` can go on with `next`. Pure.
// FAILED_PRECONDITION names what differs, but may not. The message holds no secret.
absl::Status CheckReload(const hookgate::config::v1::Config& running,
                         const hookgate::config::v1::Config& next);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_RELOAD_H_
