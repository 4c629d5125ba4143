// The log of events: append durably, read from a position, find, list. The seam behind which the
// storage can change; the embedded one is SqliteEventLog.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log_history.h"

namespace hookgate {

// Position of an event in its log: from 1, only grows, never given twice. 0 is before the first.
using Sequence = int64_t;

// What goes to subscribers of an event: views into wherever it is held.
struct EventContent {
  Sequence sequence = 0;
  absl::string_view envelope;  // serialised hookgate.v1.Event without sequence, cursor and raw_body
  absl::string_view raw_body;  // exactly as received
};

// An event on its way into the log, or in it. Immutable once shared.
struct StoredEvent {
  Sequence sequence = 0;  // given by Append
  std::string source;
  std::string webhook_id;
  std::string type;
  std::string subject;
  bool failure = false;
  absl::Time receive_time;
  std::string envelope;  // as in EventContent
  std::string raw_body;  // reads leave it empty unless asked
  // On its way into the log alone: by what else it may be looked for, and the names of the secrets
  // that verified it, one a line, "" if that is not known.
  std::string event_id;
  std::string secrets;
  // The same: false for the gateway's own, which GroupOutcomes do not count.
  bool is_webhook = true;

  EventContent content() const { return {sequence, envelope, raw_body}; }
};
using StoredEventPtr = std::shared_ptr<const StoredEvent>;

// A signed webhook that could not be decoded, kept so that it can be once the schema knows more.
struct QuarantinedWebhook {
  std::string source;
  std::string webhook_id;
  absl::Time webhook_time;
  absl::Time receive_time;
  std::string reason;  // base/reason.h
  std::string detail;  // for people
  std::string raw_body;
  std::string trace;  // as SerializeTrace writes it (compose_event.h)
};

struct AppendResult {
  enum class Outcome {
    kStored,     // new, and durable
    kDuplicate,  // (source, webhook_id) was there already, with the same body
    kConflict,   // it was there with another body; the first one is kept
  };
  Outcome outcome = Outcome::kStored;
  Sequence sequence = 0;     // of the event that is in the log
  std::string trace_parent;  // of the event that was there already; "" if it has none
};

struct EventLogPosition {
  Sequence earliest = 1;  // of the oldest event held; head + 1 if none is
  Sequence head = 0;      // of the newest committed event; 0 if there never was one
};

// Which of the events a read returns.
using EventPredicate = absl::FunctionRef<bool(const StoredEvent& metadata)>;

using EventVisitor = absl::FunctionRef<void(const EventContent& event)>;

struct ReadLimits {
  int64_t max_events = 512;
  int64_t max_bytes = 256 << 10;  // of envelopes and raw bodies; one event may exceed it alone
  int64_t max_scanned = 4096;     // events looked at, whether they match or not
  bool include_raw_body = false;
};

struct EventPage {
  std::vector<StoredEventPtr> events;  // in sequence order
  Sequence scanned_to = 0;             // everything up to here was looked at
};

// Order by (receive_time, sequence).
struct TimePosition {
  absl::Time receive_time;
  Sequence sequence = 0;
};

struct ListQuery {
  absl::Time start = absl::InfinitePast();  // inclusive
  absl::Time end = absl::InfiniteFuture();  // exclusive
  bool newest_first = true;
  bool failures_only = false;
  absl::optional<TimePosition> after;  // continue after this one, in the query's direction
};

struct ListPage {
  std::vector<StoredEventPtr> events;
  absl::optional<TimePosition> next;  // set if there may be more: continue after it
};

struct EventCount {
  int64_t count = 0;
  bool truncated = false;  // there may be more: not all were looked at
};

// Hears of commits, in order. Called on the log's writer thread: must be quick and must not call
// the log.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  // `events` are durable, in sequence order, directly after those of the call before. Comes before
  // their Append is answered.
  virtual void OnCommit(absl::Span<const StoredEventPtr> events) = 0;
};

// What it means that an append has succeeded.
enum class Durability {
  kLocalDisk,  // committed and synced to this process's disk
  kQuorum,     // in the log that replicas share, as durable as its engine promises
};

// Where webhooks go. Thread-safe.
class EventSink {
 public:
  using AppendDone = absl::AnyInvocable<void(absl::StatusOr<AppendResult>) &&>;
  using QuarantineDone = absl::AnyInvocable<void(absl::Status) &&>;

  virtual ~EventSink() = default;

  // Stores `event` unless its (source, webhook_id) is there already. `done` runs once, when the
  // outcome is durable, on the log's writer thread (or at once on the caller's, if refused): it
  // must be quick. Errors, all UNAVAILABLE: queue_full, store_unavailable (nothing was stored, or
  // after a failed sync it is unknown whether it was); of a replica no_leader, which is unknown,
  // too.
  virtual void Append(std::unique_ptr<StoredEvent> event, AppendDone done) = 0;

  // Keeps `webhook`; a repeat of its (source, webhook_id) counts up the entry that is there. `done`
  // and errors as Append.
  virtual void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) = 0;

  virtual Durability durability() const { return Durability::kLocalDisk; }
};

// Thread-safe. Reads see what was committed when they began, and hold no snapshot once they have
// returned.
class EventLog : public EventSink {
 public:
  // OK while appends can succeed; otherwise why they can't.
  virtual absl::Status Health() const = 0;

  // history().epoch.
  virtual const std::string& epoch() const = 0;
  // As it was when the log was opened: what has been appended since is its last stretch.
  virtual const EventLogHistory& history() const = 0;
  virtual EventLogPosition Position() const = 0;

  // Events after `after` that `matches` admits. The metadata it sees lacks envelope and raw_body.
  virtual absl::StatusOr<EventPage> Read(Sequence after, EventPredicate matches,
                                         const ReadLimits& limits) = 0;

  // The same for who needs their content alone, and each for a moment: `visit` sees it in the log's
  // own memory, and must not call the log. Returns how far it looked, as EventPage::scanned_to.
  //   matches  nullopt: all; the quickest, since nothing else of them is read
  virtual absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                        const ReadLimits& limits, EventVisitor visit) = 0;

  // Of the events received at or after `time`, the lowest sequence, from which on none of them is
  // missed; nullopt if there is none yet. An event with a stamp in the future counts by its stamp.
  // Reads 1,024 events or two times as many at most, however large the log is.
  virtual absl::StatusOr<absl::optional<Sequence>> FirstAtOrAfter(absl::Time time) = 0;

  // One page of a query by time. `limits.max_events` is the page size.
  virtual absl::StatusOr<ListPage> List(const ListQuery& query, EventPredicate matches,
                                        const ReadLimits& limits) = 0;
  // How many failures the query's window holds, counted up to `limit`; of the newest `limit` alone
  // if they are counted by a predicate. `query.after` is ignored.
  //   matches  nullopt: all; much quicker than a predicate that admits all
  virtual absl::StatusOr<EventCount> CountFailures(const ListQuery& query,
                                                   absl::optional<EventPredicate> matches,
                                                   int64_t limit) = 0;

  // NOT_FOUND event_not_found.
  virtual absl::StatusOr<StoredEventPtr> Get(Sequence sequence) = 0;
  virtual absl::StatusOr<StoredEventPtr> Find(absl::string_view source,
                                              absl::string_view webhook_id) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_H_
