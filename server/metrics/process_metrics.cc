#include "server/metrics/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"

namespace hookgate {
namespace {

constexpr MetricInfo kCpu = {"process_cpu_seconds_total", MetricType::kCounter,
                             "Processor time that the process has used, in user and system mode."};
constexpr MetricInfo kOpenFiles = {"process_open_fds", MetricType::kGauge,
                                   "File descriptors that are open."};
constexpr MetricInfo kMaxFiles = {"process_max_fds", MetricType::kGauge,
                                  "File descriptors that the process may have open."};
constexpr MetricInfo kVirtual = {"process_virtual_memory_bytes", MetricType::kGauge,
                                 "Address space of the process."};
constexpr MetricInfo kResident = {"process_resident_memory_bytes", MetricType::kGauge,
                                  "Memory that the process holds."};
constexpr MetricInfo kStart = {"process_start_time_seconds", MetricType::kGauge,
                               "When the process started, in seconds since the Unix epoch."};

// At most 1,024 bytes of it; "" if it cannot be read.
std::string ReadSmall(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  char bytes[1024];
  const ssize_t count = read(file, bytes, sizeof(bytes));
  close(file);
  return count > 0 ? std::string(bytes, static_cast<size_t>(count)) : "";
}

absl::optional<int64_t> CountOpenFiles() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return absl::nullopt;
  int64_t count = 0;
  while (const dirent* const entry = readdir(folder)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(folder);
  return count - 1;  // without the one that reads the folder
}

void AddMemory(MetricSamples& samples) {
  // "size resident shared text lib data dt", in pages (proc(5), statm).
  const std::string pages = ReadSmall("/proc/self/statm");
  const std::vector<std::string> fields = absl::StrSplit(pages, ' ');
  int64_t size = 0;
  int64_t resident = 0;
  if (fields.size() < 2 || !absl::SimpleAtoi(fields[0], &size) ||
      !absl::SimpleAtoi(fields[1], &resident)) {
    return;
  }
  const int64_t page_bytes = sysconf(_SC_PAGESIZE);
  samples.Add(kVirtual, {}, size * page_bytes);
  samples.Add(kResident, {}, resident * page_bytes);
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

void AddProcessMetrics(absl::Time start_time, MetricRegistry& metrics) {
  metrics.AddCollector({&kCpu, &kOpenFiles, &kMaxFiles, &kVirtual, &kResident, &kStart},
                       [start_time](MetricSamples& samples) {
                         rusage usage = {};
                         if (getrusage(RUSAGE_SELF, &usage) == 0) {
                           samples.Add(kCpu, {}, Seconds(usage.ru_utime) + Seconds(usage.ru_stime));
                         }
                         if (const auto open_files = CountOpenFiles(); open_files.has_value()) {
                           samples.Add(kOpenFiles, {}, *open_files);
                         }
                         rlimit limit = {};
                         if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                           samples.Add(kMaxFiles, {}, static_cast<int64_t>(limit.rlim_cur));
                         }
                         AddMemory(samples);
                         samples.Add(kStart, {},
                                     absl::ToDoubleSeconds(start_time - absl::UnixEpoch()));
                       });
}

}  // namespace hookgate
