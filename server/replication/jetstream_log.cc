#include "server/replication/jetstream_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "common/monotonic_cond_var.h"
#include "server/base/status.h"
#include "server/replication/call_slot.h"
#include "server/replication/jetstream_stream.h"
#include "server/replication/libnats.h"
#include "server/replication/log_errors.h"
#include "server/replication/nats_session.h"
#include "server/replication/overdue_calls.h"

namespace hookgate {
namespace {

constexpr absl::Duration kBetweenConnections = absl::Milliseconds(250);
// A consumer is made again when it is silent for twice as long.
constexpr int64_t kHeartbeatNanoseconds = 1'000'000'000;
// How quickly a wait for a record hears of Wake and Shutdown.
constexpr absl::Duration kWaitSlice = absl::Milliseconds(50);
// For how long the stream has to end too early before that is believed: after an election its
// leader may be behind for a moment.
constexpr absl::Duration kBelieveBehind = absl::Seconds(1);
constexpr absl::Duration kAskAgain = absl::Milliseconds(100);
// How much longer than its time-out a call of libnats may take.
constexpr absl::Duration kOverdue = absl::Seconds(1);
// How often a hole is read again, by another consumer, before the stream's leader is asked.
constexpr int kHoleAttempts = 3;
constexpr int kMostPendingBytes = 64 << 20;

// Error codes of JetStream's that libnats has no names for.
constexpr int kWrongLastSequenceConstant = 10164;
constexpr int kMessageTooLarge = 10054;

struct StreamState {
  std::string genesis;
  RecordRange range;
  bool has_leader = true;
};

class JetStreamLog final : public ReplicatedLog {
 public:
  JetStreamLog(const LibNats& nats, ReplicatedLogOptions options, JetStreamLogOptions jetstream);
  ~JetStreamLog() override;

  CompareAppendResult CompareAppend(LogIndex expected, absl::string_view bytes,
                                    absl::Duration timeout) override;
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
  // A consumer of the stream, and what it has brought. Touched by who holds reads_.
  struct Reader {
    NatsSessionPtr session;
    natsSubscription* subscription = nullptr;
    LogIndex next = 0;        // that is expected to come
    natsMsg* held = nullptr;  // it has come, and was not returned yet
  };

  SteadyTime Deadline() const { return SteadyDeadline(options_.timeout); }

  // The connection, made and checked if there is none.
  absl::StatusOr<NatsSessionPtr> Session(SteadyTime deadline);
  absl::StatusOr<NatsSessionPtr> Connect(SteadyTime deadline);
  absl::Status FindStream(const NatsSessionPtr& session, SteadyTime deadline);
  void Drop(const NatsSessionPtr& session) ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<StreamState> ReadState(const NatsSessionPtr& session, SteadyTime deadline,
                                        StreamSettings* settings = nullptr);
  // The same, of our log.
  absl::StatusOr<StreamState> OurState(SteadyTime deadline);
  // From the stream's leader; nullopt if it holds none there.
  absl::StatusOr<absl::optional<std::string>> Get(const NatsSessionPtr& session, LogIndex index,
                                                  SteadyTime deadline);
  CompareAppendResult TryAppend(LogIndex expected, absl::string_view bytes, SteadyTime deadline);
  CompareAppendResult Publish(const NatsSessionPtr& session, LogIndex expected,
                              absl::string_view bytes, SteadyTime deadline);
  // Why the place was not free.
  CompareAppendResult FindOut(const NatsSessionPtr& session, LogIndex expected,
                              absl::string_view bytes, SteadyTime deadline);

  absl::StatusOr<std::vector<LogRecord>> TryRead(LogIndex from, const RecordLimits& limits,
                                                 SteadyTime deadline);
  // Has the reader's next record be `from`.
  absl::Status Position(LogIndex from, SteadyTime deadline);
  // Of a consumer's message; 0 if it is none.
  LogIndex IndexOf(natsMsg* message) const;
  // The reader's next record is held if it comes by `deadline`; false if it does not. DATA_LOSS if
  // a later one comes instead.
  absl::StatusOr<bool> Fetch(SteadyTime deadline);
  // When the consumer does not bring the record: what the stream's leader has.
  absl::StatusOr<std::vector<LogRecord>> ReadFromLeader(LogIndex from, const RecordLimits& limits,
                                                        SteadyTime deadline);
  void EndReader();

  // While it lives a call of libnats, which waits by the wall clock, is ended with its connection
  // if it takes longer than until `deadline`.
  OverdueCalls::Call Guard(const NatsSessionPtr& session, SteadyTime deadline) {
    return {overdue_, deadline + absl::ToChronoNanoseconds(kOverdue),
            [session] { session->Close(); }};
  }
  absl::Status FromNats(natsStatus status, int code, absl::string_view what) const;
  bool stopped() const ABSL_LOCKS_EXCLUDED(mu_);
  std::string Genesis() const ABSL_LOCKS_EXCLUDED(mu_);
  LogIndex KnownLast() const ABSL_LOCKS_EXCLUDED(mu_);
  LogIndex KnownFirst() const ABSL_LOCKS_EXCLUDED(mu_);
  void NoteRange(const RecordRange& range) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteAtLeast(LogIndex last) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteStatus(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits, or until Shutdown.
  void Pause(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const LibNats& nats_;
  const ReplicatedLogOptions options_;
  const JetStreamLogOptions jetstream_;
  const JetStreamStream stream_;

  OverdueCalls overdue_;  // does its own locking
  CallSlot connects_;
  CallSlot appends_;
  CallSlot reads_;

  Reader reader_;  // touched by who holds reads_
  // Touched by who holds connects_.
  SteadyTime last_attempt_;
  bool attempted_ = false;

  mutable absl::Mutex mu_;
  NatsSessionPtr session_ ABSL_GUARDED_BY(mu_);
  size_t next_server_ ABSL_GUARDED_BY(mu_) = 0;
  std::string genesis_ ABSL_GUARDED_BY(mu_);
  EngineState state_ ABSL_GUARDED_BY(mu_);
  // As last heard of.
  LogIndex known_first_ ABSL_GUARDED_BY(mu_) = 1;
  LogIndex known_last_ ABSL_GUARDED_BY(mu_) = 0;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicCondVar stop_;
};

JetStreamLog::JetStreamLog(const LibNats& nats, ReplicatedLogOptions options,
                           JetStreamLogOptions jetstream)
    : nats_(nats),
      options_(std::move(options)),
      jetstream_(std::move(jetstream)),
      stream_(jetstream_, options_.cluster, options_.max_record_bytes),
      genesis_(options_.genesis) {
  state_.engine = "jetstream";
  state_.status = EngineUnavailable("not connected yet");
  if (jetstream_.trust_fsync) state_.trusted.push_back("trust_fsync");
  if (jetstream_.trust_storage) state_.trusted.push_back("trust_storage");
}

JetStreamLog::~JetStreamLog() {
  Shutdown();
  EndReader();
}

// --- Small things -----------------------------------------------------------------------------

bool JetStreamLog::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

std::string JetStreamLog::Genesis() const {
  absl::MutexLock lock(&mu_);
  return genesis_;
}

LogIndex JetStreamLog::KnownLast() const {
  absl::MutexLock lock(&mu_);
  return known_last_;
}

LogIndex JetStreamLog::KnownFirst() const {
  absl::MutexLock lock(&mu_);
  return known_first_;
}

void JetStreamLog::NoteRange(const RecordRange& range) {
  absl::MutexLock lock(&mu_);
  known_first_ = range.first;
  known_last_ = range.last;
}

void JetStreamLog::NoteAtLeast(LogIndex last) {
  absl::MutexLock lock(&mu_);
  known_last_ = std::max(known_last_, last);
}

void JetStreamLog::NoteStatus(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  NoteCall(status, state_);
}

void JetStreamLog::Pause(absl::Duration duration) {
  const SteadyTime end = SteadyDeadline(duration);
  absl::MutexLock lock(&mu_);
  while (!stopped_ && TimeLeft(end) > absl::ZeroDuration()) {
    stop_.WaitWithTimeout(&mu_, TimeLeft(end));
  }
}

absl::Status JetStreamLog::FromNats(natsStatus status, int code, absl::string_view what) const {
  return code == JSStreamNotFoundErr ? LogMissing(stream_.name())
                                     : NatsError(nats_, status, code, what);
}

// --- Connections ------------------------------------------------------------------------------

absl::StatusOr<NatsSessionPtr> JetStreamLog::Session(SteadyTime deadline) {
  const CallSlot::Holder turn(connects_, deadline);
  if (!turn.held()) return EngineUnavailable("the engine did not answer in time");
  {
    absl::MutexLock lock(&mu_);
    if (stopped_) return EngineUnavailable("the log is shut down");
    if (session_ != nullptr && !session_->closed()) return session_;
    session_ = nullptr;
  }
  if (attempted_) {
    const SteadyTime next = last_attempt_ + absl::ToChronoNanoseconds(kBetweenConnections);
    Pause(TimeLeft(std::min(next, deadline)));
  }
  attempted_ = true;
  last_attempt_ = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(NatsSessionPtr session, Connect(deadline));
  absl::MutexLock lock(&mu_);
  if (stopped_) return EngineUnavailable("the log is shut down");
  session_ = session;
  ++state_.connections;
  char url[256] = "";
  nats_.natsConnection_GetConnectedUrl(session->connection(), url, sizeof url);
  state_.server = absl::StrCat("NATS at ", PublicNatsUrl(url));
  return session;
}

absl::StatusOr<NatsSessionPtr> JetStreamLog::Connect(SteadyTime deadline) {
  absl::Status error = EngineUnavailable("no server answers in time");
  for (size_t i = 0; i < jetstream_.servers.size(); ++i) {
    if (stopped() || TimeLeft(deadline) <= absl::ZeroDuration()) break;
    size_t server = 0;
    {
      absl::MutexLock lock(&mu_);
      server = next_server_ % jetstream_.servers.size();
    }
    absl::StatusOr<NatsSessionPtr> session = ConnectToNats(
        nats_, jetstream_, jetstream_.servers[server], stream_.max_message_bytes(), deadline);
    absl::Status status = session.status();
    if (session.ok()) status = FindStream(*session, deadline);
    if (status.ok()) return session;
    error = status;
    {
      absl::MutexLock lock(&mu_);
      next_server_ = server + 1;
    }
    // Another server would say the same of the stream.
    if (session.ok() && status.code() != absl::StatusCode::kUnavailable) break;
  }
  return error;
}

void JetStreamLog::Drop(const NatsSessionPtr& session) {
  {
    absl::MutexLock lock(&mu_);
    if (session_ == session) session_ = nullptr;
    // The one that hangs is the last to be tried.
    ++next_server_;
  }
  session->Close();
}

absl::Status JetStreamLog::FindStream(const NatsSessionPtr& session, SteadyTime deadline) {
  StreamSettings settings;
  absl::StatusOr<StreamState> state = ReadState(session, deadline, &settings);
  if (ReasonOf(state.status()) == log_reason::kLogMissing) {
    if (!options_.create || !Genesis().empty()) return state.status();
    // Nothing is made where it would be refused.
    RETURN_IF_ERROR(stream_.CheckSync({}, deadline));
    const OverdueCalls::Call guard = Guard(session, deadline);
    RETURN_IF_ERROR(stream_.Make(nats_, session, deadline));
    state = ReadState(session, deadline, &settings);
  }
  RETURN_IF_ERROR(settings.problem);
  RETURN_IF_ERROR(state.status());
  {
    absl::MutexLock lock(&mu_);
    if (genesis_.empty()) genesis_ = state->genesis;
    if (genesis_ != state->genesis) return LogReplaced(genesis_, state->genesis);
  }
  return stream_.CheckSync(settings.peers, deadline);
}

absl::StatusOr<StreamState> JetStreamLog::ReadState(const NatsSessionPtr& session,
                                                    SteadyTime deadline, StreamSettings* settings) {
  jsOptions options;
  nats_.jsOptions_Init(&options);
  options.Wait = NatsMilliseconds(TimeLeft(deadline));
  jsStreamInfo* info = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const OverdueCalls::Call guard = Guard(session, deadline);
  const natsStatus status =
      nats_.js_GetStreamInfo(&info, session->js(), stream_.name().c_str(), &options, &code);
  if (status != NATS_OK) {
    // Whom we are connected to may hang, or be cut off from the rest.
    if (status == NATS_TIMEOUT) Drop(session);
    return FromNats(status, code, absl::StrCat("asking for the stream ", stream_.name()));
  }
  const std::unique_ptr<jsStreamInfo, decltype(nats_.jsStreamInfo_Destroy)> owner(
      info, nats_.jsStreamInfo_Destroy);
  StreamState state;
  state.genesis = stream_.GenesisOf(*info);
  state.range.last = static_cast<LogIndex>(info->State.LastSeq);
  state.range.first =
      info->State.Msgs == 0 ? state.range.last + 1 : static_cast<LogIndex>(info->State.FirstSeq);
  state.has_leader = info->Cluster == nullptr || info->Cluster->Leader != nullptr;
  if (settings != nullptr) *settings = stream_.Check(*info);
  return state;
}

absl::StatusOr<StreamState> JetStreamLog::OurState(SteadyTime deadline) {
  while (true) {
    ASSIGN_OR_RETURN(const NatsSessionPtr session, Session(deadline));
    absl::StatusOr<StreamState> state = ReadState(session, deadline);
    if (state.ok()) {
      const std::string genesis = Genesis();
      if (state->genesis != genesis) return LogReplaced(genesis, state->genesis);
      NoteRange(state->range);
      return state;
    }
    // During an election the servers say at once that they cannot.
    const bool again = state.status().code() == absl::StatusCode::kUnavailable && !stopped() &&
                       TimeLeft(deadline) > kAskAgain;
    if (!again) return state.status();
    Pause(kAskAgain);
  }
}

// --- Appending --------------------------------------------------------------------------------

CompareAppendResult JetStreamLog::CompareAppend(LogIndex expected, absl::string_view bytes,
                                                absl::Duration timeout) {
  CompareAppendResult result = TryAppend(expected, bytes, SteadyDeadline(timeout));
  absl::MutexLock lock(&mu_);
  NoteAppend(result, state_);
  const bool is_there = result.outcome == CompareAppendOutcome::kAppended ||
                        result.outcome == CompareAppendOutcome::kLost;
  if (is_there) known_last_ = std::max(known_last_, result.index);
  return result;
}

CompareAppendResult JetStreamLog::TryAppend(LogIndex expected, absl::string_view bytes,
                                            SteadyTime deadline) {
  const LogIndex index = expected + 1;
  if (bytes.empty() || static_cast<int64_t>(bytes.size()) > options_.max_record_bytes) {
    return Refused(index, RecordSize(bytes.size(), options_.max_record_bytes));
  }
  const CallSlot::Holder turn(appends_, deadline);
  if (!turn.held()) return Refused(index, EngineUnavailable("other appends take too long"));
  // While the stream has no leader, its servers say at once that nobody takes the record; it is
  // sent again, the same at the same place, until the time is up.
  CompareAppendResult result;
  for (bool sent = false;; sent = true) {
    const absl::StatusOr<NatsSessionPtr> session = Session(deadline);
    if (!session.ok()) {
      return sent ? Unknown(index, EngineUnavailable(session.status().message()))
                  : Refused(index, session.status());
    }
    result = Publish(*session, expected, bytes, deadline);
    // What was sent before may still come.
    if (result.outcome == CompareAppendOutcome::kRefused && sent) {
      return Unknown(index, result.status);
    }
    if (result.outcome != CompareAppendOutcome::kUnknown || stopped() ||
        TimeLeft(deadline) <= kAskAgain) {
      return result;
    }
    Pause(kAskAgain);
  }
}

CompareAppendResult JetStreamLog::Publish(const NatsSessionPtr& session, LogIndex expected,
                                          absl::string_view bytes, SteadyTime deadline) {
  const LogIndex index = expected + 1;
  natsMsg* raw = nullptr;
  natsStatus status = nats_.natsMsg_Create(&raw, stream_.subject().c_str(), nullptr, bytes.data(),
                                           static_cast<int>(bytes.size()));
  if (status != NATS_OK) return Refused(index, FromNats(status, 0, "a record"));
  const std::unique_ptr<natsMsg, decltype(nats_.natsMsg_Destroy)> message(raw,
                                                                          nats_.natsMsg_Destroy);
  // By hand: to libnats 0 means that nothing is expected.
  status =
      nats_.natsMsgHeader_Set(raw, "Nats-Expected-Last-Sequence", absl::StrCat(expected).c_str());
  if (status == NATS_OK) {
    status = nats_.natsMsgHeader_Set(raw, "Nats-Expected-Stream", stream_.name().c_str());
  }
  if (status == NATS_OK && expected == 0) {
    status = nats_.natsMsgHeader_Set(raw, "Nats-Expected-Last-Subject-Sequence", "0");
  }
  if (status != NATS_OK) return Refused(index, FromNats(status, 0, "a record"));
  jsPubOptions options;
  nats_.jsPubOptions_Init(&options);
  options.MaxWait = NatsMilliseconds(TimeLeft(deadline));
  jsPubAck* ack = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  {
    const OverdueCalls::Call guard = Guard(session, deadline);
    status = nats_.js_PublishMsg(&ack, session->js(), raw, &options, &code);
  }
  if (status == NATS_OK) {
    const auto sequence = static_cast<LogIndex>(ack->Sequence);
    nats_.jsPubAck_Destroy(ack);
    if (sequence == index) return Appended(index);
    return Unknown(index, LogDamaged(index, absl::StrCat("JetStream put it at ", sequence)));
  }
  if (code == JSStreamWrongLastSequenceErr || code == kWrongLastSequenceConstant) {
    return FindOut(session, expected, bytes, deadline);
  }
  const absl::Status error = FromNats(status, code, absl::StrCat("appending to ", stream_.name()));
  if (code == kMessageTooLarge || status == NATS_MAX_PAYLOAD) {
    return Refused(index, UnsafeSetting("max_payload", error.message()));
  }
  if (status == NATS_TIMEOUT) Drop(session);
  // Whatever else it says, it may have been said by one server of several.
  return Unknown(index, EngineUnavailable(error.message()));
}

absl::StatusOr<absl::optional<std::string>> JetStreamLog::Get(const NatsSessionPtr& session,
                                                              LogIndex index, SteadyTime deadline) {
  jsOptions options;
  nats_.jsOptions_Init(&options);
  options.Wait = NatsMilliseconds(TimeLeft(deadline));
  natsMsg* message = nullptr;
  jsErrCode code = static_cast<jsErrCode>(0);
  const OverdueCalls::Call guard = Guard(session, deadline);
  const natsStatus status = nats_.js_GetMsg(&message, session->js(), stream_.name().c_str(),
                                            static_cast<uint64_t>(index), &options, &code);
  if (code == JSNoMessageFoundErr) return absl::optional<std::string>();
  if (status != NATS_OK) {
    if (status == NATS_TIMEOUT) Drop(session);
    return FromNats(status, code, absl::StrCat("reading record ", index));
  }
  std::string bytes(nats_.natsMsg_GetData(message),
                    static_cast<size_t>(nats_.natsMsg_GetDataLength(message)));
  nats_.natsMsg_Destroy(message);
  return absl::optional<std::string>(std::move(bytes));
}

CompareAppendResult JetStreamLog::FindOut(const NatsSessionPtr& session, LogIndex expected,
                                          absl::string_view bytes, SteadyTime deadline) {
  const LogIndex index = expected + 1;
  const auto unknown_or_refused = [&](const absl::Status& why) {
    return ReasonOf(why) == log_reason::kEngineUnavailable ? Unknown(index, why)
                                                           : Refused(index, why);
  };
  SteadyTime behind_since;
  bool behind = false;
  while (true) {
    const absl::StatusOr<StreamState> state = ReadState(session, deadline);
    if (!state.ok()) return unknown_or_refused(state.status());
    const std::string genesis = Genesis();
    if (state->genesis != genesis) return Refused(index, LogReplaced(genesis, state->genesis));
    if (state->range.first > index) {
      return Refused(index, LogTrimmed(index, state->range.first));
    }
    if (state->range.last >= index) {
      absl::StatusOr<absl::optional<std::string>> there = Get(session, index, deadline);
      if (!there.ok()) return unknown_or_refused(there.status());
      if (!there->has_value()) {
        return Refused(index, LogDamaged(index, "the stream has a hole there"));
      }
      if (**there == bytes) return Appended(index);
      return Lost({index, std::move(**there)}, index);
    }
    // The leader counts what it has proposed and is not committed yet, so that an append may be
    // refused whose place is still free.
    if (state->range.last < expected && state->has_leader) {
      const SteadyTime now = std::chrono::steady_clock::now();
      if (!behind) behind_since = now;
      behind = true;
      if (absl::FromChrono(now - behind_since) >= kBelieveBehind) {
        return Refused(index, LogBehind(expected, state->range.last));
      }
    } else {
      behind = false;
    }
    if (stopped() || TimeLeft(deadline) <= kAskAgain) {
      return Unknown(index, EngineUnavailable("another append is under way"));
    }
    Pause(behind ? kAskAgain : absl::Milliseconds(5));
  }
}

// --- Reading ----------------------------------------------------------------------------------

void JetStreamLog::EndReader() {
  if (reader_.held != nullptr) nats_.natsMsg_Destroy(reader_.held);
  if (reader_.subscription != nullptr) nats_.natsSubscription_Destroy(reader_.subscription);
  reader_ = Reader();
}

absl::Status JetStreamLog::Position(LogIndex from, SteadyTime deadline) {
  ASSIGN_OR_RETURN(const NatsSessionPtr session, Session(deadline));
  if (reader_.subscription != nullptr && reader_.session == session && reader_.next == from) {
    return absl::OkStatus();
  }
  EndReader();
  jsOptions options;
  nats_.jsOptions_Init(&options);
  options.Wait = NatsMilliseconds(TimeLeft(deadline));
  jsSubOptions sub;
  nats_.jsSubOptions_Init(&sub);
  sub.Stream = stream_.name().c_str();
  sub.Ordered = true;
  sub.Config.DeliverPolicy = js_DeliverByStartSequence;
  sub.Config.OptStartSeq = static_cast<uint64_t>(from);
  sub.Config.Heartbeat = kHeartbeatNanoseconds;
  jsErrCode code = static_cast<jsErrCode>(0);
  const OverdueCalls::Call guard = Guard(session, deadline);
  const natsStatus status = nats_.js_SubscribeSync(
      &reader_.subscription, session->js(), stream_.subject().c_str(), &options, &sub, &code);
  if (status != NATS_OK) {
    reader_.subscription = nullptr;
    if (status == NATS_TIMEOUT) Drop(session);
    return FromNats(status, code, absl::StrCat("reading the stream ", stream_.name()));
  }
  nats_.natsSubscription_SetPendingLimits(reader_.subscription, -1, kMostPendingBytes);
  reader_.session = session;
  reader_.next = from;
  return absl::OkStatus();
}

LogIndex JetStreamLog::IndexOf(natsMsg* message) const {
  jsMsgMetaData* metadata = nullptr;
  if (nats_.natsMsg_GetMetaData(&metadata, message) != NATS_OK) return 0;
  const auto index = static_cast<LogIndex>(metadata->Sequence.Stream);
  nats_.jsMsgMetaData_Destroy(metadata);
  return index;
}

absl::StatusOr<bool> JetStreamLog::Fetch(SteadyTime deadline) {
  while (reader_.held == nullptr) {
    uint64_t queued = 0;
    nats_.natsSubscription_QueuedMsgs(reader_.subscription, &queued);
    const absl::Duration left = TimeLeft(deadline);
    if (queued == 0 && left <= absl::ZeroDuration()) return false;
    natsMsg* message = nullptr;
    const OverdueCalls::Call guard = Guard(reader_.session, deadline);
    const natsStatus status =
        nats_.natsSubscription_NextMsg(&message, reader_.subscription, NatsMilliseconds(left));
    if (status == NATS_TIMEOUT) {
      // What is counted as queued may be a message of the library's own.
      if (TimeLeft(deadline) <= absl::ZeroDuration()) return false;
      continue;
    }
    if (status != NATS_OK) {
      const absl::Status error = FromNats(status, 0, absl::StrCat("reading ", stream_.name()));
      EndReader();
      return EngineUnavailable(error.message());
    }
    const LogIndex index = IndexOf(message);
    if (index == reader_.next) {
      reader_.held = message;
      break;
    }
    nats_.natsMsg_Destroy(message);
    // What comes again is of a consumer that was made again.
    if (index > reader_.next) {
      const LogIndex missing = reader_.next;
      EndReader();
      return LogDamaged(missing, "the stream has a hole there");
    }
  }
  return true;
}

absl::StatusOr<std::vector<LogRecord>> JetStreamLog::ReadFromLeader(LogIndex from,
                                                                    const RecordLimits& limits,
                                                                    SteadyTime deadline) {
  ASSIGN_OR_RETURN(const StreamState state, OurState(deadline));
  std::vector<LogRecord> records;
  if (from < state.range.first) return LogTrimmed(from, state.range.first);
  const LogIndex last =
      std::min(state.range.last, from + std::max<int64_t>(limits.max_records, 1) - 1);
  int64_t read_bytes = 0;
  for (LogIndex index = from; index <= last; ++index) {
    ASSIGN_OR_RETURN(const NatsSessionPtr session, Session(deadline));
    absl::StatusOr<absl::optional<std::string>> bytes = Get(session, index, deadline);
    if (bytes.ok() && bytes->has_value()) read_bytes += static_cast<int64_t>((*bytes)->size());
    // What has been read is of use whatever comes next; who reads on meets it.
    const bool ends = !bytes.ok() || !bytes->has_value() || read_bytes > limits.max_bytes;
    if (ends && !records.empty()) break;
    RETURN_IF_ERROR(bytes.status());
    if (!bytes->has_value()) return LogDamaged(index, "the stream has a hole there");
    records.push_back({index, std::move(**bytes)});
  }
  return records;
}

absl::StatusOr<std::vector<LogRecord>> JetStreamLog::TryRead(LogIndex from,
                                                             const RecordLimits& limits,
                                                             SteadyTime deadline) {
  const CallSlot::Holder turn(reads_, deadline);
  if (!turn.held()) return EngineUnavailable("other reads take too long");
  // The server that a consumer reads from may not have heard of the trim.
  const LogIndex first = KnownFirst();
  if (from < first) return LogTrimmed(from, first);
  // A record that is known to be there is waited for, for half of the time.
  const SteadyTime soon = SteadyDeadline(TimeLeft(deadline) / 2);
  std::vector<LogRecord> records;
  int64_t bytes = 0;
  for (int holes = 0; static_cast<int64_t>(records.size()) < limits.max_records;) {
    const absl::Status positioned =
        Position(from + static_cast<LogIndex>(records.size()), records.empty() ? soon : deadline);
    if (!positioned.ok()) {
      if (!records.empty()) return records;
      if (positioned.code() != absl::StatusCode::kUnavailable || stopped()) return positioned;
      // The server that was to read it for us may hang.
      return ReadFromLeader(from, limits, deadline);
    }
    const bool is_there = reader_.next <= KnownLast();
    const bool wait = records.empty() && is_there;
    const absl::StatusOr<bool> fetched = Fetch(wait ? soon : std::chrono::steady_clock::now());
    if (!fetched.ok()) {
      if (!records.empty()) return records;
      if (fetched.status().code() != absl::StatusCode::kDataLoss) return fetched.status();
      // Trimmed, damaged, or a copy that is: a consumer reads from one server, and the next one may
      // read from another.
      ASSIGN_OR_RETURN(const StreamState state, OurState(deadline));
      if (from < state.range.first) return LogTrimmed(from, state.range.first);
      if (++holes >= kHoleAttempts) return ReadFromLeader(from, limits, deadline);
      continue;
    }
    if (!*fetched) {
      if (!wait) break;
      EndReader();
      return ReadFromLeader(from, limits, deadline);
    }
    const auto size = static_cast<int64_t>(nats_.natsMsg_GetDataLength(reader_.held));
    if (!records.empty() && bytes + size > limits.max_bytes) break;
    bytes += size;
    records.push_back({reader_.next, std::string(nats_.natsMsg_GetData(reader_.held),
                                                 static_cast<size_t>(size))});
    nats_.natsMsg_Destroy(reader_.held);
    reader_.held = nullptr;
    ++reader_.next;
  }
  return records;
}

absl::StatusOr<std::vector<LogRecord>> JetStreamLog::Read(LogIndex from,
                                                          const RecordLimits& limits) {
  absl::StatusOr<std::vector<LogRecord>> records = TryRead(from, limits, Deadline());
  NoteStatus(records.status());
  if (records.ok() && !records->empty()) NoteAtLeast(records->back().index);
  return records;
}

bool JetStreamLog::AwaitRecord(LogIndex index, absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  while (true) {
    if (KnownLast() > index) return true;
    {
      const CallSlot::Holder turn(reads_, deadline);
      if (turn.held()) {
        const SteadyTime slice = std::min(deadline, SteadyDeadline(kWaitSlice));
        absl::Status status = Position(index + 1, Deadline());
        if (status.ok()) {
          const absl::StatusOr<bool> fetched = Fetch(slice);
          // A hole is news, too: Read says what it is.
          const bool hole = fetched.status().code() == absl::StatusCode::kDataLoss;
          if (fetched.ok() && *fetched) NoteAtLeast(index + 1);
          if (hole || (fetched.ok() && *fetched)) return true;
          status = fetched.status();
        }
        if (!status.ok()) {
          NoteStatus(status);
          Pause(TimeLeft(slice));
        }
      }
    }
    absl::MutexLock lock(&mu_);
    if (woken_ || stopped_ || TimeLeft(deadline) <= absl::ZeroDuration()) {
      woken_ = false;
      return false;
    }
  }
}

// --- The rest ---------------------------------------------------------------------------------

absl::StatusOr<RecordRange> JetStreamLog::Last() {
  const absl::StatusOr<StreamState> state = OurState(Deadline());
  NoteStatus(state.status());
  if (!state.ok()) return state.status();
  return state->range;
}

absl::Status JetStreamLog::Confirm(LogIndex index) {
  // JetStream shows nothing that is not committed.
  if (index <= KnownLast()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const RecordRange range, Last());
  return range.last < index ? LogBehind(index, range.last) : absl::OkStatus();
}

absl::StatusOr<RecordRange> JetStreamLog::Trim(LogIndex to) {
  const SteadyTime deadline = Deadline();
  absl::StatusOr<StreamState> state = OurState(deadline);
  if (state.ok() && std::min(to, state->range.last - 1) >= state->range.first) {
    jsOptions options;
    nats_.jsOptions_Init(&options);
    options.Wait = NatsMilliseconds(TimeLeft(deadline));
    // The first that stays.
    options.Stream.Purge.Sequence = static_cast<uint64_t>(std::min(to, state->range.last - 1) + 1);
    jsErrCode code = static_cast<jsErrCode>(0);
    const absl::StatusOr<NatsSessionPtr> session = Session(deadline);
    if (!session.ok()) return session.status();
    const OverdueCalls::Call guard = Guard(*session, deadline);
    const natsStatus status =
        nats_.js_PurgeStream((*session)->js(), stream_.name().c_str(), &options, &code);
    if (status == NATS_OK) {
      state = OurState(deadline);
    } else {
      state = FromNats(status, code, absl::StrCat("trimming the stream ", stream_.name()));
    }
  }
  NoteStatus(state.status());
  if (!state.ok()) return state.status();
  return state->range;
}

absl::StatusOr<std::string> JetStreamLog::Identity() {
  const absl::StatusOr<StreamState> state = OurState(Deadline());
  NoteStatus(state.status());
  if (!state.ok()) return state.status();
  return state->genesis;
}

void JetStreamLog::Wake() {
  absl::MutexLock lock(&mu_);
  woken_ = true;
}

absl::Status JetStreamLog::CheckSettings() {
  const SteadyTime deadline = Deadline();
  ASSIGN_OR_RETURN(const NatsSessionPtr session, Session(deadline));
  StreamSettings settings;
  RETURN_IF_ERROR(ReadState(session, deadline, &settings).status());
  absl::Status status = settings.problem;
  if (status.ok()) status = stream_.CheckSync(settings.peers, deadline);
  // The next connection is refused, until they are safe again.
  if (ReasonOf(status) == log_reason::kUnsafeSetting) Drop(session);
  NoteStatus(status);
  return status;
}

EngineState JetStreamLog::State() const {
  absl::MutexLock lock(&mu_);
  return state_;
}

void JetStreamLog::Shutdown() {
  NatsSessionPtr session;
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    session = std::move(session_);
    session_ = nullptr;
    stop_.SignalAll();
  }
  if (session != nullptr) session->Close();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenJetStreamLog(
    const ReplicatedLogOptions& options, const JetStreamLogOptions& jetstream) {
  RETURN_IF_ERROR(CheckOptions(options));
  RETURN_IF_ERROR(CheckJetStreamOptions(jetstream));
  ASSIGN_OR_RETURN(const LibNats* const nats, LibNats::Load());
  return std::make_unique<JetStreamLog>(*nats, options, jetstream);
}

}  // namespace hookgate
