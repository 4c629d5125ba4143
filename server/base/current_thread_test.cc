#include "server/base/current_thread.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace hookgate {
namespace {

std::string ReadOfThisThread(const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/self/task/", syscall(SYS_gettid), "/", name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// From Linux 6.12 on.
bool KernelHasSlices() {
  utsname kernel;
  int major = 0;
  int minor = 0;
  if (uname(&kernel) != 0) return false;
  const std::vector<absl::string_view> version =
      absl::StrSplit(kernel.release, absl::ByAnyChar(".-"));
  return version.size() >= 2 && absl::SimpleAtoi(version[0], &major) &&
         absl::SimpleAtoi(version[1], &minor) && (major > 6 || (major == 6 && minor >= 12));
}

// What /proc tells: "se.slice  :  1400000". 0 where the kernel does not.
int64_t SliceNs() {
  for (const absl::string_view line : absl::StrSplit(ReadOfThisThread("sched"), '\n')) {
    const std::pair<absl::string_view, absl::string_view> entry = absl::StrSplit(line, ':');
    int64_t value = 0;
    if (absl::StartsWith(entry.first, "se.slice") && absl::SimpleAtoi(entry.second, &value)) {
      return value;
    }
  }
  return 0;
}

TEST(CurrentThreadTest, NameIsSeen) {
  std::thread([] {
    NameThread("log writer");
    EXPECT_EQ(ReadOfThisThread("comm"), "log writer\n");
  }).join();
}

TEST(CurrentThreadTest, WhoGivesWayIsNicerThanTheOthersAndOnlyThisThread) {
  const auto nice = [] {
    return getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)));
  };
  const int before = nice();
  std::thread([&nice, before] {
    GiveWayToOthers();
    EXPECT_EQ(nice(), std::max(before, 10));
    GiveWayToOthers();
    EXPECT_EQ(nice(), std::max(before, 10));
  }).join();
  EXPECT_EQ(nice(), before);
}

TEST(CurrentThreadTest, SlicesAreShortAndTheRestIsAsItWas) {
  bool told = false;
  std::thread([&told] {
    const auto thread = static_cast<id_t>(syscall(SYS_gettid));
    const int nice = std::max(getpriority(PRIO_PROCESS, thread), 5);  // Nobody may lower it.
    ASSERT_EQ(setpriority(PRIO_PROCESS, thread, nice), 0);
    told = KernelHasSlices() && SliceNs() != 0;
    AskForShortTimeSlices();
    if (told) {
      EXPECT_EQ(SliceNs(), 100'000);
    }
    AskForShortTimeSlices(TimeSlice::kShort);
    if (told) {
      EXPECT_EQ(SliceNs(), 400'000);
    }
    EXPECT_EQ(getpriority(PRIO_PROCESS, thread), nice);
  }).join();
  if (!told) GTEST_SKIP() << "this kernel has no slices of a thread's own, or does not tell them";
}

}  // namespace
}  // namespace hookgate
