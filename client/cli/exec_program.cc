#include "client/cli/exec_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/clock.h"

extern char** environ;

namespace hookgate::cli {
namespace {

constexpr size_t kMaxKept = 1 << 20;
constexpr size_t kMaxReason = 1024;

// Closed at the end of its scope.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// What this process holds of the three, and what the program gets.
struct Channels {
  Fd in, out, err;
  Fd program_in, program_out, program_err;
};

// The input is a socket, not a pipe: writing to one that nobody reads can be told to be an error
// and not a signal.
bool OpenChannels(Channels& channels) {
  int in[2], out[2], err[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) return false;
  channels.in = Fd(in[0]);
  channels.program_in = Fd(in[1]);
  shutdown(in[0], SHUT_RD);
  if (pipe2(out, O_CLOEXEC) != 0) return false;
  channels.out = Fd(out[0]);
  channels.program_out = Fd(out[1]);
  if (pipe2(err, O_CLOEXEC) != 0) return false;
  channels.err = Fd(err[0]);
  channels.program_err = Fd(err[1]);
  for (const Fd* fd : {&channels.in, &channels.out, &channels.err}) {
    fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  }
  return true;
}

// 0, or errno.
int Spawn(const std::string& command, const std::vector<std::string>& variables,
          const Channels& channels, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, channels.program_in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, channels.program_out.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, channels.program_err.get(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.push_back(*variable);
  }
  for (const std::string& variable : variables) {
    environment.push_back(const_cast<char*>(variable.c_str()));
  }
  environment.push_back(nullptr);
  const char* const arguments[] = {"sh", "-c", command.c_str(), nullptr};
  const int error = posix_spawn(&pid, "/bin/sh", &actions, &attributes,
                                const_cast<char* const*>(arguments), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// False: nothing more will come.
bool Drain(Fd& fd, std::string& kept) {
  char buffer[4096];
  while (true) {
    const ssize_t count = read(fd.get(), buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    const size_t room = kMaxKept - kept.size();
    kept.append(buffer, std::min(static_cast<size_t>(count), room));
  }
}

// False: all is written, or nobody reads it.
bool Feed(Fd& fd, const std::string& in, size_t& written) {
  while (written < in.size()) {
    const ssize_t count = send(fd.get(), in.data() + written, in.size() - written, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    written += static_cast<size_t>(count);
  }
  return false;
}

// Until the program has closed its outputs. False: the time was up.
bool Exchange(Channels& channels, const ProgramInput& input, ProgramResult& result) {
  const absl::Duration end = SystemClock().MonotonicNow() + input.timeout;
  size_t written = 0;
  while (channels.out.open() || channels.err.open()) {
    const absl::Duration left = end - SystemClock().MonotonicNow();
    if (left <= absl::ZeroDuration()) return false;
    pollfd polled[] = {{channels.in.get(), POLLOUT, 0},
                       {channels.out.get(), POLLIN, 0},
                       {channels.err.get(), POLLIN, 0}};
    const absl::Duration wait = std::min(left, absl::Hours(1));
    poll(polled, 3, static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1);
    if (polled[0].revents != 0 && !Feed(channels.in, input.in, written)) channels.in.Close();
    if (polled[1].revents != 0 && !Drain(channels.out, result.out)) channels.out.Close();
    if (polled[2].revents != 0 && !Drain(channels.err, result.err)) channels.err.Close();
  }
  return true;
}

std::string LastLine(const std::string& text) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty()) last = std::string(line.substr(0, kMaxReason));
  }
  return last;
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("killed by signal ", WTERMSIG(status));
  return absl::StrCat("exit status ", WEXITSTATUS(status));
}

}  // namespace

ProgramResult RunShell(const std::string& command, const ProgramInput& input) {
  ProgramResult result;
  Channels channels;
  pid_t pid = 0;
  const int error =
      OpenChannels(channels) ? Spawn(command, input.environment, channels, pid) : errno;
  if (error != 0) {
    result.reason = absl::StrCat("the program could not be started: ", std::strerror(error));
    return result;
  }
  channels.program_in.Close();
  channels.program_out.Close();
  channels.program_err.Close();
  const bool in_time = Exchange(channels, input, result);
  if (!in_time) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.succeeded = in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!in_time) {
    result.reason = absl::StrCat("killed after ", absl::FormatDuration(input.timeout));
  } else if (!result.succeeded) {
    result.reason = LastLine(result.err);
    if (result.reason.empty()) result.reason = HowItEnded(status);
  }
  return result;
}

}  // namespace hookgate::cli
