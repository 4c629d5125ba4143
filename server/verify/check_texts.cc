#include "server/verify/check_texts.h"

#include <algorithm>
#include <tuple>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

bool Before(const TextEntry& a, const TextEntry& b) {
  return std::tie(a.hash, a.sequence) < std::tie(b.hash, b.sequence);
}

// Whether `entries`, which are sorted, hold it; or so many newer ones of its text that a run leaves
// it out.
bool Holds(const TextEntries& entries, const TextEntry& entry) {
  auto at = std::lower_bound(entries.begin(), entries.end(), entry, Before);
  int64_t newer = 0;
  for (; at != entries.end() && at->hash == entry.hash; ++at) {
    if (at->sequence == entry.sequence || ++newer == TextIndex::kMaxSame) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TextChecker>> TextChecker::Create(Database& database,
                                                                 Findings& findings) {
  auto checker = absl::WrapUnique(new TextChecker(database, findings));
  ASSIGN_OR_RETURN(checker->stored_, TextIndex::ListStored(database));
  return checker;
}

absl::Status TextChecker::See(Sequence sequence, absl::string_view event_id,
                              absl::string_view subject) {
  while (next_ < stored_.size() && sequence > stored_[next_].last) RETURN_IF_ERROR(CheckNext());
  if (next_ == stored_.size()) return absl::OkStatus();  // Read from its event at each start.
  const TextHashes texts(event_id, subject);
  for (size_t i = 0; i < texts.count; ++i) expected_.push_back({texts.hashes[i], sequence});
  return absl::OkStatus();
}

absl::Status TextChecker::Finish() {
  while (next_ < stored_.size()) RETURN_IF_ERROR(CheckNext());
  return absl::OkStatus();
}

absl::Status TextChecker::CheckNext() {
  const TextIndex::Stored& stored = stored_[next_++];
  if (expected_.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(TextEntries entries, TextIndex::ReadStored(database_, stored));
  std::sort(entries.begin(), entries.end(), Before);
  Sequence last_found = 0;
  for (const TextEntry& expected : expected_) {
    if (expected.sequence == last_found || Holds(entries, expected)) continue;
    last_found = expected.sequence;
    findings_.Add(absl::StrCat("event ", expected.sequence),
                  "cannot be found by its id or its subject: hookgate explain would not find it by "
                  "them");
  }
  expected_.clear();
  return absl::OkStatus();
}

}  // namespace hookgate
