#include "server/replication/postgres_log.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/monotonic_cond_var.h"
#include "server/base/status.h"
#include "server/replication/call_slot.h"
#include "server/replication/libpq.h"
#include "server/replication/log_errors.h"
#include "server/replication/postgres_connection.h"

namespace hookgate {
namespace {

constexpr absl::Duration kBetweenConnections = absl::Milliseconds(250);
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
// What one statement of Trim removes, so that none holds a snapshot for long.
constexpr int64_t kTrimStep = 1000;
constexpr int64_t kOldestServer = 120'000;  // 12
// One lock for all that make tables: "hookgate" in ASCII.
constexpr int64_t kCreationLock = 0x686f6f6b67617465;

// SQLSTATEs.
constexpr char kUniqueViolation[] = "23505";
constexpr char kLockNotAvailable[] = "55P03";
constexpr char kUndefinedTable[] = "42P01";
constexpr char kNoSuchStatement[] = "26000";
constexpr char kDataCorrupted[] = "XX001";
constexpr char kIndexCorrupted[] = "XX002";

using Statement = PostgresConnection::Statement;

// What the log's calls send, with the names of its tables in it.
struct Sql {
  explicit Sql(const std::string& cluster)
      : log(absl::StrCat("hookgate_log_", cluster)),
        identity(absl::StrCat("hookgate_identity_", cluster)) {
    const std::string last = absl::StrCat("coalesce((select max(seq) from ", log, "), 0)");
    const std::string first = absl::StrCat("coalesce((select min(seq) from ", log, "), 1)");
    const std::string ours = absl::StrCat("exists (select from ", identity, " where genesis = $");
    // Whether a commit of this session waits for a standby's disk.
    const std::string synchronous =
        "current_setting('synchronous_commit') in ('on', 'remote_apply') and"
        " current_setting('synchronous_standby_names') <> ''";
    // $1 index, $2 bytes, $3 genesis, $4 whether the standbys are taken on trust
    append =
        absl::StrCat("insert into ", log, " (seq, data) select $1::bigint, $2::bytea where ", last,
                     " = $1 - 1 and ", ours, "3::text) and ($4::boolean or (", synchronous, "))");
    check = absl::StrCat("select ", synchronous);
    state = absl::StrCat("select (select genesis from ", identity, "), ", first, ", ", last, ", ",
                         synchronous);
    // $1 first, $2 how many, $3 bytes, $4 genesis. `before` is what those before it have: 0 for the
    // first, which comes however large it is.
    read = absl::StrCat(
        "select seq, data from (select seq, data,"
        " sum(octet_length(data)) over (order by seq) - octet_length(data) as before,"
        " sum(octet_length(data)) over (order by seq) as through from ",
        log, " where seq >= $1::bigint and seq < $1::bigint + $2::bigint and ", ours,
        "4::text)) as page", " where before = 0 or through <= $3::bigint order by seq");
    get = absl::StrCat("select data from ", log, " where seq = $1::bigint");
    // $1 index, $2 genesis. A commit waits for all of the write-ahead log before it.
    confirm = absl::StrCat("update ", identity,
                           " set confirmed = greatest(confirmed, $1::bigint) where genesis = "
                           "$2::text and ",
                           last, " >= $1::bigint");
    // $1 the last to go, $2 step, $3 genesis
    trim = absl::StrCat("delete from ", log, " where seq <= least($1::bigint, ", last, " - 1, ",
                        first, " + $2::bigint - 1) and ", ours, "3::text)");
  }

  std::string log;
  std::string identity;
  std::string append;
  std::string check;
  std::string state;
  std::string read;
  std::string get;
  std::string confirm;
  std::string trim;
};

// What `state` returns.
struct TableState {
  std::string genesis;
  RecordRange range;
  bool synchronous = false;
};

PostgresValue Bool(bool value) {
  return PostgresValue::Bytes(value ? absl::string_view("\1", 1) : absl::string_view("\0", 1));
}

class PostgresLog final : public ReplicatedLog {
 public:
  PostgresLog(const LibPq& pq, ReplicatedLogOptions options, PostgresAddress address,
              bool trust_storage)
      : pq_(pq),
        options_(std::move(options)),
        address_(std::move(address)),
        trust_storage_(trust_storage),
        sql_(options_.cluster),
        genesis_(options_.genesis) {
    state_.engine = "postgresql";
    state_.status = EngineUnavailable("not connected yet");
    if (trust_storage_) state_.trusted.push_back("trust_storage");
  }

  CompareAppendResult CompareAppend(LogIndex expected, absl::string_view bytes,
                                    absl::Duration timeout) override;
  void PrepareAppend(absl::Duration timeout) override;
  absl::StatusOr<std::vector<LogRecord>> Read(LogIndex from, const RecordLimits& limits) override;
  absl::StatusOr<RecordRange> Last() override;
  absl::Status Confirm(LogIndex index) override;
  absl::StatusOr<RecordRange> Trim(LogIndex to) override;
  absl::StatusOr<std::string> Identity() override;
  bool AwaitRecord(LogIndex index, absl::Duration timeout) override;
  void Wake() override;
  absl::Status CheckSettings() override;
  int64_t max_record_bytes() const override { return options_.max_record_bytes; }
  EngineState State() const override;
  void Shutdown() override;

 private:
  // A connection and those who take turns on it.
  struct Lane {
    CallSlot slot;
    // Touched by who holds the slot.
    std::unique_ptr<PostgresConnection> connection;
    SteadyTime last_attempt;
    bool attempted = false;
    int64_t checked = 0;  // unsafe_found_, when its settings were looked at
  };

  SteadyTime Deadline() const { return SteadyDeadline(options_.timeout); }

  // The lane's connection, made and checked if there is none. The slot is held.
  absl::StatusOr<PostgresConnection*> Connected(Lane& lane, SteadyTime deadline);
  absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(SteadyTime deadline);
  absl::Status SetSession(PostgresConnection& connection, SteadyTime deadline);
  absl::Status CheckSettingsOn(PostgresConnection& connection, SteadyTime deadline);
  absl::Status FindLog(PostgresConnection& connection, SteadyTime deadline);
  absl::Status MakeLog(PostgresConnection& connection, SteadyTime deadline);
  absl::Status AcceptGenesis(const std::string& genesis);
  // Runs `call` on the lane, and remembers how it went.
  template <typename Result, typename Call>
  Result OnLane(Lane& lane, SteadyTime deadline, Call call);

  absl::StatusOr<TableState> ReadState(PostgresConnection& connection, SteadyTime deadline);
  // Why a write was not done: OK if that cannot be seen any more.
  absl::Status WhyNot(const TableState& state) const;
  CompareAppendResult TryAppend(LogIndex expected, absl::string_view bytes, SteadyTime deadline);
  CompareAppendResult FindOut(PostgresConnection& connection, LogIndex expected,
                              absl::string_view bytes, SteadyTime deadline);
  absl::Status ConfirmOn(PostgresConnection& connection, LogIndex index, SteadyTime deadline);
  absl::Status FromSql(const absl::Status& error, LogIndex index) const;
  void NoteStatus(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteLast(LogIndex last) ABSL_LOCKS_EXCLUDED(mu_);
  LogIndex KnownLast() const ABSL_LOCKS_EXCLUDED(mu_);
  // As accepted; "" before there was a connection.
  std::string Genesis() const ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const LibPq& pq_;
  const ReplicatedLogOptions options_;
  const PostgresAddress address_;
  const bool trust_storage_;
  const Sql sql_;

  StopSignal stop_;
  std::atomic<int64_t> unsafe_found_ = 0;  // how often settings that had been safe were not
  Lane appends_;
  Lane reads_;  // Read, AwaitRecord
  Lane asks_;   // the rest

  mutable absl::Mutex mu_;
  std::string genesis_ ABSL_GUARDED_BY(mu_);
  size_t next_host_ ABSL_GUARDED_BY(mu_) = 0;
  EngineState state_ ABSL_GUARDED_BY(mu_);
  LogIndex known_last_ ABSL_GUARDED_BY(mu_) = 0;  // as last heard of
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicCondVar wake_;
};

// --- Connections ------------------------------------------------------------------------------

absl::StatusOr<PostgresConnection*> PostgresLog::Connected(Lane& lane, SteadyTime deadline) {
  if (stop_.is_set()) return EngineUnavailable("the log is shut down");
  const int64_t unsafe_found = unsafe_found_;
  if (lane.connection != nullptr && !lane.connection->broken()) {
    if (lane.checked != unsafe_found) RETURN_IF_ERROR(CheckSettingsOn(*lane.connection, deadline));
    lane.checked = unsafe_found;
    return lane.connection.get();
  }
  lane.connection.reset();
  if (lane.attempted) {
    const SteadyTime turn = lane.last_attempt + absl::ToChronoNanoseconds(kBetweenConnections);
    absl::MutexLock lock(&mu_);
    while (!stop_.is_set() && TimeLeft(std::min(turn, deadline)) > absl::ZeroDuration()) {
      wake_.WaitWithTimeout(&mu_, TimeLeft(std::min(turn, deadline)));
    }
    if (TimeLeft(deadline) <= absl::ZeroDuration() && !state_.status.ok()) return state_.status;
  }
  lane.attempted = true;
  lane.last_attempt = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(lane.connection, Connect(deadline));
  lane.checked = unsafe_found;
  return lane.connection.get();
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresLog::Connect(SteadyTime deadline) {
  size_t host = 0;
  {
    absl::MutexLock lock(&mu_);
    host = next_host_++;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<PostgresConnection> connection,
                   PostgresConnection::Connect(pq_, address_, host, stop_, deadline));
  RETURN_IF_ERROR(SetSession(*connection, deadline));
  RETURN_IF_ERROR(CheckSettingsOn(*connection, deadline));
  RETURN_IF_ERROR(FindLog(*connection, deadline));
  for (const auto& [name, sql] : {std::pair("append", &sql_.append), {"check", &sql_.check}}) {
    RETURN_IF_ERROR(connection->Prepare(name, *sql, deadline));
  }
  absl::MutexLock lock(&mu_);
  // Where it was found, it is looked for first.
  next_host_ = connection->host();
  ++state_.connections;
  state_.server = absl::StrCat("PostgreSQL at ", connection->Server());
  return connection;
}

absl::Status PostgresLog::SetSession(PostgresConnection& connection, SteadyTime deadline) {
  // A role or a database may have set any of these. A statement that is cut short by a time-out of
  // the server while it waits for a standby is committed and said to be. Waiting for a lock is
  // before that, and whoever holds one waits for a standby: to wait with it would only tie up one
  // connection of the server after another.
  return connection
      .Run({{.text = "select set_config('synchronous_commit', 'on', false)"},
            {.text = "select set_config('default_transaction_isolation', 'read committed', false)"},
            {.text = "select set_config(name, '0', false) from pg_settings where name in "
                     "('statement_timeout', 'transaction_timeout', "
                     "'idle_in_transaction_session_timeout', 'idle_session_timeout')"},
            {.text = "select set_config('lock_timeout', '200', false)"}},
           deadline)
      .status();
}

absl::Status PostgresLog::CheckSettings() {
  const SteadyTime deadline = Deadline();
  const absl::Status status = OnLane<absl::Status>(
      asks_, deadline,
      [&](PostgresConnection& connection) { return CheckSettingsOn(connection, deadline); });
  // Each connection looks for itself then, until they are safe again.
  if (ReasonOf(status) == log_reason::kUnsafeSetting) ++unsafe_found_;
  NoteStatus(status);
  return status;
}

absl::Status PostgresLog::CheckSettingsOn(PostgresConnection& connection, SteadyTime deadline) {
  ASSIGN_OR_RETURN(const PostgresRows rows,
                   connection.RunOne({.text = "select current_setting('fsync'),"
                                              " current_setting('full_page_writes'),"
                                              " current_setting('data_checksums'),"
                                              " current_setting('synchronous_standby_names'),"
                                              " current_setting('synchronous_commit'),"
                                              " current_setting('server_version_num')::bigint,"
                                              " current_setting('max_wal_senders')::bigint"},
                                     deadline));
  if (rows.size() != 1) return EngineUnavailable("PostgreSQL does not tell its settings");
  if (rows.Int(0, 5) < kOldestServer) {
    return UnsafeSetting("server_version", "PostgreSQL 12 or newer is needed");
  }
  if (rows.Bytes(0, 0) != "on") return UnsafeSetting("fsync", "it has to be on");
  const absl::string_view commit = rows.Bytes(0, 4);
  if (commit != "on" && commit != "remote_apply") {
    return UnsafeSetting("synchronous_commit", "it has to be on, and could not be set for us");
  }
  if (trust_storage_) return absl::OkStatus();
  constexpr char kOrTrust[] =
      ", or set trust_storage if the storage below the server is itself replicated";
  if (rows.Bytes(0, 1) != "on") {
    return UnsafeSetting("full_page_writes", absl::StrCat("it has to be on", kOrTrust));
  }
  if (rows.Bytes(0, 2) != "on") {
    return UnsafeSetting(
        "data_checksums",
        absl::StrCat("it has to be on (pg_checksums --enable) for damage to be noticed", kOrTrust));
  }
  if (rows.Bytes(0, 3).empty()) {
    return UnsafeSetting(
        "synchronous_standby_names",
        absl::StrCat("it is empty, so that an acknowledged webhook would be on one machine alone; "
                     "name the standbys",
                     kOrTrust));
  }
  if (rows.Int(0, 6) < 1) {
    return UnsafeSetting("max_wal_senders",
                         absl::StrCat("it is 0, and then PostgreSQL waits for no standby, whatever "
                                      "synchronous_standby_names says; 10 is its default",
                                      kOrTrust));
  }
  return absl::OkStatus();
}

absl::Status PostgresLog::AcceptGenesis(const std::string& genesis) {
  absl::MutexLock lock(&mu_);
  if (genesis_.empty()) genesis_ = genesis;
  return genesis_ == genesis ? absl::OkStatus() : LogReplaced(genesis_, genesis);
}

absl::Status PostgresLog::FindLog(PostgresConnection& connection, SteadyTime deadline) {
  absl::StatusOr<TableState> state = ReadState(connection, deadline);
  if (ReasonOf(state.status()) == log_reason::kLogMissing) {
    {
      absl::MutexLock lock(&mu_);
      if (!options_.create || !genesis_.empty()) return state.status();
    }
    RETURN_IF_ERROR(MakeLog(connection, deadline));
    state = ReadState(connection, deadline);
  }
  RETURN_IF_ERROR(state.status());
  return AcceptGenesis(state->genesis);
}

absl::Status PostgresLog::MakeLog(PostgresConnection& connection, SteadyTime deadline) {
  // In one transaction, one replica at a time: all find the genesis of the first.
  const std::string genesis = NewGenesis();
  const absl::Status made =
      connection
          .Run({{.text = "begin"},
                {.text = "select pg_advisory_xact_lock($1::bigint)",
                 .values = {PostgresValue::Int(kCreationLock)}},
                {.text = absl::StrCat("create table if not exists ", sql_.log,
                                      " (seq bigint primary key, data bytea not null)")},
                // A record is read as it was written: in one piece, and without being unpacked.
                {.text = absl::StrCat("alter table ", sql_.log,
                                      " alter column data set storage external")},
                {.text = absl::StrCat("create table if not exists ", sql_.identity,
                                      " (only_one boolean primary key default true check"
                                      " (only_one), genesis text not null,"
                                      " confirmed bigint not null default 0)")},
                {.text = absl::StrCat("insert into ", sql_.identity,
                                      " (genesis) values ($1::text) on conflict do nothing"),
                 .values = {PostgresValue::Text(genesis)}},
                {.text = "commit"}},
               deadline)
          .status();
  return Annotate(made, absl::StrCat("making the tables ", sql_.log, " and ", sql_.identity));
}

absl::StatusOr<TableState> PostgresLog::ReadState(PostgresConnection& connection,
                                                  SteadyTime deadline) {
  const absl::StatusOr<PostgresRows> rows = connection.RunOne({.text = sql_.state}, deadline);
  if (SqlStateOf(rows.status()) == kUndefinedTable) return LogMissing(sql_.log);
  RETURN_IF_ERROR(rows.status());
  TableState state;
  if (rows->size() != 1) return EngineUnavailable("PostgreSQL gave an unexpected answer");
  state.genesis = std::string(rows->Bytes(0, 0));
  state.range = {rows->Int(0, 1), rows->Int(0, 2)};
  state.synchronous = rows->Bool(0, 3);
  if (state.genesis.empty()) return LogMissing(sql_.identity);
  return state;
}

void PostgresLog::NoteStatus(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  NoteCall(status, state_);
}

LogIndex PostgresLog::KnownLast() const {
  absl::MutexLock lock(&mu_);
  return known_last_;
}

void PostgresLog::NoteLast(LogIndex last) {
  absl::MutexLock lock(&mu_);
  known_last_ = last;
}

std::string PostgresLog::Genesis() const {
  absl::MutexLock lock(&mu_);
  return genesis_;
}

template <typename Result, typename Call>
Result PostgresLog::OnLane(Lane& lane, SteadyTime deadline, Call call) {
  const CallSlot::Holder turn(lane.slot, deadline);
  if (!turn.held()) return Result(EngineUnavailable("the engine did not answer in time"));
  absl::StatusOr<PostgresConnection*> connection = Connected(lane, deadline);
  if (!connection.ok()) {
    NoteStatus(connection.status());
    return Result(connection.status());
  }
  return call(**connection);
}

// --- Appending --------------------------------------------------------------------------------

CompareAppendResult PostgresLog::CompareAppend(LogIndex expected, absl::string_view bytes,
                                               absl::Duration timeout) {
  CompareAppendResult result = TryAppend(expected, bytes, SteadyDeadline(timeout));
  absl::MutexLock lock(&mu_);
  NoteAppend(result, state_);
  const bool is_there = result.outcome == CompareAppendOutcome::kAppended ||
                        result.outcome == CompareAppendOutcome::kLost;
  if (is_there) known_last_ = std::max(known_last_, result.index);
  return result;
}

CompareAppendResult PostgresLog::TryAppend(LogIndex expected, absl::string_view bytes,
                                           SteadyTime deadline) {
  const LogIndex index = expected + 1;
  if (bytes.empty() || static_cast<int64_t>(bytes.size()) > options_.max_record_bytes) {
    return Refused(index, RecordSize(bytes.size(), options_.max_record_bytes));
  }
  const CallSlot::Holder turn(appends_.slot, deadline);
  if (!turn.held()) return Refused(index, EngineUnavailable("other appends take too long"));
  const absl::StatusOr<PostgresConnection*> connected = Connected(appends_, deadline);
  if (!connected.ok()) return Refused(index, connected.status());
  PostgresConnection& connection = **connected;
  const std::string genesis = Genesis();
  // The settings may have changed while the commit waited, or did not wait: so they are looked at
  // before it, by its condition, and after it.
  const absl::StatusOr<std::vector<PostgresRows>> rows =
      connection.Run({{.text = "append",
                       .prepared = true,
                       .values = {PostgresValue::Int(index), PostgresValue::Bytes(bytes),
                                  PostgresValue::Text(genesis), Bool(trust_storage_)}},
                      {.text = "check", .prepared = true}},
                     deadline);
  if (!rows.ok()) {
    if (connection.broken()) return Unknown(index, EngineUnavailable(rows.status().message()));
    if (SqlStateOf(rows.status()) == kUniqueViolation) {
      return FindOut(connection, expected, bytes, deadline);
    }
    if (SqlStateOf(rows.status()) == kLockNotAvailable) {
      return Unknown(index, EngineUnavailable("an append at this index waits for its standby"));
    }
    return Refused(index, FromSql(rows.status(), index));
  }
  if (rows->size() != 2 || rows->at(1).size() != 1) {
    return Unknown(index, EngineUnavailable("PostgreSQL gave an unexpected answer"));
  }
  if (rows->at(0).changed() == 0) return FindOut(connection, expected, bytes, deadline);
  if (!trust_storage_ && !rows->at(1).Bool(0, 0)) {
    return Unknown(index, UnsafeSetting("synchronous_standby_names",
                                        "it was emptied while a record was written"));
  }
  return Appended(index);
}

void PostgresLog::PrepareAppend(absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  const CallSlot::Holder turn(appends_.slot, deadline);
  if (!turn.held()) return;  // It is being used.
  const absl::StatusOr<PostgresConnection*> connection = Connected(appends_, deadline);
  if (!connection.ok()) return;
  // One that is not answered is broken, and made anew the next time.
  (*connection)->RunOne({.text = "check", .prepared = true}, deadline).IgnoreError();
}

absl::Status PostgresLog::WhyNot(const TableState& state) const {
  const std::string genesis = Genesis();
  if (state.genesis != genesis) return LogReplaced(genesis, state.genesis);
  if (!trust_storage_ && !state.synchronous) {
    return UnsafeSetting("synchronous_standby_names",
                         "it is empty, or this session's synchronous_commit is not on");
  }
  return absl::OkStatus();
}

CompareAppendResult PostgresLog::FindOut(PostgresConnection& connection, LogIndex expected,
                                         absl::string_view bytes, SteadyTime deadline) {
  const LogIndex index = expected + 1;
  const auto unknown_or_refused = [&](const absl::Status& why) {
    return ReasonOf(why) == log_reason::kEngineUnavailable ? Unknown(index, why)
                                                           : Refused(index, why);
  };
  const absl::StatusOr<TableState> state = ReadState(connection, deadline);
  if (!state.ok()) return unknown_or_refused(state.status());
  const absl::Status why = WhyNot(*state);
  if (!why.ok()) return Refused(index, why);
  if (state->range.last < expected) return Refused(index, LogBehind(expected, state->range.last));
  if (state->range.first > index) return Refused(index, LogTrimmed(index, state->range.first));
  // What kept it out has gone again.
  if (state->range.last == expected) return Unknown(index, EngineUnavailable("try again"));
  const absl::StatusOr<PostgresRows> rows =
      connection.RunOne({.text = sql_.get, .values = {PostgresValue::Int(index)}}, deadline);
  if (!rows.ok()) return unknown_or_refused(FromSql(rows.status(), index));
  if (rows->size() == 0) return Refused(index, LogDamaged(index, "the table has a hole there"));
  if (rows->Bytes(0, 0) != bytes) return Lost({index, std::string(rows->Bytes(0, 0))}, index);
  // It may be visible and on no standby yet.
  const absl::Status confirmed = ConfirmOn(connection, index, deadline);
  return confirmed.ok() ? Appended(index) : unknown_or_refused(confirmed);
}

absl::Status PostgresLog::FromSql(const absl::Status& error, LogIndex index) const {
  const std::string sql_state = SqlStateOf(error);
  if (sql_state == kLockNotAvailable) {
    return EngineUnavailable("another replica's call waits for the standby");
  }
  if (sql_state == kUndefinedTable) return LogMissing(sql_.log);
  if (sql_state == kDataCorrupted || sql_state == kIndexCorrupted) {
    return LogDamaged(index, error.message());
  }
  if (sql_state == kNoSuchStatement) {
    return EngineAccess(absl::StrCat(
        error.message(), ": a pooler that shares connections between transactions cannot be used"));
  }
  return error;
}

// --- The rest ---------------------------------------------------------------------------------

absl::StatusOr<std::vector<LogRecord>> PostgresLog::Read(LogIndex from,
                                                         const RecordLimits& limits) {
  const SteadyTime deadline = Deadline();
  using Records = absl::StatusOr<std::vector<LogRecord>>;
  const auto read = [&](PostgresConnection& connection) -> Records {
    const std::string genesis = Genesis();
    const LogIndex told = KnownLast();
    const absl::StatusOr<PostgresRows> rows = connection.RunOne(
        {.text = sql_.read,
         .values = {PostgresValue::Int(from), PostgresValue::Int(limits.max_records),
                    PostgresValue::Int(limits.max_bytes), PostgresValue::Text(genesis)}},
        deadline);
    if (!rows.ok()) return FromSql(rows.status(), from);
    std::vector<LogRecord> records;
    for (int row = 0; row < rows->size(); ++row) {
      const LogIndex index = rows->Int(row, 0);
      // What is before a hole can be had; the hole is met by who reads on.
      if (index != from + row) break;
      records.push_back({index, std::string(rows->Bytes(row, 1))});
    }
    if (!records.empty()) return records;
    ASSIGN_OR_RETURN(const TableState state, ReadState(connection, deadline));
    RETURN_IF_ERROR(WhyNot(state));
    if (from < state.range.first) return LogTrimmed(from, state.range.first);
    NoteLast(state.range.last);
    // Another server has said that there is more: this one may have been left behind by a failover.
    if (state.range.last < told) connection.GiveUp();
    // A record that came since is read the next time.
    if (from <= state.range.last && rows->size() > 0) {
      return LogDamaged(from, "the table has a hole there");
    }
    return records;
  };
  Records records = OnLane<Records>(reads_, deadline, read);
  NoteStatus(records.status());
  if (records.ok() && !records->empty()) {
    absl::MutexLock lock(&mu_);
    known_last_ = std::max(known_last_, records->back().index);
  }
  return records;
}

absl::StatusOr<RecordRange> PostgresLog::Last() {
  const SteadyTime deadline = Deadline();
  using Range = absl::StatusOr<RecordRange>;
  Range range = OnLane<Range>(asks_, deadline, [&](PostgresConnection& connection) -> Range {
    ASSIGN_OR_RETURN(const TableState state, ReadState(connection, deadline));
    RETURN_IF_ERROR(WhyNot(state));
    return state.range;
  });
  absl::MutexLock lock(&mu_);
  NoteCall(range.status(), state_);
  if (range.ok()) known_last_ = range->last;
  return range;
}

absl::Status PostgresLog::ConfirmOn(PostgresConnection& connection, LogIndex index,
                                    SteadyTime deadline) {
  const std::string genesis = Genesis();
  const absl::StatusOr<std::vector<PostgresRows>> rows = connection.Run(
      {{.text = sql_.confirm, .values = {PostgresValue::Int(index), PostgresValue::Text(genesis)}},
       {.text = "check", .prepared = true}},
      deadline);
  if (!rows.ok()) return FromSql(rows.status(), index);
  if (rows->size() != 2 || rows->at(1).size() != 1) {
    return EngineUnavailable("PostgreSQL gave an unexpected answer");
  }
  if (!trust_storage_ && !rows->at(1).Bool(0, 0)) {
    return UnsafeSetting("synchronous_standby_names", "it is empty");
  }
  if (rows->at(0).changed() > 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const TableState state, ReadState(connection, deadline));
  RETURN_IF_ERROR(WhyNot(state));
  return state.range.last < index ? LogBehind(index, state.range.last)
                                  : EngineUnavailable("try again");
}

absl::Status PostgresLog::Confirm(LogIndex index) {
  const SteadyTime deadline = Deadline();
  absl::Status status = OnLane<absl::Status>(asks_, deadline, [&](PostgresConnection& connection) {
    return ConfirmOn(connection, index, deadline);
  });
  NoteStatus(status);
  return status;
}

absl::StatusOr<RecordRange> PostgresLog::Trim(LogIndex to) {
  const SteadyTime deadline = Deadline();
  using Range = absl::StatusOr<RecordRange>;
  Range range = OnLane<Range>(asks_, deadline, [&](PostgresConnection& connection) -> Range {
    const std::string genesis = Genesis();
    while (true) {
      const absl::StatusOr<PostgresRows> rows =
          connection.RunOne({.text = sql_.trim,
                             .values = {PostgresValue::Int(to), PostgresValue::Int(kTrimStep),
                                        PostgresValue::Text(genesis)}},
                            deadline);
      if (!rows.ok()) return FromSql(rows.status(), to);
      if (rows->changed() < kTrimStep) break;
    }
    ASSIGN_OR_RETURN(const TableState state, ReadState(connection, deadline));
    RETURN_IF_ERROR(WhyNot(state));
    return state.range;
  });
  NoteStatus(range.status());
  return range;
}

absl::StatusOr<std::string> PostgresLog::Identity() {
  const SteadyTime deadline = Deadline();
  using Genesis = absl::StatusOr<std::string>;
  Genesis genesis =
      OnLane<Genesis>(asks_, deadline, [&](PostgresConnection& connection) -> Genesis {
        ASSIGN_OR_RETURN(const TableState state, ReadState(connection, deadline));
        RETURN_IF_ERROR(WhyNot(state));
        return state.genesis;
      });
  NoteStatus(genesis.status());
  return genesis;
}

bool PostgresLog::AwaitRecord(LogIndex index, absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (known_last_ > index) return true;
    }
    const SteadyTime asking = std::min(Deadline(), deadline + std::chrono::milliseconds(100));
    using Range = absl::StatusOr<RecordRange>;
    const Range range = OnLane<Range>(reads_, asking, [&](PostgresConnection& connection) -> Range {
      ASSIGN_OR_RETURN(const TableState state, ReadState(connection, asking));
      return state.range;
    });
    absl::MutexLock lock(&mu_);
    if (range.ok()) known_last_ = std::max(known_last_, range->last);
    if (known_last_ > index) return true;
    const SteadyTime pause_end = std::min(deadline, SteadyDeadline(kPollInterval));
    while (!woken_ && !stop_.is_set() && TimeLeft(pause_end) > absl::ZeroDuration()) {
      wake_.WaitWithTimeout(&mu_, TimeLeft(pause_end));
    }
    if (woken_ || stop_.is_set() || TimeLeft(deadline) <= absl::ZeroDuration()) {
      woken_ = false;
      return false;
    }
  }
}

void PostgresLog::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
  wake_.SignalAll();
}

EngineState PostgresLog::State() const {
  absl::MutexLock lock(&mu_);
  return state_;
}

void PostgresLog::Shutdown() {
  stop_.Set();
  absl::MutexLock lock(&mu_);
  wake_.SignalAll();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenPostgresLog(const ReplicatedLogOptions& options,
                                                               const PostgresLogOptions& postgres) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(const LibPq* const pq, LibPq::Load());
  ASSIGN_OR_RETURN(PostgresAddress address, PostgresAddress::Parse(*pq, postgres.uri));
  return std::make_unique<PostgresLog>(*pq, options, std::move(address), postgres.trust_storage);
}

}  // namespace hookgate
