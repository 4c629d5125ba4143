// How fast a real gateway takes webhooks in and delivers them, on this machine, from loopback.
//
//   bazel run -c opt //tests/bench:gateway_bench
//
// Only ratios within one run mean something: machines differ, and are busy with other things. So
// there are lines for what the disk, HTTP and gRPC alone can do, each line of the gateway has its
// ratio to one of them, and its CPU time.

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/bench/bare_grpc_server.h"
#include "tests/bench/bare_http_server.h"
#include "tests/bench/consumers.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/signed_webhook.h"

ABSL_FLAG(int, webhooks, 20'000, "How many webhooks each line stores or replays.");
ABSL_FLAG(int, connections, 64, "Keep-alive connections that send webhooks.");
ABSL_FLAG(std::vector<std::string>, subscribers, (std::vector<std::string>{"1", "10", "100"}),
          "How many subscribers; one group of lines for each.");
ABSL_FLAG(int, idle_streams, 10'000, "Measures what so many silent streams cost; 0: does not.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where the log is made, and removed afterwards. On tmpfs a sync costs nothing, and the "
          "numbers say nothing.");
ABSL_FLAG(std::string, output, "text", "text, or json: one object a line.");

namespace hookgate {
namespace {

// A folder that is removed in the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent) : path_(parent + "/gateway_bench_XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) {
      std::perror(("gateway_bench: " + parent).c_str());
      std::exit(1);
    }
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One line of the result. Infinite durations and zeros stand for what there is not.
struct Line {
  std::string what;
  double per_second = 0;
  double ratio = 0;  // to `per_second` of the line that it is compared with
  absl::Duration p50 = absl::InfiniteDuration();
  absl::Duration p99 = absl::InfiniteDuration();
  double gateway_cpu_micros_each = 0;
};

absl::Duration Percentile(std::vector<absl::Duration> durations, double fraction) {
  if (durations.empty()) return absl::InfiniteDuration();
  const auto nth = durations.begin() + static_cast<std::ptrdiff_t>(
                                           fraction * static_cast<double>(durations.size() - 1));
  std::nth_element(durations.begin(), nth, durations.end());
  return *nth;
}

// "-", or in JSON null, if there is none.
std::string Milliseconds(absl::Duration duration, const char* none) {
  return duration == absl::InfiniteDuration()
             ? none
             : absl::StrFormat("%.2f", absl::ToDoubleMilliseconds(duration));
}
std::string Number(double number, const char* none) {
  return number == 0 ? none : absl::StrFormat("%.2f", number);
}

void PrintHeading() {
  if (absl::GetFlag(FLAGS_output) == "json") return;
  absl::PrintF("%-44s %10s %6s %8s %8s %14s\n", "", "per second", "ratio", "p50 ms", "p99 ms",
               "CPU us for one");
}

void Print(const Line& line) {
  if (absl::GetFlag(FLAGS_output) == "json") {
    absl::PrintF(
        "{\"what\":\"%s\",\"per_second\":%.0f,\"ratio\":%s,\"p50_ms\":%s,\"p99_ms\":%s,"
        "\"gateway_cpu_us_each\":%s}\n",
        line.what, line.per_second, Number(line.ratio, "null"), Milliseconds(line.p50, "null"),
        Milliseconds(line.p99, "null"), Number(line.gateway_cpu_micros_each, "null"));
  } else {
    absl::PrintF("%-44s %10.0f %6s %8s %8s %14s\n", line.what, line.per_second,
                 Number(line.ratio, ""), Milliseconds(line.p50, "-"), Milliseconds(line.p99, "-"),
                 Number(line.gateway_cpu_micros_each, "-"));
  }
  std::fflush(stdout);
}

// User and system time that the process has used.
absl::Duration CpuTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(stat.rfind(')') + 2), ' ');
  int64_t user = 0;
  int64_t system = 0;
  if (!absl::SimpleAtoi(fields.at(11), &user) || !absl::SimpleAtoi(fields.at(12), &system))
    return {};
  return absl::Seconds(static_cast<double>(user + system) /
                       static_cast<double>(sysconf(_SC_CLK_TCK)));
}

// What the disk can do: one small write and its sync after the other.
void MeasureDisk(const std::string& folder) {
  const int fd = open((folder + "/probe").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  std::vector<absl::Duration> durations;
  const absl::Time start = absl::Now();
  while (absl::Now() - start < absl::Seconds(1)) {
    const absl::Time before = absl::Now();
    if (write(fd, page.data(), page.size()) < 0 || fdatasync(fd) != 0) break;
    durations.push_back(absl::Now() - before);
  }
  close(fd);
  Print({.what = "the disk alone: write 4 KiB, sync",
         .per_second =
             static_cast<double>(durations.size()) / absl::ToDoubleSeconds(absl::Now() - start),
         .p50 = Percentile(durations, 0.5),
         .p99 = Percentile(durations, 0.99)});
}

std::vector<std::string> MakeRequests() {
  std::vector<std::string> requests;
  for (int i = 0; i < absl::GetFlag(FLAGS_webhooks); ++i) {
    requests.push_back(SignedWebhook{.body = BatchFailedBody(absl::StrCat("batch_", i))}.Request());
  }
  return requests;
}

// What HTTP alone can do; returns the requests per second.
double MeasureBareHttp() {
  const BareHttpServer server;
  const LoadResult load =
      RunLoad(server.address(), absl::GetFlag(FLAGS_connections), MakeRequests());
  const double per_second =
      static_cast<double>(load.latencies.size()) / absl::ToDoubleSeconds(load.elapsed);
  Print({.what = "HTTP alone: answer without any work",
         .per_second = per_second,
         .p50 = Percentile(load.latencies, 0.5),
         .p99 = Percentile(load.latencies, 0.99)});
  return per_second;
}

// Stores webhooks while `subscribers` receive them. Returns the webhooks per second.
//   compared_with  what the ratio is to
double MeasureIngest(const HookgatedProcess& gateway, int subscribers, double compared_with) {
  const std::vector<std::string> requests = MakeRequests();
  const auto count = static_cast<double>(requests.size());
  Subscribers live(gateway.grpc(), subscribers, Subscribers::Start::kLatest,
                   static_cast<int64_t>(requests.size()));
  const absl::Duration cpu_before = CpuTime(gateway.pid());
  const absl::Time start = absl::Now();
  const LoadResult load = RunLoad(gateway.http(), absl::GetFlag(FLAGS_connections), requests);
  if (load.refused > 0) {
    std::cerr << "gateway_bench: " << load.refused << " webhooks were refused\n";
    std::exit(1);
  }
  live.Wait();
  const double elapsed = absl::ToDoubleSeconds(absl::Now() - start);
  const double cpu_micros = absl::ToDoubleMicroseconds(CpuTime(gateway.pid()) - cpu_before);
  const double per_second = count / absl::ToDoubleSeconds(load.elapsed);
  Print({.what = absl::StrCat("webhooks stored, ", subscribers, " live subscribers"),
         .per_second = per_second,
         .ratio = per_second / compared_with,
         .p50 = Percentile(load.latencies, 0.5),
         .p99 = Percentile(load.latencies, 0.99),
         .gateway_cpu_micros_each = cpu_micros / count});
  if (subscribers > 0) {
    Print({.what = "  deliveries to them; receipt to arrival",
           .per_second = count * subscribers / elapsed,
           .p50 = Percentile(live.lags(), 0.5),
           .p99 = Percentile(live.lags(), 0.99),
           .gateway_cpu_micros_each = cpu_micros / (count * subscribers)});
  }
  return per_second;
}

// Deliveries per second to `subscribers` that start from the beginning.
double MeasureReplayFrom(const std::string& address, int subscribers) {
  const int64_t events = absl::GetFlag(FLAGS_webhooks);
  const absl::Time start = absl::Now();
  Subscribers replaying(address, subscribers, Subscribers::Start::kEarliest, events);
  replaying.Wait();
  return static_cast<double>(events) * subscribers / absl::ToDoubleSeconds(absl::Now() - start);
}

// Has consumers of durable subscriptions receive and ack what is stored already. A lease and an ack
// of each event are committed.
//   subscribe_per_second  what one Subscribe stream received in this run
void MeasureConsume(const HookgatedProcess& gateway, double subscribe_per_second) {
  const int64_t events = absl::GetFlag(FLAGS_webhooks);
  for (const int consumers : {1, 4}) {
    const absl::Duration cpu_before = CpuTime(gateway.pid());
    const absl::Duration elapsed =
        ConsumeAll(gateway.grpc(), absl::StrCat("bench-", consumers), consumers, events);
    const double per_second = static_cast<double>(events) / absl::ToDoubleSeconds(elapsed);
    Print({.what = absl::StrCat("deliveries acked, ", consumers, " consumers"),
           .per_second = per_second,
           .ratio = per_second / subscribe_per_second,
           .gateway_cpu_micros_each =
               absl::ToDoubleMicroseconds(CpuTime(gateway.pid()) - cpu_before) /
               static_cast<double>(events)});
  }
}

// Delivers what is stored already, beside what gRPC alone can do. Returns the deliveries per
// second.
double MeasureReplay(const HookgatedProcess& gateway, int subscribers) {
  constexpr int64_t kEventsPerFrame = 512;  // as the gateway sends when there is much to send
  const BareGrpcServer bare(absl::GetFlag(FLAGS_webhooks), kEventsPerFrame);
  const double bare_per_second = MeasureReplayFrom(bare.address(), subscribers);
  Print({.what = absl::StrCat("gRPC alone: ready frames, ", subscribers, " subscribers"),
         .per_second = bare_per_second});
  const absl::Duration cpu_before = CpuTime(gateway.pid());
  const double per_second = MeasureReplayFrom(gateway.grpc(), subscribers);
  const double deliveries = static_cast<double>(absl::GetFlag(FLAGS_webhooks)) * subscribers;
  Print({.what = absl::StrCat("deliveries from the log, ", subscribers, " subscribers"),
         .per_second = per_second,
         .ratio = per_second / bare_per_second,
         .gateway_cpu_micros_each =
             absl::ToDoubleMicroseconds(CpuTime(gateway.pid()) - cpu_before) / deliveries});
  return per_second;
}

// Resident memory of the process.
int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Streams on which nothing happens, and then one webhook that reaches all of them.
void MeasureIdleStreams(const HookgatedProcess& gateway, int streams) {
  constexpr int kStreamsPerConnection = 100;
  constexpr absl::Duration kWatched = absl::Seconds(5);
  const int64_t memory_before = ResidentBytes(gateway.pid());
  Subscribers idle(gateway.grpc(), streams, Subscribers::Start::kLatest, /*events=*/1,
                   kStreamsPerConnection);
  const int64_t memory = ResidentBytes(gateway.pid()) - memory_before;
  const absl::Duration cpu_before = CpuTime(gateway.pid());
  absl::SleepFor(kWatched);
  const absl::Duration cpu = CpuTime(gateway.pid()) - cpu_before;
  const absl::Time start = absl::Now();
  const std::vector<std::string> one = {SignedWebhook{}.Request()};
  RunLoad(gateway.http(), /*connections=*/1, one);
  idle.Wait();
  const double reach_ms = absl::ToDoubleMilliseconds(absl::Now() - start);
  const double kib_each = static_cast<double>(memory) / 1024 / streams;
  const double cpu_percent = 100 * absl::FDivDuration(cpu, kWatched);
  absl::PrintF(absl::GetFlag(FLAGS_output) == "json"
                   ? "{\"what\":\"idle streams\",\"streams\":%d,\"kib_each\":%.1f,"
                     "\"cpu_percent\":%.1f,\"webhook_to_all_ms\":%.0f}\n"
                   : "%d idle streams: %.1f KiB each, %.1f %% of a core; a webhook reached all of "
                     "them in %.0f ms\n",
               streams, kib_each, cpu_percent, reach_ms);
}

int Main() {
  const TemporaryFolder folder(absl::GetFlag(FLAGS_folder));
  PrintHeading();
  MeasureDisk(folder.path());
  int run = 0;
  const auto fresh_gateway = [&] {
    return HookgatedProcess::Start(absl::StrCat(folder.path(), "/data_", ++run),
                                   {"--log_level=warning"});
  };
  const double bare = MeasureBareHttp();
  const double unwatched = MeasureIngest(*fresh_gateway(), 0, bare);
  for (const std::string& text : absl::GetFlag(FLAGS_subscribers)) {
    int subscribers = 0;
    if (!absl::SimpleAtoi(text, &subscribers) || subscribers < 1) {
      std::cerr << "gateway_bench: --subscribers: \"" << text << "\" is no number from 1\n";
      return 2;
    }
    const auto gateway = fresh_gateway();
    MeasureIngest(*gateway, subscribers, unwatched);
    const double replayed = MeasureReplay(*gateway, subscribers);
    if (subscribers == 1) MeasureConsume(*gateway, replayed);
  }
  if (absl::GetFlag(FLAGS_idle_streams) > 0) {
    MeasureIdleStreams(*fresh_gateway(), absl::GetFlag(FLAGS_idle_streams));
  }
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures a real gateway on this machine: ingest and delivery.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
