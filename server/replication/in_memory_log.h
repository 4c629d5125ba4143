// A replicated log in memory, for tests: all that an engine may do, on demand. One InMemoryEngine
// stands for the engine's servers; each replica has an InMemoryLog on it. Nothing takes time unless
// a test asks for it, so that schedules of faults can be run by the hundred thousand.
#ifndef HOOKGATE_SERVER_REPLICATION_IN_MEMORY_LOG_H_
#define HOOKGATE_SERVER_REPLICATION_IN_MEMORY_LOG_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "common/monotonic_cond_var.h"
#include "server/replication/call_slot.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

// The servers: the logs of all clusters, and what goes wrong with them. Thread-safe.
class InMemoryEngine {
 public:
  InMemoryEngine() = default;
  InMemoryEngine(const InMemoryEngine&) = delete;
  InMemoryEngine& operator=(const InMemoryEngine&) = delete;

  // What follows concerns the log of `cluster`, which is there once somebody has used it.

  // Forgets what is after `last`: a standby that was behind is promoted, a disk put back.
  void RollBack(const std::string& cluster, LogIndex last);
  // The same for all records: most disks are wiped, and the log is still called the same.
  void Wipe(const std::string& cluster) { RollBack(cluster, 0); }
  // There is no log any more.
  void Remove(const std::string& cluster);
  // Somebody makes it again under its name: another genesis, no records.
  void Replace(const std::string& cluster);
  // Changes bit `bit` (counted from the first byte's lowest) of a record; nothing notices it here.
  void FlipBit(const std::string& cluster, LogIndex index, size_t bit);
  // A record that the engine cannot read, or has lost out of the middle.
  void Damage(const std::string& cluster, LogIndex index);
  // The next append, by whomever, is put in and shown to readers, but is durable nowhere, and its
  // caller hears kUnknown. An append after it, or Confirm, makes it durable.
  void ShowNextWithoutStandby(const std::string& cluster);
  // The primary crashes: what is durable nowhere is gone.
  void Crash(const std::string& cluster);

  // What follows concerns all logs.

  // Until Resume nobody is answered: every call waits for its time-out. What was sent arrives then.
  void Pause() ABSL_LOCKS_EXCLUDED(mu_);
  void Resume() ABSL_LOCKS_EXCLUDED(mu_);
  // Every call fails as unsafe_setting of this name; "": none does.
  void SetUnsafe(const std::string& setting) ABSL_LOCKS_EXCLUDED(mu_);
  // What a handle sent while its requests were delayed (InMemoryLog::DelayRequests) arrives now.
  void DeliverDelayed() ABSL_LOCKS_EXCLUDED(mu_);

  // What is in it, damaged or not.
  std::vector<LogRecord> Records(const std::string& cluster) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class InMemoryLog;

  struct Stored {
    std::string bytes;
    bool damaged = false;
    bool durable = true;
  };
  struct Log {
    std::string genesis;
    LogIndex first = 1;  // index of records.front()
    std::deque<Stored> records;
    bool next_without_standby = false;

    LogIndex last() const { return first + static_cast<LogIndex>(records.size()) - 1; }
    Stored& at(LogIndex index) { return records[static_cast<size_t>(index - first)]; }
    void MakeDurable();
  };
  struct Delayed {
    std::string cluster;
    LogIndex expected = 0;
    std::string bytes;
  };

  Log* Find(const std::string& cluster) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  CompareAppendResult Append(Log& log, LogIndex expected, absl::string_view bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::map<std::string, Log> logs_ ABSL_GUARDED_BY(mu_);
  std::deque<Delayed> delayed_ ABSL_GUARDED_BY(mu_);
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  std::string unsafe_ ABSL_GUARDED_BY(mu_);
  // Signalled with every change, also by handles: there are few of them.
  MonotonicCondVar changed_;
};

class InMemoryLog final : public ReplicatedLog {
 public:
  // `engine` outlives it. `options` are as CheckOptions wants them.
  InMemoryLog(InMemoryEngine& engine, ReplicatedLogOptions options);

  // Faults between this replica and the engine, and nobody else. Any thread.

  // Nothing goes through: appends are refused, or unknown if they are under way.
  void SetCutOff(bool cut_off);
  // Of the next `count` appends what comes back is lost: kUnknown, and done.
  void LoseAnswers(int count) { lost_answers_ = count; }
  // The next `count` appends are lost on the way: kUnknown, and not done.
  void LoseRequests(int count) { lost_requests_ = count; }
  // The next `count` appends are kUnknown, and arrive when the engine is told to deliver them.
  void DelayRequests(int count) { delayed_requests_ = count; }

  CompareAppendResult CompareAppend(LogIndex expected, absl::string_view bytes,
                                    absl::Duration timeout) override;
  absl::StatusOr<std::vector<LogRecord>> Read(LogIndex from, const RecordLimits& limits) override;
  absl::StatusOr<RecordRange> Last() override;
  absl::Status Confirm(LogIndex index) override;
  absl::StatusOr<RecordRange> Trim(LogIndex to) override;
  absl::StatusOr<std::string> Identity() override;
  bool AwaitRecord(LogIndex index, absl::Duration timeout) override;
  void Wake() override;
  int64_t max_record_bytes() const override { return options_.max_record_bytes; }
  EngineState State() const override;
  void Shutdown() override;

 private:
  using Log = InMemoryEngine::Log;

  CompareAppendResult Note(CompareAppendResult result) ABSL_LOCKS_EXCLUDED(engine_.mu_);
  CompareAppendResult TryAppend(LogIndex expected, absl::string_view bytes, SteadyTime deadline);
  // The log, once it may be used; waits while the engine is paused.
  absl::StatusOr<Log*> Reach(SteadyTime deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(engine_.mu_);
  absl::StatusOr<Log*> Find() ABSL_EXCLUSIVE_LOCKS_REQUIRED(engine_.mu_);
  SteadyTime Deadline() const { return SteadyDeadline(options_.timeout); }

  // Constant after construction.
  InMemoryEngine& engine_;
  const ReplicatedLogOptions options_;

  std::atomic<int> lost_answers_ = 0;
  std::atomic<int> lost_requests_ = 0;
  std::atomic<int> delayed_requests_ = 0;

  bool cut_off_ ABSL_GUARDED_BY(engine_.mu_) = false;
  bool shut_down_ ABSL_GUARDED_BY(engine_.mu_) = false;
  bool woken_ ABSL_GUARDED_BY(engine_.mu_) = false;
  // Of the log that was met first, or that the options name; "" before.
  std::string genesis_ ABSL_GUARDED_BY(engine_.mu_);
  EngineState state_ ABSL_GUARDED_BY(engine_.mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_IN_MEMORY_LOG_H_
