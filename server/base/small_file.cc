#include "server/base/small_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "common/steady_deadline.h"

namespace hookgate {
namespace {

// A name of a file without folder and ending is rarely as long as a key or a token.
constexpr size_t kLeastContentBytes = 16;

bool LooksLikeContent(absl::string_view path) {
  for (const absl::string_view sign : {"whsec_", "whsk_", "whpk_", "-----BEGIN", "\n"}) {
    if (absl::StrContains(path, sign)) return true;
  }
  return path.size() >= kLeastContentBytes && path.find_first_of("/.") == absl::string_view::npos;
}

absl::Status CannotRead(const std::string& path) {
  return absl::NotFoundError(
      absl::StrCat(ShownPath(path), " cannot be read: ", std::strerror(errno)));
}

struct CommonLimit {
  std::chrono::steady_clock::time_point deadline;
  std::function<bool()> is_interrupted;
};
thread_local absl::optional<CommonLimit> common_limit;

// False: nothing came until then.
bool AwaitReadable(int fd, std::chrono::steady_clock::time_point deadline) {
  constexpr std::chrono::milliseconds kAskEvery(100);
  while (true) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const bool is_last = left.count() <= 0;
    if (common_limit.has_value()) left = std::min(left, kAskEvery);
    pollfd readable = {fd, POLLIN, 0};
    // A plain file has always something, also when no time is left.
    const int ready = poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    if (is_last) return false;
    if (common_limit.has_value() && common_limit->is_interrupted()) return false;
  }
}

}  // namespace

PatienceForAll::PatienceForAll(absl::Duration patience, std::function<bool()> is_interrupted) {
  common_limit = CommonLimit{SteadyDeadline(patience), std::move(is_interrupted)};
}

PatienceForAll::~PatienceForAll() { common_limit.reset(); }

std::string ShownPath(absl::string_view path) {
  if (!LooksLikeContent(path)) return std::string(path);
  return "(a file whose name is not shown, because it may itself be a secret: the path "
         "of a file is meant)";
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes,
                                          absl::Duration patience) {
  if (path.empty()) return absl::InvalidArgumentError("is empty: give the path of a file");
  auto deadline = SteadyDeadline(patience);
  if (common_limit.has_value()) deadline = std::min(deadline, common_limit->deadline);
  // A named pipe is opened without its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return CannotRead(path);
  const absl::Cleanup close_file = [fd] { close(fd); };
  std::string content;
  char buffer[16 << 10];
  while (content.size() <= max_bytes) {
    if (!AwaitReadable(fd, deadline)) {
      if (common_limit.has_value() && common_limit->is_interrupted()) {
        return absl::CancelledError(
            absl::StrCat(ShownPath(path), " was not read: whoever waited for it was asked to end"));
      }
      return absl::DeadlineExceededError(absl::StrCat(
          ShownPath(path), " was not read in time, at most ", absl::FormatDuration(patience),
          ": it is a pipe that has no writer, or whose writer does not close it"));
    }
    const ssize_t count =
        read(fd, buffer, std::min(sizeof(buffer), max_bytes + 1 - content.size()));
    if (count == 0) return content;
    if (count > 0) content.append(buffer, static_cast<size_t>(count));
    if (count < 0 && errno != EINTR && errno != EAGAIN) return CannotRead(path);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(ShownPath(path), " is larger than ", max_bytes, " bytes"));
}

}  // namespace hookgate
