// Whether each event is found by the id in its body and by its subject, as hookgate explain looks
// for it (eventlog/text_index.h).
#ifndef HOOKGATE_SERVER_VERIFY_CHECK_TEXTS_H_
#define HOOKGATE_SERVER_VERIFY_CHECK_TEXTS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/text_index.h"
#include "server/store/database.h"
#include "server/verify/findings.h"

namespace hookgate {

// Compares the runs and pieces of the index with the events, a run at a time: asking the index for
// each event would read a page of every run for each. Holds the entries of one run twice, some
// 16 MiB. Not thread-safe.
class TextChecker {
 public:
  // Both outlive the checker.
  static absl::StatusOr<std::unique_ptr<TextChecker>> Create(Database& database,
                                                             Findings& findings);

  // Events in the order of their sequences, of which none is left out. An error of the disk.
  absl::Status See(Sequence sequence, absl::string_view event_id, absl::string_view subject);
  // There are no more.
  absl::Status Finish();

 private:
  TextChecker(Database& database, Findings& findings) : database_(database), findings_(findings) {}

  // Of what is stored up to stored_[next_]: each event is in it.
  absl::Status CheckNext();

  Database& database_;
  Findings& findings_;
  std::vector<TextIndex::Stored> stored_;
  size_t next_ = 0;       // of stored_: what the events are in that come now
  TextEntries expected_;  // of the events since the one before
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_CHECK_TEXTS_H_
