#include "server/store/wal_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/status.h"
#include "server/store/database.h"

namespace hookgate {
namespace {

// Of the format of SQLite's write-ahead log (sqlite.org/fileformat2.html#walformat). Numbers are
// big-endian.
constexpr size_t kHeaderBytes = 32;
constexpr size_t kSummedHeaderBytes = 24;
constexpr size_t kFrameHeaderBytes = 24;
constexpr size_t kSummedFrameHeaderBytes = 8;
constexpr size_t kSaltBytes = 8;
// Its last bit: whether sums are of big-endian words.
constexpr uint32_t kMagic = 0x377f0682;
constexpr uint32_t kVersion = 3007000;
constexpr size_t kLeastPage = 512;
constexpr size_t kMostPage = 65536;

uint32_t ReadWord(const uint8_t* at, bool is_big_endian = true) {
  return is_big_endian
             ? uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3]
             : uint32_t{at[3]} << 24 | uint32_t{at[2]} << 16 | uint32_t{at[1]} << 8 | at[0];
}

struct Sum {
  uint32_t first = 0;
  uint32_t second = 0;

  friend bool operator==(const Sum& left, const Sum& right) {
    return left.first == right.first && left.second == right.second;
  }
};

Sum ReadSum(const uint8_t* at) { return {ReadWord(at), ReadWord(at + 4)}; }

// REQUIRES: `size` is a multiple of 8.
Sum AddTo(Sum sum, const uint8_t* at, size_t size, bool is_big_endian) {
  for (const uint8_t* const end = at + size; at < end; at += 8) {
    sum.first += ReadWord(at, is_big_endian) + sum.second;
    sum.second += ReadWord(at + 4, is_big_endian) + sum.first;
  }
  return sum;
}

struct Header {
  bool is_big_endian = false;
  size_t page_bytes = 0;
  uint8_t salt[kSaltBytes] = {};
  Sum sum;
};

bool ReadHeader(const uint8_t* bytes, Header& header) {
  const uint32_t magic = ReadWord(bytes);
  if ((magic & ~1u) != kMagic || ReadWord(bytes + 4) != kVersion) return false;
  header.is_big_endian = (magic & 1) != 0;
  header.page_bytes = ReadWord(bytes + 8);
  if (header.page_bytes < kLeastPage || header.page_bytes > kMostPage ||
      (header.page_bytes & (header.page_bytes - 1)) != 0) {
    return false;
  }
  std::memcpy(header.salt, bytes + 16, kSaltBytes);
  header.sum = ReadSum(bytes + kSummedHeaderBytes);
  return AddTo({}, bytes, kSummedHeaderBytes, header.is_big_endian) == header.sum;
}

// Follows the frames of a log, one after another.
class FrameReader {
 public:
  explicit FrameReader(const Header& header) : header_(header), before_({header.sum}) {}

  // Whether the frame is whole, and stands behind one that does not fit.
  bool Read(const uint8_t* frame) {
    const Sum says = ReadSum(frame + 16);
    const bool is_commit = ReadWord(frame + 4) != 0;
    const bool is_of_this_log =
        std::memcmp(frame + 8, header_.salt, kSaltBytes) == 0 && ReadWord(frame) != 0;
    std::vector<Sum> sums;
    for (const Sum& before : before_) sums.push_back(SumAfter(before, frame));
    const bool continues =
        is_of_this_log && std::find(sums.begin(), sums.end(), says) != sums.end();
    if (continues) {
      NoteThatContinues(is_commit);
      before_ = {says};
      return is_broken_;
    }
    is_broken_ = true;
    // Another one shows whether this one was whole: by continuing from the sum that it tells, if its
    // page or its salts are damaged, or from the one that it has, if that sum is.
    before_ = {sums.back(), says};
    behind_a_commit_ = is_commit;
    return false;
  }

  // Frames up to the first one that does not fit, and up to the last commit among these.
  int64_t whole() const { return whole_; }
  int64_t committed() const { return committed_; }
  // At least so many commits had been synced, and stand behind that.
  int64_t lost() const { return lost_; }

 private:
  Sum SumAfter(const Sum& before, const uint8_t* frame) const {
    const Sum sum = AddTo(before, frame, kSummedFrameHeaderBytes, header_.is_big_endian);
    return AddTo(sum, frame + kFrameHeaderBytes, header_.page_bytes, header_.is_big_endian);
  }
  // The frame continues the one before it, which therefore was whole when it was written.
  void NoteThatContinues(bool is_commit) {
    if (!is_broken_) {
      ++whole_;
      if (is_commit) committed_ = whole_;
      return;
    }
    if (!is_commit) return;
    // The commit before was synced before this one was written.
    if (behind_a_commit_) ++lost_;
    behind_a_commit_ = true;
  }

  const Header& header_;
  // What the next frame may continue from; few.
  std::vector<Sum> before_;
  bool is_broken_ = false;
  // Since the first frame that does not fit, a commit that others continue from.
  bool behind_a_commit_ = false;
  int64_t whole_ = 0;
  int64_t committed_ = 0;
  int64_t lost_ = 0;
};

class WalFile {
 public:
  explicit WalFile(const std::string& database)
      : path_(database + "-wal"), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~WalFile() {
    if (file_ >= 0) ::close(file_);
  }
  WalFile(const WalFile&) = delete;
  WalFile& operator=(const WalFile&) = delete;

  bool is_there() const { return file_ >= 0; }
  const std::string& path() const { return path_; }

  // Fills `bytes`, but at the end of the file. How many were read.
  absl::StatusOr<size_t> Read(std::vector<uint8_t>& bytes) {
    size_t size = 0;
    while (size < bytes.size()) {
      const ssize_t count = ::read(file_, bytes.data() + size, bytes.size() - size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        return absl::InternalError(absl::StrCat(path_, " cannot be read: ", std::strerror(errno)));
      }
      if (count == 0) break;
      size += static_cast<size_t>(count);
    }
    return size;
  }

  // Back to the first frame.
  void GoToFrames() { ::lseek(file_, kHeaderBytes, SEEK_SET); }

 private:
  const std::string path_;
  const int file_;
};

// Frames behind one that does not fit whose pages the database has. Only what was committed is ever moved
// there: so the frame that does not fit is damaged, and what stands before it is older than the database.
class MovedFrames {
 public:
  explicit MovedFrames(const std::string& database)
      : file_(::open(database.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~MovedFrames() {
    if (file_ >= 0) ::close(file_);
  }
  MovedFrames(const MovedFrames&) = delete;
  MovedFrames& operator=(const MovedFrames&) = delete;

  void Add(const uint8_t* frame, size_t page_bytes) {
    const uint32_t page = ReadWord(frame);
    if (page == 0) return;
    std::vector<uint8_t> there(page_bytes);
    const auto at = static_cast<off_t>(page - 1) * static_cast<off_t>(page_bytes);
    const bool is_read =
        ::pread(file_, there.data(), page_bytes, at) == static_cast<ssize_t>(page_bytes);
    // Of a page that was written again, the last time counts.
    is_there_[page] =
        is_read && std::memcmp(there.data(), frame + kFrameHeaderBytes, page_bytes) == 0;
  }

  // A single page may be the same by chance, as one that was written without a change.
  bool are_moved() const {
    return is_there_.size() >= 2 && std::all_of(is_there_.begin(), is_there_.end(),
                                                [](const auto& page) { return page.second; });
  }

 private:
  const int file_;
  std::map<uint32_t, bool> is_there_;
};

// Its commits are not synced one by one, so a power cut may tear any number of them: they are applied
// from the replicated log again.
bool IsReplica(const std::string& database) {
  const auto opened = Database::Open(database, Database::Mode::kReadAlone);
  if (!opened.ok()) return false;
  absl::StatusOr<Statement> rows = (*opened)->Prepare("SELECT 1 FROM replica");
  return rows.ok() && rows->Step().value_or(false);
}

// Bytes up to the end of the last commit that is found.
absl::StatusOr<int64_t> CheckFrames(const std::string& database, WalFile& file,
                                    const Header& header) {
  FrameReader frames(header);
  MovedFrames moved(database);
  const size_t frame_bytes = kFrameHeaderBytes + header.page_bytes;
  std::vector<uint8_t> frame(frame_bytes);
  while (true) {
    ASSIGN_OR_RETURN(const size_t size, file.Read(frame));
    if (size < frame_bytes) break;
    if (frames.Read(frame.data())) moved.Add(frame.data(), header.page_bytes);
  }
  if (!moved.are_moved() && (frames.lost() == 0 || IsReplica(database))) {
    return frames.committed() == 0 ? 0
                                   : static_cast<int64_t>(kHeaderBytes) +
                                         frames.committed() * static_cast<int64_t>(frame_bytes);
  }
  const auto end = kHeaderBytes + static_cast<size_t>(frames.whole()) * frame_bytes;
  return absl::DataLossError(
      absl::StrCat("the write-ahead log ", file.path(), " is damaged at byte ", end,
                   " or shortly behind it, and commits stand behind the damage: they would be "
                   "lost, or older pages "
                   "would be put over what the database has of them. Without a backup: in a copy "
                   "of the folder cut "
                   "the file (truncate -s ",
                   end,
                   " events.db-wal), in another copy remove it, and restore the one "
                   "that hookgate fsck calls sound and that has more events"));
}

bool HasContent(const std::string& path) {
  struct stat found = {};
  return ::stat(path.c_str(), &found) == 0 && found.st_size > 0;
}

// Of the pages of a database, as its header has it; SQLite's own default if it has none.
size_t PageBytesOf(const std::string& database) {
  constexpr off_t kPageBytesAt = 16;
  uint8_t bytes[2] = {};
  const int file = ::open(database.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const bool is_read = ::pread(file, bytes, sizeof(bytes), kPageBytesAt) == sizeof(bytes);
  if (file >= 0) ::close(file);
  const size_t page_bytes = size_t{bytes[0]} << 8 | bytes[1];
  if (!is_read || page_bytes < kLeastPage || (page_bytes & (page_bytes - 1)) != 0) {
    return page_bytes == 1 ? kMostPage : 4096;
  }
  return page_bytes;
}

// Whether two frames follow one another there, whatever the header says. Where none do, as behind a
// header that a power cut tore when the file was made, nothing is lost.
absl::StatusOr<bool> HoldsFrames(WalFile& file, size_t page_bytes) {
  const size_t frame_bytes = kFrameHeaderBytes + page_bytes;
  std::vector<uint8_t> before;
  std::vector<uint8_t> frame(frame_bytes);
  file.GoToFrames();
  while (true) {
    ASSIGN_OR_RETURN(const size_t size, file.Read(frame));
    if (size < frame_bytes) return false;
    for (const bool is_big_endian : {false, true}) {
      if (before.empty() || std::memcmp(&before[8], &frame[8], kSaltBytes) != 0) continue;
      Sum sum = AddTo(ReadSum(&before[16]), frame.data(), kSummedFrameHeaderBytes, is_big_endian);
      sum = AddTo(sum, &frame[kFrameHeaderBytes], page_bytes, is_big_endian);
      if (ReadWord(frame.data()) != 0 && sum == ReadSum(&frame[16])) return true;
    }
    before = frame;
  }
}

}  // namespace

absl::StatusOr<int64_t> CheckWriteAheadLog(const std::string& database) {
  WalFile file(database);
  if (!file.is_there()) return 0;  // Or it may not be read, which is told elsewhere.
  std::vector<uint8_t> start(kHeaderBytes);
  ASSIGN_OR_RETURN(const size_t size, file.Read(start));
  if (size < kHeaderBytes) return 0;
  Header header;
  const bool has_header = ReadHeader(start.data(), header);
  if (!has_header) {
    ASSIGN_OR_RETURN(const bool holds_frames, HoldsFrames(file, PageBytesOf(database)));
    if (!holds_frames) return 0;
  }
  if (!HasContent(database)) {
    return absl::DataLossError(
        absl::StrCat(database, " is missing or empty, but its write-ahead log ", file.path(),
                     " is there: without what the database held, the log cannot be read"));
  }
  if (has_header) return CheckFrames(database, file, header);
  return absl::DataLossError(
      absl::StrCat("the write-ahead log ", file.path(),
                   " is damaged in its first 32 bytes, without which nothing in it can be read: "
                   "what was committed since it was last moved into the database would be lost"));
}

}  // namespace hookgate
