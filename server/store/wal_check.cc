#include "server/store/wal_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
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
  explicit FrameReader(const Header& header) : header_(header), before_(header.sum) {}

  void Read(const uint8_t* frame) {
    const bool is_of_this_log = std::memcmp(frame + 8, header_.salt, kSaltBytes) == 0;
    const bool is_commit = is_of_this_log && ReadWord(frame + 4) != 0;
    const Sum says = ReadSum(frame + 16);
    Sum sum = AddTo(before_, frame, kSummedFrameHeaderBytes, header_.is_big_endian);
    sum = AddTo(sum, frame + kFrameHeaderBytes, header_.page_bytes, header_.is_big_endian);
    // What a frame says of itself is right even if its page is damaged, or the one before.
    before_ = says;
    if (is_of_this_log && ReadWord(frame) != 0 && sum == says) {
      if (is_broken_) {
        NoteBehind(is_commit);
      } else {
        ++whole_;
        if (is_commit) committed_ = whole_;
      }
      return;
    }
    is_broken_ = true;
    behind_a_commit_ = is_commit;
  }

  // Frames up to the first one that does not fit, and up to the last commit among these.
  int64_t whole() const { return whole_; }
  int64_t committed() const { return committed_; }
  // At least so many commits had been synced, and stand behind that.
  int64_t lost() const { return lost_; }

 private:
  // The frame continues the one before it.
  void NoteBehind(bool is_commit) {
    if (!is_commit) return;
    // The commit before was synced before this one was written.
    if (behind_a_commit_) ++lost_;
    behind_a_commit_ = true;
  }

  const Header& header_;
  Sum before_;
  bool is_broken_ = false;
  bool behind_a_commit_ = false;
  int64_t whole_ = 0;
  int64_t committed_ = 0;
  int64_t lost_ = 0;
};

bool IsZero(const std::vector<uint8_t>& bytes, size_t size) {
  return std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size),
                     [](uint8_t byte) { return byte == 0; });
}

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

  absl::StatusOr<bool> RestIsZero() {
    std::vector<uint8_t> bytes(kMostPage);
    while (true) {
      ASSIGN_OR_RETURN(const size_t size, Read(bytes));
      if (size == 0) return true;
      if (!IsZero(bytes, size)) return false;
    }
  }

 private:
  const std::string path_;
  const int file_;
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
  const size_t frame_bytes = kFrameHeaderBytes + header.page_bytes;
  std::vector<uint8_t> frame(frame_bytes);
  while (true) {
    ASSIGN_OR_RETURN(const size_t size, file.Read(frame));
    if (size < frame_bytes) break;
    frames.Read(frame.data());
  }
  if (frames.lost() == 0 || IsReplica(database)) {
    return frames.committed() == 0 ? 0
                                   : static_cast<int64_t>(kHeaderBytes) +
                                         frames.committed() * static_cast<int64_t>(frame_bytes);
  }
  const auto end = kHeaderBytes + static_cast<size_t>(frames.whole()) * frame_bytes;
  return absl::DataLossError(absl::StrCat(
      "the write-ahead log ", file.path(), " is damaged at byte ", end,
      " or a little "
      "behind it, and at least ",
      frames.lost(), " commits that stand there would be lost. Without a backup: \"truncate -s ",
      end, " ", file.path(), "\" gives them up, and the log goes on with what is before"));
}

bool HasContent(const std::string& path) {
  struct stat found = {};
  return ::stat(path.c_str(), &found) == 0 && found.st_size > 0;
}

}  // namespace

absl::StatusOr<int64_t> CheckWriteAheadLog(const std::string& database) {
  WalFile file(database);
  if (!file.is_there()) return 0;  // Or it may not be read, which is told elsewhere.
  std::vector<uint8_t> start(kHeaderBytes);
  ASSIGN_OR_RETURN(const size_t size, file.Read(start));
  if (size < kHeaderBytes) return 0;
  const bool is_reserved = IsZero(start, size);
  if (is_reserved) {
    ASSIGN_OR_RETURN(const bool is_unused, file.RestIsZero());
    if (is_unused) return 0;
  }
  if (!HasContent(database)) {
    return absl::DataLossError(
        absl::StrCat(database, " is missing or empty, but its write-ahead log ", file.path(),
                     " is there: without what the database held, the log cannot be read"));
  }
  Header header;
  if (is_reserved || !ReadHeader(start.data(), header)) {
    return absl::DataLossError(
        absl::StrCat("the write-ahead log ", file.path(),
                     " is damaged in its first 32 bytes, without which nothing in it can be read: "
                     "every commit since it was last moved into the database would be lost"));
  }
  return CheckFrames(database, file, header);
}

}  // namespace hookgate
