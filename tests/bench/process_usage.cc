#include "tests/bench/process_usage.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace hookgate {

namespace {

struct CpuTicks {
  int64_t user = 0;
  int64_t system = 0;
};

CpuTicks TicksOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(stat.rfind(')') + 2), ' ');
  CpuTicks ticks;
  if (!absl::SimpleAtoi(fields.at(11), &ticks.user) ||
      !absl::SimpleAtoi(fields.at(12), &ticks.system)) {
    return {};
  }
  return ticks;
}

absl::Duration FromTicks(int64_t ticks) {
  return absl::Seconds(static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

absl::Duration CpuTime(pid_t pid) {
  const CpuTicks ticks = TicksOf(pid);
  return FromTicks(ticks.user + ticks.system);
}

absl::Duration UserCpuTime(pid_t pid) { return FromTicks(TicksOf(pid).user); }

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

BothCores::BothCores(pid_t server)
    : server_(server),
      start_(absl::Now()),
      server_before_(CpuTime(server)),
      load_before_(CpuTime(getpid())) {}

absl::Duration BothCores::elapsed() const { return absl::Now() - start_; }

std::string BothCores::Describe(double deliveries) const {
  const absl::Duration elapsed = this->elapsed();
  const absl::Duration server = CpuTime(server_) - server_before_;
  const absl::Duration load = CpuTime(getpid()) - load_before_;
  return absl::StrFormat(
      "%.3f us of CPU each, the server's core busy for %.0f %%, the subscribers' for %.0f %%",
      absl::ToDoubleMicroseconds(server) / deliveries, 100 * absl::FDivDuration(server, elapsed),
      100 * absl::FDivDuration(load, elapsed));
}

}  // namespace hookgate
