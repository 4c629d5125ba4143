#include "client/cli/commands/exec_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/cli/commands/program_keeper.h"
#include "common/clock.h"

extern char** environ;

namespace hookgate::cli {
namespace {

constexpr size_t kMaxKept = 1 << 20;
constexpr size_t kMaxReason = 1024;
// How long output is still read after the program's end.
constexpr absl::Duration kOutputGrace = absl::Seconds(1);
// How often it looks where nothing can wake it: for what is left of a group, and for everything on
// a kernel without pidfd_open.
constexpr absl::Duration kLook = absl::Milliseconds(20);
// Of shells: found but not executable, and not found.
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

absl::Duration Now() { return SystemClock().MonotonicNow(); }

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

// Not among 0, 1 and 2, if this process was started without one of them: the program's own are
// put there one after the other.
bool MoveAside(int& fd) {
  if (fd > STDERR_FILENO) return true;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  close(fd);
  fd = moved;
  return moved >= 0;
}

bool OpenPipe(Fd& reader, Fd& writer) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const bool first_aside = MoveAside(ends[0]);
  const bool aside = MoveAside(ends[1]) && first_aside;  // Both are moved, whatever became of one.
  reader = Fd(ends[0]);
  writer = Fd(ends[1]);
  return aside;
}

// What this process holds of the three, and what the program gets. All are pipes: programs open
// /dev/stdin, which a socket does not allow.
struct Channels {
  Fd in, out, err;
  Fd program_in, program_out, program_err;
  // On which the new process says with which errno it could not become the program.
  Fd failure, program_failure;
};

bool OpenChannels(Channels& channels) {
  if (!OpenPipe(channels.program_in, channels.in) ||
      !OpenPipe(channels.out, channels.program_out) ||
      !OpenPipe(channels.err, channels.program_err) ||
      !OpenPipe(channels.failure, channels.program_failure)) {
    return false;
  }
  for (const Fd* fd : {&channels.in, &channels.out, &channels.err}) {
    fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  }
  return true;
}

absl::string_view NameOf(absl::string_view variable) {
  return variable.substr(0, variable.find('='));
}

// This process's own variables without those that are withheld or replaced, and the new ones.
std::vector<char*> EnvironmentOf(const ProgramInput& input) {
  const auto dropped = [&input](absl::string_view name) {
    for (const std::string& withheld : input.withheld) {
      if (name == withheld) return true;
    }
    for (const std::string& variable : input.environment) {
      if (name == NameOf(variable)) return true;
    }
    return false;
  };
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!dropped(NameOf(*variable))) environment.push_back(*variable);
  }
  for (const std::string& variable : input.environment) {
    environment.push_back(const_cast<char*>(variable.c_str()));
  }
  environment.push_back(nullptr);
  return environment;
}

// All that the new process needs, made before it is: it must not allocate.
struct Launch {
  const char* arguments[5];
  std::vector<char*> environment;
  const Channels& channels;
  const ProgramKeeper& keeper;
  pid_t parent;
};

// The new process until it becomes the shell. Only async-signal-safe calls. All signals are
// blocked.
[[noreturn]] void BecomeShell(const Launch& launch) {
  setpgid(0, 0);
  launch.keeper.Watch(getpid());
  signal(SIGPIPE, SIG_IGN);  // Drops the one that came if the keeper is gone.
  // For the moment until the keeper has read it, and if there is none. It is the end of the thread
  // that counts, which waits here for the program.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launch.parent) _exit(kNotFound);
  dup2(launch.channels.program_in.get(), STDIN_FILENO);
  dup2(launch.channels.program_out.get(), STDOUT_FILENO);
  dup2(launch.channels.program_err.get(), STDERR_FILENO);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve("/bin/sh", const_cast<char* const*>(launch.arguments), launch.environment.data());
  const int error = errno;
  const ssize_t told = write(launch.channels.program_failure.get(), &error, sizeof(error));
  _exit(told > 0 ? kNotFound : kNotExecutable);
}

// 0, or errno.
int Spawn(const std::string& command, const ProgramInput& input, Channels& channels, pid_t& pid) {
  if (command.find('\0') != std::string::npos) return EINVAL;
  const Launch launch = {{"sh", "-u", "-c", command.c_str(), nullptr},
                         EnvironmentOf(input),
                         channels,
                         ProgramKeeper::Get(),
                         getpid()};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid = fork();
  if (pid == 0) BecomeShell(launch);
  const int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return fork_error;
  channels.program_in.Close();
  channels.program_out.Close();
  channels.program_err.Close();
  channels.program_failure.Close();
  // Ends when the shell runs: by then the process group is there.
  int error = 0;
  ssize_t size = 0;
  while ((size = read(channels.failure.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  channels.failure.Close();
  return size == static_cast<ssize_t>(sizeof(error)) ? error : 0;
}

// While it lives, SIGPIPE is not delivered to this thread, and one that came because of it is taken
// away: writing to a pipe that nobody reads shall be an error and not a signal.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec at_once = {};
    if (!was_pending_) sigtimedwait(&sigpipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t sigpipe_, before_;
  bool was_pending_ = false;
};

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
    // One that never stops must not keep its end, or its time, from being seen.
    if (static_cast<size_t>(count) < sizeof(buffer) || room == 0) return true;
  }
}

// False: all is written, or nobody reads it.
bool Feed(Fd& fd, const std::string& in, size_t& written) {
  const WithoutSigpipe without;
  while (written < in.size()) {
    const ssize_t count = write(fd.get(), in.data() + written, in.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    written += static_cast<size_t>(count);
  }
  return false;
}

std::string LastLine(const std::string& text) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty()) last = std::string(line.substr(0, kMaxReason));
  }
  return last;
}

// Whether the process `pid` is of `group`, and not only what is left of one that ended.
bool IsAliveIn(pid_t group, absl::string_view pid) {
  char stat[512];
  const int file = open(absl::StrCat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t size = read(file, stat, sizeof(stat));
  close(file);
  // "PID (NAME) STATE PARENT GROUP ...", and the name may hold anything.
  const absl::string_view text(stat, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t name_end = text.rfind(')');
  if (name_end == absl::string_view::npos) return false;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(text.substr(name_end + 1), ' ', absl::SkipEmpty());
  int of_group = 0;
  return fields.size() > 2 && fields[0] != "Z" && fields[0] != "X" &&
         absl::SimpleAtoi(fields[2], &of_group) && of_group == group;
}

// kill would not tell: the leader, which is not waited for yet, belongs to it.
bool AnyoneLeftOf(pid_t group) {
  DIR* const processes = opendir("/proc");
  if (processes == nullptr) return false;
  bool found = false;
  while (const dirent* entry = readdir(processes)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(entry->d_name[0]))) continue;
    if ((found = IsAliveIn(group, entry->d_name))) break;
  }
  closedir(processes);
  return found;
}

}  // namespace

// One program from its start to the end of what it has left. The leader is waited for last, so that
// its number stays the group's.
class ProgramRun {
 public:
  ProgramRun(const ProgramInput& input, const ProgramStop* stop, Channels channels, pid_t pid)
      : input_(input),
        stop_(stop),
        channels_(std::move(channels)),
        pid_(pid),
        process_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))),
        timeout_at_(Now() + input.timeout) {}

  ProgramResult Run() {
    while (!Over()) {
      Wait();
      if (state_ == State::kRunning || state_ == State::kTerminated) LookForExit();
      Advance();
    }
    return Finish();
  }

 private:
  enum class State {
    kRunning,     // Until it exits, its time is up or a stop is requested.
    kTerminated,  // Was sent SIGTERM; until its group is gone, or the grace has passed.
    kKilled,      // Was sent SIGKILL; until it has exited.
    kExited,      // By itself; until its output ends, or the grace has passed.
  };
  using End = ProgramResult::End;

  bool StopRequested() const { return stop_ != nullptr && stop_->requested_; }

  bool Over() const {
    switch (state_) {
      case State::kRunning:
        return false;
      case State::kTerminated:
        return exited_ && !AnyoneLeftOf(pid_);
      case State::kKilled:
        return exited_;
      case State::kExited:
        return (!channels_.out.open() && !channels_.err.open()) || Now() >= grace_ends_;
    }
    return true;
  }

  absl::Duration NextLook() const {
    absl::Duration next = absl::Hours(1);
    if (state_ == State::kRunning) next = std::min(next, timeout_at_ - Now());
    if (state_ == State::kTerminated || state_ == State::kExited) {
      next = std::min(next, grace_ends_ - Now());
    }
    const bool deaf = !process_.open() || (stop_ != nullptr && stop_->event_ < 0);
    if (deaf || (state_ == State::kTerminated && exited_)) next = std::min(next, kLook);
    return std::max(next, absl::ZeroDuration());
  }

  // Until something has happened, and takes part in it: output, input.
  void Wait() {
    const bool listens = stop_ != nullptr && state_ == State::kRunning;
    pollfd polled[] = {{channels_.in.get(), POLLOUT, 0},
                       {channels_.out.get(), POLLIN, 0},
                       {channels_.err.get(), POLLIN, 0},
                       {exited_ ? -1 : process_.get(), POLLIN, 0},
                       {listens ? stop_->event_ : -1, POLLIN, 0}};
    poll(polled, 5, static_cast<int>(absl::ToInt64Milliseconds(NextLook())) + 1);
    if (polled[0].revents != 0 && !Feed(channels_.in, input_.in, written_)) channels_.in.Close();
    if (polled[1].revents != 0 && !Drain(channels_.out, result_.out)) channels_.out.Close();
    if (polled[2].revents != 0 && !Drain(channels_.err, result_.err)) channels_.err.Close();
  }

  void LookForExit() {
    siginfo_t info = {};
    if (exited_) return;
    const int failed = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    exited_ = failed != 0 ? errno == ECHILD : info.si_pid == pid_;
  }

  void Advance() {
    const absl::Duration now = Now();
    switch (state_) {
      case State::kRunning:
        if (exited_) {
          state_ = State::kExited;
          grace_ends_ = now + kOutputGrace;
        } else if (StopRequested() || now >= timeout_at_) {
          result_.end = StopRequested() ? End::kStopped : End::kTimedOut;
          kill(-pid_, SIGTERM);
          state_ = State::kTerminated;
          grace_ends_ = now + input_.kill_grace;
        }
        break;
      case State::kTerminated:
        if (now < grace_ends_) break;
        kill(-pid_, SIGKILL);
        state_ = State::kKilled;
        break;
      case State::kKilled:
        LookForExit();
        break;
      case State::kExited:
        break;
    }
  }

  // What the pipes hold already: as much as fits into them.
  void DrainRest() {
    for (int i = 0; i < 16 && channels_.out.open(); ++i) {
      if (!Drain(channels_.out, result_.out)) channels_.out.Close();
    }
    for (int i = 0; i < 16 && channels_.err.open(); ++i) {
      if (!Drain(channels_.err, result_.err)) channels_.err.Close();
    }
  }

  ProgramResult Finish() {
    siginfo_t info = {};
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    DrainRest();
    const bool exited = info.si_code == CLD_EXITED;
    if (state_ == State::kExited) {
      const bool no_program =
          exited && (info.si_status == kNotExecutable || info.si_status == kNotFound);
      result_.end = exited && info.si_status == 0 ? End::kSucceeded
                    : no_program                  ? End::kNotStarted
                                                  : End::kFailed;
    }
    if (!result_.succeeded()) kill(-pid_, SIGKILL);  // What it has left running.
    {
      const WithoutSigpipe without;
      ProgramKeeper::Get().Forget(pid_);
    }
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!result_.succeeded()) result_.reason = ReasonOf(exited, info.si_status);
    return std::move(result_);
  }

  std::string ReasonOf(bool exited, int status) const {
    if (result_.end == End::kTimedOut) {
      return absl::StrCat("killed after ", absl::FormatDuration(input_.timeout));
    }
    if (result_.end == End::kStopped) return "ended before it was done";
    std::string reason = LastLine(result_.err);
    if (!reason.empty()) return reason;
    return absl::StrCat(exited ? "exit status " : "killed by signal ", status);
  }

  // Constant after construction.
  const ProgramInput& input_;
  const ProgramStop* const stop_;

  Channels channels_;
  const pid_t pid_;   // Also its process group.
  const Fd process_;  // Readable once it has exited; not open where the kernel has no such thing.
  const absl::Duration timeout_at_;
  size_t written_ = 0;
  State state_ = State::kRunning;
  bool exited_ = false;
  absl::Duration grace_ends_;
  ProgramResult result_;
};

ProgramStop::ProgramStop() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ProgramStop::~ProgramStop() {
  if (event_ >= 0) close(event_);
}

void ProgramStop::Request() {
  requested_ = true;
  if (event_ >= 0) eventfd_write(event_, 1);
}

ProgramResult RunShell(const std::string& command, const ProgramInput& input,
                       const ProgramStop* stop) {
  Channels channels;
  pid_t pid = 0;
  const int error = OpenChannels(channels) ? Spawn(command, input, channels, pid) : errno;
  if (error == 0) return ProgramRun(input, stop, std::move(channels), pid).Run();
  if (pid > 0) {
    const WithoutSigpipe without;
    ProgramKeeper::Get().Forget(pid);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  ProgramResult result;
  result.reason = std::strerror(error);
  return result;
}

}  // namespace hookgate::cli
