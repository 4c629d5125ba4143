#include "server/base/log_output.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "common/steady_deadline.h"
#include "server/base/current_thread.h"

namespace hookgate {
namespace {

// A thread starts with the signals blocked that the one has blocked that starts it. What is sent to
// the process is for others.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

LogOutput::LogOutput(int fd, std::function<std::string(int64_t lines)> lost_line)
    : fd_(fd), lost_line_(std::move(lost_line)) {
  const WithoutSignals without;
  thread_ = std::thread([this] { Run(); });
}

LogOutput::~LogOutput() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void LogOutput::Write(std::string line) {
  line += '\n';
  absl::MutexLock lock(&mu_);
  if (bytes_ + line.size() > kMaxQueuedBytes) {
    ++lost_;
    return;
  }
  SayWhatIsLost();
  Queue(std::move(line));
  changed_.SignalAll();
  if (!is_behind_) is_behind_ = !AwaitWritten(kPatience);
}

bool LogOutput::Flush(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  return AwaitWritten(timeout);
}

void LogOutput::Queue(std::string line) {
  bytes_ += line.size();
  lines_.push_back(std::move(line));
  ++queued_;
}

// Where those lines would be.
void LogOutput::SayWhatIsLost() {
  if (lost_ > 0) Queue(lost_line_(std::exchange(lost_, 0)) + '\n');
}

bool LogOutput::AwaitWritten(absl::Duration timeout) {
  const int64_t all = queued_;
  const auto deadline = SteadyDeadline(timeout);
  while (written_ < all) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return false;
    changed_.WaitWithTimeout(&mu_, absl::FromChrono(left));
  }
  return true;
}

void LogOutput::Run() {
  NameThread("log");
  std::string line;
  while (TakeLine(line)) {
    WriteOut(line);
    absl::MutexLock lock(&mu_);
    ++written_;
    changed_.SignalAll();
  }
}

// False: there will be none.
bool LogOutput::TakeLine(std::string& line) {
  absl::MutexLock lock(&mu_);
  if (lines_.empty()) SayWhatIsLost();
  if (lines_.empty()) is_behind_ = false;
  while (lines_.empty() && !stopping_) changed_.Wait(&mu_);
  if (lines_.empty()) return false;
  line = std::move(lines_.front());
  lines_.pop_front();
  bytes_ -= line.size();
  return true;
}

// What cannot be written is nobody's to hear of.
void LogOutput::WriteOut(const std::string& text) const {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(fd_, text.data() + done, text.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {  // Somebody who has it too does not want to wait for it.
      pollfd writable = {fd_, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace hookgate
