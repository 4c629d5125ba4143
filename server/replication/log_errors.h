// The errors of a replicated log (replicated_log.h), for those who write an engine.
#ifndef HOOKGATE_SERVER_REPLICATION_LOG_ERRORS_H_
#define HOOKGATE_SERVER_REPLICATION_LOG_ERRORS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

absl::Status EngineUnavailable(absl::string_view why);
absl::Status EngineAccess(absl::string_view why);
// `remedy` says what the setting is and what would be right.
absl::Status UnsafeSetting(absl::string_view setting, absl::string_view remedy);
absl::Status LogReplaced(absl::string_view expected_genesis, absl::string_view genesis);
absl::Status LogMissing(absl::string_view log);
absl::Status LogBehind(LogIndex expected, LogIndex last);
absl::Status LogTrimmed(LogIndex index, LogIndex first);
absl::Status LogDamaged(LogIndex index, absl::string_view how);
absl::Status RecordSize(size_t bytes, int64_t max_record_bytes);

// Outcomes of an append at `index`.
CompareAppendResult Appended(LogIndex index);
CompareAppendResult Lost(LogRecord there, LogIndex index);
CompareAppendResult Unknown(LogIndex index, absl::Status why);
CompareAppendResult Refused(LogIndex index, absl::Status why);

// Counts an append in `state`, and notes whether the engine was well.
void NoteAppend(const CompareAppendResult& result, EngineState& state);
// The same for another call.
void NoteCall(const absl::Status& status, EngineState& state);

// INVALID_ARGUMENT, with the name of the field, unless the options are as their comments say.
absl::Status CheckOptions(const ReplicatedLogOptions& options);

// A new genesis.
std::string NewGenesis();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_LOG_ERRORS_H_
