#include "server/gateway/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr int64_t kLeastForGrpc = 64;
constexpr int64_t kLeastForAdmin = 16;
constexpr int64_t kLeastForHttp = 16;
constexpr char kRemedy[] =
    "raise the limit (ulimit -n, or LimitNOFILE= of systemd), or set a lower number";

}  // namespace

int64_t RaiseDescriptorLimit() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  const rlimit raised = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  constexpr rlim_t kMost = int64_t{1} << 40;  // "unlimited", too
  return static_cast<int64_t>(std::min(files.rlim_cur, kMost));
}

void FitDescriptors(int64_t limit, Options& options, Problems& problems) {
  const int64_t free = limit - kDescriptorsOfProcess - kDescriptorsOfRefusals;
  int& grpc_connections = options.rpc.transport.max_connections;
  const int64_t least_for_grpc =
      std::min<int64_t>(std::max(limit / 4, kLeastForGrpc), grpc_connections);
  const int64_t for_admin = std::min(std::max(limit / 16, kLeastForAdmin),
                                     static_cast<int64_t>(options.admin.max_connections));
  const int64_t for_http = free - least_for_grpc - for_admin;
  if (for_http < std::min<int64_t>(kLeastForHttp, options.http.max_connections)) {
    // What is left of `limit` after the shares of gRPC and admin is 11/16 of it.
    const int64_t least =
        16 * (kDescriptorsOfProcess + kDescriptorsOfRefusals + kLeastForHttp) / 11 + 2;
    problems.AddError("ulimit -n", absl::StrCat("this process may open only ", limit,
                                                " files, too few to serve; it must be at least ",
                                                least, " (LimitNOFILE= of systemd)"));
    return;
  }
  options.admin.max_connections = static_cast<int>(for_admin);
  const int64_t wanted = options.http.max_connections;
  if (wanted > for_http) {
    options.http.max_connections = static_cast<int>(for_http);
    problems.AddWarning(
        "http.max_connections",
        absl::StrCat("is ", wanted, ", and this process may open only ", limit,
                     " files, of which it keeps ", limit - for_http,
                     " for gRPC, readers and itself: lowered to ", for_http, "; ", kRemedy));
  }
  const int64_t for_grpc = free - for_admin - options.http.max_connections;
  if (grpc_connections > for_grpc) {
    problems.AddWarning(
        "grpc.limits.max_connections",
        absl::StrCat("is ", grpc_connections, ", and this process may open only ", limit,
                     " files, of which it keeps ", limit - for_grpc,
                     " for webhooks, readers and itself: lowered to ", for_grpc,
                     ", each with up to grpc.limits.max_calls_per_connection streams; ", kRemedy));
    grpc_connections = static_cast<int>(for_grpc);
  }
}

}  // namespace hookgate
