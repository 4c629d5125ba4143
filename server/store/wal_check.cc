#include "server/store/wal_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
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
constexpr int64_t kFrameHeaderBytes = 24;
constexpr size_t kSummedFrameHeaderBytes = 8;
constexpr size_t kSaltBytes = 8;
// Its last bit: whether sums are of big-endian words.
constexpr uint32_t kMagic = 0x377f0682;
constexpr uint32_t kVersion = 3007000;
// A power cut leaves so many bytes, from a multiple of them on, as they were before or after.
constexpr int64_t kSector = 512;
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

bool DifferInOneBit(const Sum& left, const Sum& right) {
  const uint64_t bits =
      uint64_t{left.first ^ right.first} << 32 | uint64_t{left.second ^ right.second};
  return bits != 0 && (bits & (bits - 1)) == 0;
}

Sum ReadSum(const uint8_t* at) { return {ReadWord(at), ReadWord(at + 4)}; }

// REQUIRES: `size` is a multiple of 8.
Sum AddTo(Sum sum, const uint8_t* at, size_t size, bool is_big_endian) {
  for (const uint8_t* const end = at + size; at < end; at += 8) {
    sum.first += ReadWord(at, is_big_endian) + sum.second;
    sum.second += ReadWord(at + 4, is_big_endian) + sum.first;
  }
  return sum;
}

// The sum of a frame behind one with the sum `before`.
Sum SumAfter(const Sum& before, const uint8_t* frame, size_t page_bytes, bool is_big_endian) {
  const Sum sum = AddTo(before, frame, kSummedFrameHeaderBytes, is_big_endian);
  return AddTo(sum, frame + kFrameHeaderBytes, page_bytes, is_big_endian);
}

bool IsPageSize(size_t bytes) {
  return bytes >= kLeastPage && bytes <= kMostPage && (bytes & (bytes - 1)) == 0;
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
  if (!IsPageSize(header.page_bytes)) return false;
  std::memcpy(header.salt, bytes + 16, kSaltBytes);
  header.sum = ReadSum(bytes + kSummedHeaderBytes);
  return AddTo({}, bytes, kSummedHeaderBytes, header.is_big_endian) == header.sum;
}

// Follows the frames of a log, one after another.
class FrameReader {
 public:
  explicit FrameReader(const Header& header) : header_(header), before_({{header.sum}}) {}

  // Whether the frame is whole: it continues the one before it.
  //   at  where it stands in the file
  bool Read(int64_t at, const uint8_t* frame) {
    const Sum says = ReadSum(frame + 16);
    const bool is_commit = ReadWord(frame + 4) != 0;
    const bool has_salts = std::memcmp(frame + 8, header_.salt, kSaltBytes) == 0;
    Sum sum;
    // No frame is of page 0: what is reserved is zeros, for which nothing has to be added up.
    const bool may_be_a_frame = ReadWord(frame) != 0;
    if (may_be_a_frame) {
      for (const Before& before : before_) {
        sum = SumAfter(before.sum, frame, header_.page_bytes, header_.is_big_endian);
        if (!has_salts || !(sum == says)) continue;
        NoteThatContinues(before, is_commit);
        before_ = {{says, is_commit}};
        return true;
      }
    }
    // The next one shows whether this one was whole: by continuing from the sum that it tells, if
    // its page or its salts are damaged, or from the one that it has, if that sum is.
    before_ = {{says, is_commit && IsInOneSector(at)}};
    if (may_be_a_frame) before_.push_back({sum, is_commit});
    is_broken_ = true;
    behind_a_commit_ = false;
    return false;
  }

  // Frames up to the first one that does not fit, and up to the last commit among these.
  int64_t whole() const { return whole_; }
  int64_t committed() const { return committed_; }
  // Whether a commit had been synced, and stands behind that.
  bool lost() const { return lost_; }

 private:
  // What the next frame may continue from.
  struct Before {
    Sum sum;
    bool is_commit = false;  // then a commit ended there
  };

  // Whether the head of a frame there is of one commit as a whole. Otherwise a power cut may have
  // left at its beginning, where the mark of a commit is, what an earlier frame had there.
  static bool IsInOneSector(int64_t at) { return at % kSector + kFrameHeaderBytes <= kSector; }

  // The frame continues the one before it, which therefore was whole when it was written.
  void NoteThatContinues(const Before& before, bool is_commit) {
    if (!is_broken_) {
      ++whole_;
      if (is_commit) committed_ = whole_;
      return;
    }
    // The commit before was synced before this one was written.
    behind_a_commit_ = behind_a_commit_ || before.is_commit;
    lost_ = lost_ || (behind_a_commit_ && is_commit);
  }

  const Header& header_;
  std::vector<Before> before_;  // one or two
  bool is_broken_ = false;
  bool behind_a_commit_ = false;  // since the last frame that does not fit
  int64_t whole_ = 0;
  int64_t committed_ = 0;
  bool lost_ = false;
};

class File {
 public:
  explicit File(std::string path)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_there() const { return file_ >= 0; }
  const std::string& path() const { return path_; }

  // Fills `bytes` with what stands at `at`, up to the end of the file. How many were read.
  absl::StatusOr<size_t> Read(int64_t at, std::vector<uint8_t>& bytes) const {
    size_t size = 0;
    while (size < bytes.size()) {
      const ssize_t count =
          ::pread(file_, bytes.data() + size, bytes.size() - size, at + static_cast<int64_t>(size));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        return absl::InternalError(absl::StrCat(path_, " cannot be read: ", std::strerror(errno)));
      }
      if (count == 0) break;
      size += static_cast<size_t>(count);
    }
    return size;
  }

 private:
  const std::string path_;
  const int file_;
};

// Which pages the frames of a log hold, in their order.
class FramePages {
 public:
  FramePages(const File& database, const File& log, const Header& header)
      : database_(database), log_(log), header_(header) {}

  // The next frame.
  void Add(int64_t at, const uint8_t* frame, bool is_whole) {
    const bool has_salts = std::memcmp(frame + 8, header_.salt, kSaltBytes) == 0;
    frames_.push_back(
        {at, ReadWord(frame), ReadWord(frame + 4) != 0, is_whole, has_salts, ReadSum(frame + 16)});
  }

  // Whether the database has all that stands behind the first `committed` frames, up to the end of
  // a commit, whatever frame `damaged` is, which alone does not fit, and older pages among the
  // first ones would be put over some of it. Only what was committed is moved there, so that is no
  // power cut: one would have to have left the whole of a commit but for one frame, of a commit
  // that changed nothing but that.
  absl::StatusOr<bool> WouldPutBack(int64_t committed, int64_t damaged) const {
    if (damaged >= static_cast<int64_t>(frames_.size())) return false;
    int64_t end = damaged;
    for (int64_t i = damaged + 1; i < static_cast<int64_t>(frames_.size()); ++i) {
      if (!frame(i).is_whole) break;
      if (frame(i).is_commit) end = i;
    }
    std::map<uint32_t, int64_t> newer;
    for (int64_t i = committed; i <= end; ++i) {
      if (i != damaged) newer[frame(i).page] = i;
    }
    for (const auto& [page, i] : newer) {
      if (page == 0) return false;
      ASSIGN_OR_RETURN(const auto there, ReadPage(page));
      ASSIGN_OR_RETURN(const auto behind, ReadFrame(i));
      if (there != behind) return false;
    }
    std::vector<uint32_t> pages;
    for (const auto& [page, i] : newer) pages.push_back(page);
    if (end == damaged) {
      ASSIGN_OR_RETURN(const uint32_t page, PageThatIsThere(damaged));
      if (page == 0) return false;
      pages.push_back(page);
    }
    return WouldPutBack(committed, pages);
  }

 private:
  struct Frame {
    int64_t at;
    uint32_t page;
    bool is_commit;
    bool is_whole;
    bool has_salts;
    Sum sum;  // that it tells
  };

  // Whether one of the pages is older among the first `committed` frames than in the database.
  absl::StatusOr<bool> WouldPutBack(int64_t committed, const std::vector<uint32_t>& pages) const {
    std::map<uint32_t, int64_t> older;
    for (int64_t i = 0; i < committed; ++i) older[frame(i).page] = i;
    for (const uint32_t page : pages) {
      const auto found = older.find(page);
      if (found == older.end()) continue;
      ASSIGN_OR_RETURN(const auto there, ReadPage(page));
      ASSIGN_OR_RETURN(const auto before, ReadFrame(found->second));
      if (there != before) return true;
    }
    return false;
  }

  // The page that the damaged frame `i` was of, if it ended a commit and the database has what was
  // written into it; otherwise 0. Its sum tells: it is that of what the database has. Or the page
  // stands there, and its sum but for a bit; otherwise the page may be what an earlier round left,
  // which is in the database, behind a head that a power cut left of this one.
  absl::StatusOr<uint32_t> PageThatIsThere(int64_t i) const {
    std::vector<uint8_t> head(kSummedFrameHeaderBytes);
    RETURN_IF_ERROR(log_.Read(frame(i).at, head).status());
    const Sum before = i == 0 ? header_.sum : frame(i - 1).sum;
    // As it stands there, and with each bit of it turned.
    for (size_t bit = 0; bit <= head.size() * 8; ++bit) {
      std::vector<uint8_t> turned = head;
      if (bit > 0) turned[(bit - 1) / 8] ^= static_cast<uint8_t>(1 << (bit - 1) % 8);
      const uint32_t page = ReadWord(turned.data());
      if (page == 0 || ReadWord(&turned[4]) == 0) continue;
      ASSIGN_OR_RETURN(const auto there, ReadPage(page));
      if (there.size() < header_.page_bytes) continue;
      const Sum sum = AddTo(AddTo(before, turned.data(), turned.size(), header_.is_big_endian),
                            there.data(), there.size(), header_.is_big_endian);
      if (sum == frame(i).sum) return page;
    }
    if (!frame(i).has_salts || !frame(i).is_commit) return 0;
    ASSIGN_OR_RETURN(const auto there, ReadPage(frame(i).page));
    ASSIGN_OR_RETURN(const auto written, ReadFrame(i));
    if (there != written) return 0;
    const Sum sum = AddTo(AddTo(before, head.data(), head.size(), header_.is_big_endian),
                          written.data(), written.size(), header_.is_big_endian);
    return DifferInOneBit(sum, frame(i).sum) ? frame(i).page : 0;
  }

  const Frame& frame(int64_t i) const { return frames_[static_cast<size_t>(i)]; }

  absl::StatusOr<std::vector<uint8_t>> ReadPage(uint32_t page) const {
    return Read(database_, (int64_t{page} - 1) * static_cast<int64_t>(header_.page_bytes));
  }
  absl::StatusOr<std::vector<uint8_t>> ReadFrame(int64_t i) const {
    return Read(log_, frame(i).at + kFrameHeaderBytes);
  }
  absl::StatusOr<std::vector<uint8_t>> Read(const File& file, int64_t at) const {
    std::vector<uint8_t> page(header_.page_bytes);
    ASSIGN_OR_RETURN(const size_t size, file.Read(at, page));
    page.resize(size);
    return page;
  }

  const File& database_;
  const File& log_;
  const Header& header_;
  std::vector<Frame> frames_;
};

// Its commits are not synced one by one, so a power cut may tear any number of them: they are
// applied from the replicated log again.
bool IsReplica(const std::string& database) {
  const auto opened = Database::Open(database, Database::Mode::kReadAlone);
  if (!opened.ok()) return false;
  absl::StatusOr<Statement> rows = (*opened)->Prepare("SELECT 1 FROM replica");
  return rows.ok() && rows->Step().value_or(false);
}

// Bytes up to the end of the last commit that is found.
absl::StatusOr<int64_t> CheckFrames(const File& database, const File& log, const Header& header) {
  FrameReader frames(header);
  FramePages pages(database, log, header);
  const size_t frame_bytes = kFrameHeaderBytes + header.page_bytes;
  std::vector<uint8_t> frame(frame_bytes);
  for (int64_t at = kHeaderBytes;; at += static_cast<int64_t>(frame_bytes)) {
    ASSIGN_OR_RETURN(const size_t size, log.Read(at, frame));
    if (size < frame_bytes) break;
    pages.Add(at, frame.data(), frames.Read(at, frame.data()));
  }
  ASSIGN_OR_RETURN(const bool would_put_back,
                   pages.WouldPutBack(frames.committed(), frames.whole()));
  if (!would_put_back && (!frames.lost() || IsReplica(database.path()))) {
    return frames.committed() == 0 ? 0
                                   : static_cast<int64_t>(kHeaderBytes) +
                                         frames.committed() * static_cast<int64_t>(frame_bytes);
  }
  const auto end = kHeaderBytes + static_cast<size_t>(frames.whole()) * frame_bytes;
  return absl::DataLossError(absl::StrCat(
      "the write-ahead log ", log.path(), " is damaged at byte ", end,
      " or shortly behind it, and commits stand behind the damage: they would be lost, or older "
      "pages would be put over what the database has of them. Without a backup: in a copy of the "
      "folder "
      "cut the file (truncate -s ",
      end,
      " events.db-wal), in another copy remove it, and restore "
      "the one that hookgate fsck calls sound and that has more events"));
}

// Of the pages of a database, as its header has it; SQLite's own default if it has none.
size_t PageBytesOf(const File& database) {
  constexpr int64_t kPageBytesAt = 16;
  constexpr size_t kDefault = 4096;
  std::vector<uint8_t> bytes(2);
  if (database.Read(kPageBytesAt, bytes).value_or(0) < bytes.size()) return kDefault;
  const size_t page_bytes = size_t{bytes[0]} << 8 | bytes[1];
  if (page_bytes == 1) return kMostPage;
  return IsPageSize(page_bytes) ? page_bytes : kDefault;
}

// Whether two frames follow one another there, whatever the header says. Where none do, as behind a
// header that a power cut tore when the file was made, nothing is lost.
absl::StatusOr<bool> HoldsFrames(const File& log, size_t page_bytes) {
  const size_t frame_bytes = kFrameHeaderBytes + page_bytes;
  std::vector<uint8_t> before(frame_bytes);
  std::vector<uint8_t> frame(frame_bytes);
  for (int64_t at = kHeaderBytes;; at += static_cast<int64_t>(frame_bytes)) {
    ASSIGN_OR_RETURN(const size_t size, log.Read(at, frame));
    if (size < frame_bytes) return false;
    const bool may_follow =
        ReadWord(frame.data()) != 0 && std::memcmp(&before[8], &frame[8], kSaltBytes) == 0;
    for (const bool is_big_endian : {false, true}) {
      if (may_follow && SumAfter(ReadSum(&before[16]), frame.data(), page_bytes, is_big_endian) ==
                            ReadSum(&frame[16])) {
        return true;
      }
    }
    std::swap(before, frame);
  }
}

}  // namespace

absl::StatusOr<int64_t> CheckWriteAheadLog(const std::string& database_path) {
  const File log(database_path + "-wal");
  if (!log.is_there()) return 0;  // Or it may not be read, which is told elsewhere.
  std::vector<uint8_t> start(kHeaderBytes);
  ASSIGN_OR_RETURN(const size_t size, log.Read(0, start));
  if (size < kHeaderBytes) return 0;
  const File database(database_path);
  Header header;
  const bool has_header = ReadHeader(start.data(), header);
  if (!has_header) {
    ASSIGN_OR_RETURN(const bool holds_frames, HoldsFrames(log, PageBytesOf(database)));
    if (!holds_frames) return 0;
  }
  std::vector<uint8_t> first(1);
  if (database.Read(0, first).value_or(0) == 0) {
    return absl::DataLossError(
        absl::StrCat(database_path, " is missing or empty, but its write-ahead log ", log.path(),
                     " is there: without what the database held, the log cannot be read"));
  }
  if (has_header) return CheckFrames(database, log, header);
  return absl::DataLossError(
      absl::StrCat("the write-ahead log ", log.path(),
                   " is damaged in its first 32 bytes, without which nothing in it can be read: "
                   "what was committed since it was last moved into the database would be lost. "
                   "Without a backup: in a copy of the folder remove it, and see what hookgate "
                   "fsck finds"));
}

}  // namespace hookgate
