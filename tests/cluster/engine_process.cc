#include "tests/cluster/engine_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kTryEveryMilliseconds = 20;
constexpr uint64_t kSmallDiskBytes = 768 << 20;  // takes as much memory as is in it
constexpr int kTries = 60'000 / kTryEveryMilliseconds;

pid_t Spawn(const std::vector<std::string>& command, int out) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::string path = kPath;
  std::string locale = "LC_ALL=C";
  char* environment[] = {path.data(), locale.data(), nullptr};
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    // From here on as any service is started.
    signal(SIGPIPE, SIG_DFL);
    environ = environment;  // its PATH is searched
    execvp(words[0], words.data());
    _exit(127);
  }
  close(in);
  return pid;
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// All processes by their parents.
std::multimap<pid_t, pid_t> Children() {
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(')');  // the name may hold anything
    if (name_end == std::string::npos) continue;
    std::istringstream fields(line.substr(name_end + 1));
    std::string state;
    pid_t parent = 0;
    if (fields >> state >> parent) children.emplace(parent, pid);
  }
  return children;
}

void AddDescendants(const std::multimap<pid_t, pid_t>& children, pid_t pid,
                    std::vector<pid_t>& found) {
  for (auto [child, end] = children.equal_range(pid); child != end; ++child) {
    found.push_back(child->second);
    AddDescendants(children, child->second, found);
  }
}

}  // namespace

std::unique_ptr<EngineProcess> EngineProcess::Start(const std::vector<std::string>& command,
                                                    const std::string& log_path) {
  const int out = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t pid = Spawn(command, out);
  close(out);
  if (pid < 0) return nullptr;
  return std::unique_ptr<EngineProcess>(new EngineProcess(pid));
}

EngineProcess::~EngineProcess() { Kill(); }

void EngineProcess::SignalAll(int signal) {
  if (pid_ == 0) return;
  std::vector<pid_t> pids = {pid_};
  AddDescendants(Children(), pid_, pids);
  for (const pid_t pid : pids) kill(pid, signal);
}

void EngineProcess::Signal(int signal) {
  if (pid_ != 0) kill(pid_, signal);
}

int EngineProcess::Wait() {
  if (pid_ == 0) return -1;
  return WaitFor(std::exchange(pid_, 0));
}

void EngineProcess::Kill() {
  SignalAll(SIGKILL);
  Wait();
}

bool EngineProcess::Runs() {
  if (pid_ == 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  pid_ = 0;
  return false;
}

int RunToEnd(const std::vector<std::string>& command, const std::string& log_path) {
  const auto process = EngineProcess::Start(command, log_path);
  return process == nullptr ? -1 : process->Wait();
}

std::string OutputOf(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  const pid_t pid = Spawn(command, ends[1]);
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t size = 0; (size = read(ends[0], buffer, sizeof buffer)) > 0;) {
    output.append(buffer, static_cast<size_t>(size));
  }
  close(ends[0]);
  return pid > 0 && WaitFor(pid) == 0 ? output : "";
}

bool BecomesTrue(const std::function<bool()>& condition) {
  for (int i = 0; i < kTries; ++i) {
    if (condition()) return true;
    poll(nullptr, 0, kTryEveryMilliseconds);
  }
  return condition();
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

EngineFolder::EngineFolder(const std::string& base) {
  std::string path = absl::StrCat(base, "/hookgate-engine-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) return;
  path_ = path;
  std::error_code error;
  std::filesystem::permissions(path_, std::filesystem::perms(0755), error);
}

EngineFolder::~EngineFolder() {
  std::error_code error;
  if (!path_.empty()) std::filesystem::remove_all(path_, error);
}

std::unique_ptr<SmallDisk> SmallDisk::Mount(const std::string& path) {
  // Nobody else sees what is mounted, and nothing is left behind after a kill -9.
  static const bool alone =
      unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  struct stat parent = {};
  if (!alone || stat(std::filesystem::path(path).parent_path().c_str(), &parent) != 0) {
    return nullptr;
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return nullptr;
  const std::string options = absl::StrCat(
      "size=", kSmallDiskBytes, ",mode=0700,uid=", parent.st_uid, ",gid=", parent.st_gid);
  if (mount("hookgate-test", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return nullptr;
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(path));
}

SmallDisk::~SmallDisk() { umount2(path_.c_str(), MNT_DETACH); }

bool SmallDisk::SetSize(uint64_t bytes) const {
  return mount("hookgate-test", path_.c_str(), "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV,
               absl::StrCat("size=", bytes).c_str()) == 0;
}

bool SmallDisk::Fill() {
  // Less than what is there is refused, and somebody may write between the look and the change.
  for (int i = 0; i < kTries; ++i) {
    struct statvfs now = {};
    if (statvfs(path_.c_str(), &now) != 0) return false;
    if (SetSize((now.f_blocks - now.f_bfree) * now.f_frsize)) return true;
  }
  return false;
}

bool SmallDisk::MakeRoom() { return SetSize(kSmallDiskBytes); }

bool FlipABitOf(const std::string& path, int64_t offset) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  char byte = 0;
  bool done = pread(fd, &byte, 1, offset) == 1;
  byte = static_cast<char>(byte ^ 1);
  done = done && pwrite(fd, &byte, 1, offset) == 1;
  close(fd);
  return done;
}

}  // namespace hookgate
