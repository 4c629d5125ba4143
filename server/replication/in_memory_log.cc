#include "server/replication/in_memory_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/log_errors.h"

namespace hookgate {
namespace {

// Takes one of `faults`, if there is any.
bool TakeOne(std::atomic<int>& faults) {
  int left = faults.load();
  while (left > 0 && !faults.compare_exchange_weak(left, left - 1)) {
  }
  return left > 0;
}

}  // namespace

void InMemoryEngine::Log::MakeDurable() {
  for (auto record = records.rbegin(); record != records.rend() && !record->durable; ++record) {
    record->durable = true;
  }
}

InMemoryEngine::Log* InMemoryEngine::Find(const std::string& cluster) {
  const auto log = logs_.find(cluster);
  return log == logs_.end() ? nullptr : &log->second;
}

void InMemoryEngine::RollBack(const std::string& cluster, LogIndex last) {
  absl::MutexLock lock(&mu_);
  Log* const log = Find(cluster);
  if (log == nullptr) return;
  while (log->last() > last && !log->records.empty()) log->records.pop_back();
  if (log->records.empty()) log->first = last + 1;
}

void InMemoryEngine::Remove(const std::string& cluster) {
  absl::MutexLock lock(&mu_);
  logs_.erase(cluster);
}

void InMemoryEngine::Replace(const std::string& cluster) {
  absl::MutexLock lock(&mu_);
  logs_[cluster] = Log{NewGenesis()};
}

void InMemoryEngine::FlipBit(const std::string& cluster, LogIndex index, size_t bit) {
  absl::MutexLock lock(&mu_);
  Log* const log = Find(cluster);
  if (log == nullptr || index < log->first || index > log->last()) return;
  std::string& bytes = log->at(index).bytes;
  char& byte = bytes[bit / 8 % bytes.size()];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit % 8));
}

void InMemoryEngine::Damage(const std::string& cluster, LogIndex index) {
  absl::MutexLock lock(&mu_);
  Log* const log = Find(cluster);
  if (log != nullptr && index >= log->first && index <= log->last()) log->at(index).damaged = true;
}

void InMemoryEngine::ShowNextWithoutStandby(const std::string& cluster) {
  absl::MutexLock lock(&mu_);
  if (Log* const log = Find(cluster)) log->next_without_standby = true;
}

void InMemoryEngine::Crash(const std::string& cluster) {
  absl::MutexLock lock(&mu_);
  Log* const log = Find(cluster);
  if (log == nullptr) return;
  while (!log->records.empty() && !log->records.back().durable) log->records.pop_back();
}

void InMemoryEngine::Pause() {
  absl::MutexLock lock(&mu_);
  paused_ = true;
}

void InMemoryEngine::Resume() {
  absl::MutexLock lock(&mu_);
  paused_ = false;
  changed_.SignalAll();
}

void InMemoryEngine::SetUnsafe(const std::string& setting) {
  absl::MutexLock lock(&mu_);
  unsafe_ = setting;
}

void InMemoryEngine::DeliverDelayed() {
  absl::MutexLock lock(&mu_);
  for (const Delayed& request : delayed_) {
    Log* const log = Find(request.cluster);
    if (log != nullptr) Append(*log, request.expected, request.bytes);
  }
  delayed_.clear();
  changed_.SignalAll();
}

std::vector<LogRecord> InMemoryEngine::Records(const std::string& cluster) const {
  absl::MutexLock lock(&mu_);
  std::vector<LogRecord> records;
  const auto log = logs_.find(cluster);
  if (log == logs_.end()) return records;
  for (const Stored& stored : log->second.records) {
    records.push_back({log->second.first + static_cast<LogIndex>(records.size()), stored.bytes});
  }
  return records;
}

CompareAppendResult InMemoryEngine::Append(Log& log, LogIndex expected, absl::string_view bytes) {
  const LogIndex index = expected + 1;
  if (expected > log.last()) return Refused(index, LogBehind(expected, log.last()));
  if (index < log.first) return Refused(index, LogTrimmed(index, log.first));
  if (index <= log.last()) {
    const Stored& there = log.at(index);
    if (there.bytes != bytes) return Lost({index, there.bytes}, index);
    log.MakeDurable();
    return Appended(index);
  }
  log.records.push_back({std::string(bytes)});
  changed_.SignalAll();
  if (log.next_without_standby) {
    log.next_without_standby = false;
    log.records.back().durable = false;
    return Unknown(index, EngineUnavailable("the wait for the standby ended early"));
  }
  log.MakeDurable();
  return Appended(index);
}

InMemoryLog::InMemoryLog(InMemoryEngine& engine, ReplicatedLogOptions options)
    : engine_(engine), options_(std::move(options)), genesis_(options_.genesis) {
  state_.engine = "memory";
  state_.status = EngineUnavailable("not connected yet");
}

void InMemoryLog::SetCutOff(bool cut_off) {
  absl::MutexLock lock(&engine_.mu_);
  cut_off_ = cut_off;
  engine_.changed_.SignalAll();
}

absl::StatusOr<InMemoryLog::Log*> InMemoryLog::Find() {
  if (shut_down_) return EngineUnavailable("the log is shut down");
  if (cut_off_) return EngineUnavailable("the engine cannot be reached");
  if (!engine_.unsafe_.empty()) return UnsafeSetting(engine_.unsafe_, "set by a test");
  Log* log = engine_.Find(options_.cluster);
  if (log == nullptr) {
    if (!options_.create || !genesis_.empty()) return LogMissing(options_.cluster);
    log = &engine_.logs_[options_.cluster];
    log->genesis = NewGenesis();
  }
  if (genesis_.empty()) genesis_ = log->genesis;
  if (genesis_ != log->genesis) return LogReplaced(genesis_, log->genesis);
  return log;
}

absl::StatusOr<InMemoryLog::Log*> InMemoryLog::Reach(SteadyTime deadline) {
  while (engine_.paused_ && !shut_down_ && !cut_off_) {
    const absl::Duration left = TimeLeft(deadline);
    if (left <= absl::ZeroDuration()) return EngineUnavailable("the engine did not answer in time");
    engine_.changed_.WaitWithTimeout(&engine_.mu_, left);
  }
  absl::StatusOr<Log*> log = Find();
  state_.status = log.status();
  if (log.ok()) {
    state_.connections = 1;
    state_.server = "memory";
  }
  return log;
}

CompareAppendResult InMemoryLog::CompareAppend(LogIndex expected, absl::string_view bytes,
                                               absl::Duration timeout) {
  return Note(TryAppend(expected, bytes, SteadyDeadline(timeout)));
}

CompareAppendResult InMemoryLog::Note(CompareAppendResult result) {
  absl::MutexLock lock(&engine_.mu_);
  NoteAppend(result, state_);
  return result;
}

CompareAppendResult InMemoryLog::TryAppend(LogIndex expected, absl::string_view bytes,
                                           SteadyTime deadline) {
  const LogIndex index = expected + 1;
  if (bytes.empty() || static_cast<int64_t>(bytes.size()) > options_.max_record_bytes) {
    return Refused(index, RecordSize(bytes.size(), options_.max_record_bytes));
  }
  absl::MutexLock lock(&engine_.mu_);
  if (!cut_off_ && !shut_down_) {
    if (TakeOne(lost_requests_)) {
      return Unknown(index, EngineUnavailable("the request was lost"));
    }
    // A paused engine has it in its socket.
    if (TakeOne(delayed_requests_)) {
      engine_.delayed_.push_back({options_.cluster, expected, std::string(bytes)});
      return Unknown(index, EngineUnavailable("the request is under way"));
    }
  }
  const bool paused = engine_.paused_;
  absl::StatusOr<Log*> log = Reach(deadline);
  if (!log.ok()) {
    if (!paused || ReasonOf(log.status()) != log_reason::kEngineUnavailable) {
      return Refused(index, log.status());
    }
    if (!cut_off_ && !shut_down_) {
      engine_.delayed_.push_back({options_.cluster, expected, std::string(bytes)});
    }
    return Unknown(index, log.status());
  }
  CompareAppendResult result = engine_.Append(**log, expected, bytes);
  if (TakeOne(lost_answers_)) return Unknown(index, EngineUnavailable("the answer was lost"));
  return result;
}

absl::StatusOr<std::vector<LogRecord>> InMemoryLog::Read(LogIndex from,
                                                         const RecordLimits& limits) {
  absl::MutexLock lock(&engine_.mu_);
  ASSIGN_OR_RETURN(Log* const log, Reach(Deadline()));
  std::vector<LogRecord> records;
  int64_t bytes = 0;
  if (from < log->first) return LogTrimmed(from, log->first);
  for (LogIndex index = from; index <= log->last(); ++index) {
    const InMemoryEngine::Stored& stored = log->at(index);
    if (stored.damaged && records.empty()) return LogDamaged(index, "a test damaged it");
    bytes += static_cast<int64_t>(stored.bytes.size());
    const bool full = static_cast<int64_t>(records.size()) >= limits.max_records ||
                      (bytes > limits.max_bytes && !records.empty());
    if (stored.damaged || full) break;
    records.push_back({index, stored.bytes});
  }
  return records;
}

absl::StatusOr<RecordRange> InMemoryLog::Last() {
  absl::MutexLock lock(&engine_.mu_);
  ASSIGN_OR_RETURN(Log* const log, Reach(Deadline()));
  return RecordRange{log->first, log->last()};
}

absl::Status InMemoryLog::Confirm(LogIndex index) {
  absl::MutexLock lock(&engine_.mu_);
  ASSIGN_OR_RETURN(Log* const log, Reach(Deadline()));
  if (index > log->last()) return LogBehind(index, log->last());
  log->MakeDurable();
  return absl::OkStatus();
}

absl::StatusOr<RecordRange> InMemoryLog::Trim(LogIndex to) {
  absl::MutexLock lock(&engine_.mu_);
  ASSIGN_OR_RETURN(Log* const log, Reach(Deadline()));
  while (log->first <= to && log->records.size() > 1) {
    log->records.pop_front();
    ++log->first;
  }
  return RecordRange{log->first, log->last()};
}

absl::StatusOr<std::string> InMemoryLog::Identity() {
  absl::MutexLock lock(&engine_.mu_);
  ASSIGN_OR_RETURN(Log* const log, Reach(Deadline()));
  return log->genesis;
}

bool InMemoryLog::AwaitRecord(LogIndex index, absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  absl::MutexLock lock(&engine_.mu_);
  while (true) {
    const absl::StatusOr<Log*> log = engine_.paused_ ? EngineUnavailable("paused") : Find();
    if (log.ok() && (*log)->last() > index) return true;
    const absl::Duration left = TimeLeft(deadline);
    if (woken_ || shut_down_ || left <= absl::ZeroDuration()) break;
    engine_.changed_.WaitWithTimeout(&engine_.mu_, left);
  }
  woken_ = false;
  return false;
}

void InMemoryLog::Wake() {
  absl::MutexLock lock(&engine_.mu_);
  woken_ = true;
  engine_.changed_.SignalAll();
}

EngineState InMemoryLog::State() const {
  absl::MutexLock lock(&engine_.mu_);
  return state_;
}

void InMemoryLog::Shutdown() {
  absl::MutexLock lock(&engine_.mu_);
  shut_down_ = true;
  engine_.changed_.SignalAll();
}

}  // namespace hookgate
