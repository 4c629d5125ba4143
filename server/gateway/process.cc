#include "server/gateway/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace hookgate {
namespace {

// Of the two only the soft limit is set, so that it can be taken back.
void SetCoreLimit(bool allowed) {
  rlimit core = {};
  if (getrlimit(RLIMIT_CORE, &core) != 0) return;
  core.rlim_cur = allowed ? core.rlim_max : 0;
  setrlimit(RLIMIT_CORE, &core);
}

}  // namespace

void HideProcess() {
  umask(S_IRWXG | S_IRWXO);
  SetCoreLimit(false);
  prctl(PR_SET_DUMPABLE, 0);
}

void AllowCoreDumps() {
  SetCoreLimit(true);
  prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace hookgate
