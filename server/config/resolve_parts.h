// The parts of ResolveOptions, one for each section of the config. Each checks its section, fills
// in the defaults, and adds every problem that it finds, with its key.
#ifndef HOOKGATE_SERVER_CONFIG_RESOLVE_PARTS_H_
#define HOOKGATE_SERVER_CONFIG_RESOLVE_PARTS_H_

#include "hookgate/config/v1/config.pb.h"
#include "server/config/options.h"
#include "server/config/problems.h"

namespace hookgate {

// A webhook that is queued, or delivered, is its raw body, and its event, which may hold each byte
// of the body thrice.
inline constexpr int64_t kQueuedBytesPerBodyByte = 4;

void ResolveHttp(const hookgate::config::v1::Config& config, Options& options, Problems& problems);

// After ResolveHttp, whose largest body has to be delivered.
void ResolveGrpc(const hookgate::config::v1::Config& config, Options& options, Problems& problems);

// After ResolveHttp, whose largest body has to be stored.
void ResolveStorage(const hookgate::config::v1::Config& config, Options& options,
                    Problems& problems);

// Reads the secrets, from files and `environment`.
void ResolveSources(const hookgate::config::v1::Config& config, Environment environment,
                    Options& options, Problems& problems);

// After ResolveSources, whose names and times it looks at.
void ResolveOperatorEvents(const hookgate::config::v1::Config& config, Options& options,
                           Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_RESOLVE_PARTS_H_
