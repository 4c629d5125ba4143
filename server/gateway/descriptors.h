// How the file descriptors of the process are shared out.
//
// A process without a free descriptor cannot accept. So whoever can reach one port must not be able
// to use them up: its connections get a share, and the rest stays free for the other ports.
#ifndef HOOKGATE_SERVER_GATEWAY_DESCRIPTORS_H_
#define HOOKGATE_SERVER_GATEWAY_DESCRIPTORS_H_

#include <cstdint>

#include "server/config/options.h"
#include "server/config/problems.h"

namespace hookgate {

// What the process itself needs: the log with its readers, listeners, threads' event loops, files
// that are read again; about 60 were counted.
inline constexpr int64_t kDescriptorsOfProcess = 96;
// Connections above their limits that are being told so, or closed, of all ports.
inline constexpr int64_t kDescriptorsOfRefusals = 128;

// Raises the limit of open files (ulimit -n) to the hard one, and returns what it is then.
int64_t RaiseDescriptorLimit();

// Lowers what does not fit into `limit` descriptors, with a warning that has the numbers; an error
// if so few are left that nothing could be served. Pure.
//   for admin   a sixteenth of `limit`, at least 16
//   for HTTP    what is left by admin, the process, and a quarter of `limit` for gRPC (at least 64)
//   for gRPC    what is left by all of these
void FitDescriptors(int64_t limit, Options& options, Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_DESCRIPTORS_H_
