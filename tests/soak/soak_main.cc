// A soak: see soak.h, and bazel/soak, which builds and starts this.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "tests/soak/soak.h"

ABSL_FLAG(double, minutes, 3,
          "How long. One half with restarts, the other without; then everything is read again.");
ABSL_FLAG(uint64_t, seed, 0, "Repeats a run's decisions. Default: a random one, which is printed.");
ABSL_FLAG(double, per_second, 2000,
          "Webhooks, of some 800 bytes on the disk each; nothing is removed before the end.");
ABSL_FLAG(double, life, 20, "Seconds that a short life takes, about.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where the log is made, and removed if all is well. On tmpfs a sync costs nothing.");

namespace hookgate {
namespace {

SoakPlan PlanFromFlags() {
  const double seconds = 60 * absl::GetFlag(FLAGS_minutes);
  const double per_second = absl::GetFlag(FLAGS_per_second);
  SoakPlan plan;
  plan.seed = absl::GetFlag(FLAGS_seed) != 0 ? absl::GetFlag(FLAGS_seed) : std::random_device{}();
  plan.answers_per_life = static_cast<int64_t>(absl::GetFlag(FLAGS_life) * per_second);
  plan.lives = std::max(2, static_cast<int>(seconds / 2 / absl::GetFlag(FLAGS_life)));
  plan.answers_of_last_life = static_cast<int64_t>(seconds / 2 * per_second);
  plan.at_most = absl::Seconds(seconds);
  plan.per_second = per_second;
  if (isatty(STDERR_FILENO) != 0) {
    plan.progress = [](const std::string& progress) { std::cerr << progress << std::endl; };
  }
  return plan;
}

int Main() {
  if (absl::GetFlag(FLAGS_minutes) <= 0 || absl::GetFlag(FLAGS_per_second) <= 0 ||
      absl::GetFlag(FLAGS_life) <= 0) {
    std::cerr << "soak: --minutes, --per_second and --life must be more than 0\n";
    return 2;
  }
  const std::string folder = absl::StrCat(absl::GetFlag(FLAGS_folder), "/hookgate_soak_", getpid());
  std::error_code error;
  if (!std::filesystem::create_directory(folder, error)) {
    std::cerr << "soak: " << folder << " cannot be made: " << error.message() << "\n";
    return 2;
  }
  setenv("TEST_TMPDIR", folder.c_str(), 1);  // Where the gateway's own lines go as well.
  SoakPlan plan = PlanFromFlags();
  plan.data_dir = folder + "/data";
  std::cout << "seed " << plan.seed << std::endl;
  const SoakReport report = RunSoak(plan);
  std::cout << report.Text();
  if (!report.IsGood()) {
    std::cout << "The log and the gateway's own lines are kept in " << folder << "\n";
    return 1;
  }
  std::filesystem::remove_all(folder, error);
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Runs a gateway under load, ends and kills it again and again, and compares what senders, "
      "readers and consumers know. Exit code 1 if anything was lost, doubled or out of order, or "
      "if memory or the write-ahead log grew beyond their bounds.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
