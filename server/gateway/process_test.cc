#include "server/gateway/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace hookgate {
namespace {

rlimit CoreLimit() {
  rlimit core = {};
  EXPECT_EQ(getrlimit(RLIMIT_CORE, &core), 0);
  return core;
}

// A crash wrote secrets and bodies into a core file, and files were for everybody to read.
TEST(ProcessTest, NeitherMemoryNorFilesAreForOthersUnlessAskedFor) {
  const rlimit before = CoreLimit();
  HideProcess();
  EXPECT_EQ(prctl(PR_GET_DUMPABLE), 0);
  EXPECT_EQ(CoreLimit().rlim_cur, 0u);
  AllowCoreDumps();
  EXPECT_EQ(prctl(PR_GET_DUMPABLE), 1);
  EXPECT_EQ(CoreLimit().rlim_cur, before.rlim_max);
  // Files stay its owner's.
  EXPECT_EQ(umask(0), 077u);
}

}  // namespace
}  // namespace hookgate
