#include "server/replication/log_errors.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr size_t kLongestCluster = 32;
constexpr size_t kGenesisDigits = 16;

absl::Status WithNumber(absl::Status status, absl::string_view key, LogIndex number) {
  SetMetadata(status, key, absl::StrCat(number));
  return status;
}

bool IsNameByte(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

absl::Status EngineUnavailable(absl::string_view why) {
  return ErrorWithReason(absl::StatusCode::kUnavailable, log_reason::kEngineUnavailable, why);
}

absl::Status EngineAccess(absl::string_view why) {
  return ErrorWithReason(absl::StatusCode::kPermissionDenied, log_reason::kEngineAccess, why);
}

absl::Status UnsafeSetting(absl::string_view setting, absl::string_view remedy) {
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kFailedPrecondition, log_reason::kUnsafeSetting,
                      absl::StrCat("the engine's setting ", setting, " is unsafe: ", remedy));
  SetMetadata(status, "setting", setting);
  return status;
}

absl::Status LogReplaced(absl::string_view expected_genesis, absl::string_view genesis) {
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kFailedPrecondition, log_reason::kLogReplaced,
                      absl::StrCat("the engine's log is another one: its genesis is ", genesis,
                                   ", and this replica's is ", expected_genesis));
  SetMetadata(status, "genesis", genesis);
  return status;
}

absl::Status LogMissing(absl::string_view log) {
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, log_reason::kLogMissing,
                         absl::StrCat("the engine has no log ", log));
}

absl::Status LogBehind(LogIndex expected, LogIndex last) {
  return WithNumber(ErrorWithReason(absl::StatusCode::kFailedPrecondition, log_reason::kLogBehind,
                                    absl::StrCat("the engine's log ends at record ", last,
                                                 ", and this replica knows record ", expected,
                                                 ": the engine has lost what it had")),
                    "last", last);
}

absl::Status LogTrimmed(LogIndex index, LogIndex first) {
  return WithNumber(ErrorWithReason(absl::StatusCode::kOutOfRange, log_reason::kLogTrimmed,
                                    absl::StrCat("record ", index, " is not held any more; the ",
                                                 "oldest that is held is record ", first)),
                    "first", first);
}

absl::Status LogDamaged(LogIndex index, absl::string_view how) {
  return WithNumber(ErrorWithReason(absl::StatusCode::kDataLoss, log_reason::kLogDamaged,
                                    absl::StrCat("record ", index, " cannot be read: ", how)),
                    "index", index);
}

absl::Status RecordSize(size_t bytes, int64_t max_record_bytes) {
  return ErrorWithReason(
      absl::StatusCode::kInvalidArgument, log_reason::kRecordSize,
      absl::StrCat("a record of ", bytes, " bytes: 1 to ", max_record_bytes, " are allowed"));
}

CompareAppendResult Appended(LogIndex index) {
  return {CompareAppendOutcome::kAppended, absl::OkStatus(), index, {}};
}

CompareAppendResult Lost(LogRecord there, LogIndex index) {
  return {CompareAppendOutcome::kLost,
          absl::AbortedError(absl::StrCat("record ", index, " is another writer's")), index,
          std::move(there)};
}

CompareAppendResult Unknown(LogIndex index, absl::Status why) {
  return {CompareAppendOutcome::kUnknown, std::move(why), index, {}};
}

CompareAppendResult Refused(LogIndex index, absl::Status why) {
  return {CompareAppendOutcome::kRefused, std::move(why), index, {}};
}

void NoteAppend(const CompareAppendResult& result, EngineState& state) {
  switch (result.outcome) {
    case CompareAppendOutcome::kAppended:
      ++state.appends;
      break;
    case CompareAppendOutcome::kLost:
      ++state.lost_appends;
      break;
    case CompareAppendOutcome::kUnknown:
      ++state.unknown_appends;
      break;
    case CompareAppendOutcome::kRefused:
      break;
  }
  NoteCall(result.status, state);
}

void NoteCall(const absl::Status& status, EngineState& state) {
  // A lost race, a record that is too large and one that is gone say nothing of the engine.
  const bool is_callers = status.code() == absl::StatusCode::kAborted ||
                          status.code() == absl::StatusCode::kInvalidArgument ||
                          status.code() == absl::StatusCode::kOutOfRange;
  state.status = is_callers ? absl::OkStatus() : status;
}

absl::Status CheckOptions(const ReplicatedLogOptions& options) {
  if (options.cluster.empty() || options.cluster.size() > kLongestCluster ||
      !std::all_of(options.cluster.begin(), options.cluster.end(), IsNameByte)) {
    return InvalidField("cluster", "a name of 1 to 32 bytes of a-z, 0-9 and _");
  }
  if (!options.genesis.empty() &&
      (options.genesis.size() != kGenesisDigits ||
       options.genesis.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    return InvalidField("genesis", "16 lower-case hex digits, or empty");
  }
  if (options.max_record_bytes < 1 || options.max_record_bytes > ReplicatedLog::kMostRecordBytes) {
    return InvalidField("max_record_bytes", absl::StrCat("1 to ", ReplicatedLog::kMostRecordBytes));
  }
  if (options.timeout <= absl::ZeroDuration()) {
    return InvalidField("timeout", "more than nothing");
  }
  return absl::OkStatus();
}

std::string NewGenesis() {
  absl::BitGen random;
  return absl::StrFormat("%016x", absl::Uniform<uint64_t>(random));
}

}  // namespace hookgate
