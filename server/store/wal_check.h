// Whether all that a write-ahead log holds is found when its database is opened.
#ifndef HOOKGATE_SERVER_STORE_WAL_CHECK_H_
#define HOOKGATE_SERVER_STORE_WAL_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace hookgate {

// SQLite reads a write-ahead log up to the first frame that does not continue what stands before
// it, since a power cut may have left the last commit half written. So a damaged byte takes away
// every commit behind it, without a word, and the next start writes over them.
//
// What tells the two apart: a commit is synced before the next one is written, the header before
// any frame, and all of it before pages are moved into the database. So a power cut leaves at most
// one commit behind the frame that does not fit, none of it in the database, and each sector of 512
// bytes, such as that of the header, as it was before or after. A log that is a replica of a
// cluster's syncs its commits only when it moves them: any number may be torn, and are applied from
// the replicated log again.
//
// `database_path`: of the database beside which the log is. Nobody may write to either. Changes
// nothing. Returns how many bytes of the log are in use, up to the end of the last commit; 0 if
// none are. DATA_LOSS, with where it is, if the header is damaged, if two commits or more stand
// behind a damaged frame, if the database has already what would be lost, or if the log is there
// without its database. Damage within the last commit, as long as it is not moved, or that takes
// away the head of the last frame of the one before it, cannot be told from a power cut.
absl::StatusOr<int64_t> CheckWriteAheadLog(const std::string& database_path);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_WAL_CHECK_H_
