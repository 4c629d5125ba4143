#include "tests/bench/contender.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "bench: " << what << "\n";
  std::exit(1);
}

bool CanConnect(const std::string& address) {
  const std::pair<std::string, std::string> host_port = absl::StrSplit(address, ':');
  int port = 0;
  sockaddr_in peer = {};
  peer.sin_family = AF_INET;
  inet_pton(AF_INET, host_port.first.c_str(), &peer.sin_addr);
  if (!absl::SimpleAtoi(host_port.second, &port)) return false;
  peer.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) == 0;
  close(fd);
  return connected;
}

std::string ReadLine(int fd) {
  std::string line;
  char c = 0;
  while (read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace

void PinToCore(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof(cores), &cores) != 0) {
    Die(absl::StrCat("core ", core, " is not there to run on: give --server_core and --load_core"));
  }
}

BenchFolder::BenchFolder(const std::string& parent) : path_(parent + "/hookgate_bench_XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) Die(parent + ": " + std::strerror(errno));
}

BenchFolder::~BenchFolder() { std::filesystem::remove_all(path_); }

std::unique_ptr<HookgatedProcess> StartGateway(const BenchSettings& settings,
                                               const std::string& data_dir) {
  const StartOnCore on_core(settings);
  auto gateway = HookgatedProcess::Start(data_dir, {"--log_level=warning"});
  if (gateway->admin().empty()) Die("hookgated did not start: " + gateway->log());
  return gateway;
}

ServerProcess::ServerProcess(const BenchSettings& settings,
                             const std::vector<std::string>& arguments, const std::string& address)
    : address_(address) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) Die("pipe");
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  {
    const StartOnCore on_core(settings);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int nowhere = open("/dev/null", O_RDWR);
      dup2(nowhere, STDIN_FILENO);
      dup2(address.empty() ? out[1] : nowhere, STDOUT_FILENO);
      execvp(argv[0], argv.data());
      _exit(127);
    }
  }
  close(out[1]);
  if (address_.empty()) address_ = ReadLine(out[0]);
  close(out[0]);
  const absl::Time end = absl::Now() + kPatience;
  while (!CanConnect(address_)) {
    if (absl::Now() > end) Die(absl::StrCat(arguments[0], " does not listen on ", address_));
    absl::SleepFor(absl::Milliseconds(10));
  }
}

ServerProcess::~ServerProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::unique_ptr<ServerProcess> StartBareServer(const BenchSettings& settings,
                                               const std::string& what) {
  return std::make_unique<ServerProcess>(
      settings, std::vector<std::string>{std::filesystem::read_symlink("/proc/self/exe").string(),
                                         absl::StrCat("--serve=", what)});
}

std::string FreeAddress() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Die("no free port");
  }
  close(fd);
  return absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
}

bool IsInPath(const std::string& program) {
  const char* const path = getenv("PATH");
  const std::vector<std::string> folders = absl::StrSplit(path == nullptr ? "" : path, ':');
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return access((folder + "/" + program).c_str(), X_OK) == 0;
  });
}

absl::Duration Percentile(std::vector<absl::Duration> durations, double fraction) {
  if (durations.empty()) return absl::InfiniteDuration();
  const auto nth = durations.begin() + static_cast<std::ptrdiff_t>(
                                           fraction * static_cast<double>(durations.size() - 1));
  std::nth_element(durations.begin(), nth, durations.end());
  return *nth;
}

std::vector<std::string> SignedRequests(int count) {
  std::mt19937_64 random(std::random_device{}());
  std::vector<std::string> requests;
  requests.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    // Random, as senders' ids are: each goes to another place of the index.
    SignedWebhook webhook{.webhook_id = absl::StrCat("wh_", absl::Hex(random(), absl::kZeroPad16),
                                                     absl::Hex(random(), absl::kZeroPad16)),
                          .body = BatchFailedBody(absl::StrCat("batch_", i))};
    requests.push_back(webhook.Request());
  }
  return requests;
}

void ExpectNoneRefused(int refused) {
  if (refused > 0) Die(absl::StrCat(refused, " webhooks were refused"));
}

}  // namespace hookgate
