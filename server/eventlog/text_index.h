// Which events a text names that a person has in hand: the id in an event's body ("evt_...") or its
// subject (a batch's id). Webhook-ids are found by WebhookIndex.
//
// Made as WebhookIndex is, of runs that are written beside commits (run_tables.h), since the texts
// are as random as webhook-ids. But it is asked by people, not by each webhook: so a run has no
// filter, and costs no memory; a look-up reads a page of each run, the newest first. What is not in
// a run is held in the order of the events, in chunks through which a look-up walks, so that an
// event costs no more than its entries.
//
//   chunks   in memory: the entries of events that no run holds, 4,096 in a chunk
//   pieces   a chunk that is full, on the disk, so that a start need not read its events
//   runs     the oldest chunks, once there are `entries_per_run`, in 2048 pages
//
// Of entries with one hash a run keeps the newest kMaxSame: a subject may have a million events.
//
// All of it is derived from the events: what is missing is read from them.
//
// A hash finds candidates, and the caller looks at each event itself. It is quick rather than
// strong: a sender that makes its texts collide hides events of its own from look-ups, and nothing
// else.
//
// Memory is 16 bytes an entry that no run holds, and 12 more while it is put into one: some 25 MiB
// at most. An event has two entries at most.
#ifndef HOOKGATE_SERVER_EVENTLOG_TEXT_INDEX_H_
#define HOOKGATE_SERVER_EVENTLOG_TEXT_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/run_tables.h"
#include "server/store/database.h"

namespace hookgate {

using TextHash = uint64_t;
// Pure. Stored: never change what it returns.
TextHash HashText(absl::string_view text);

struct TextEntry {
  TextHash hash = 0;
  Sequence sequence = 0;
};
using TextEntries = std::vector<TextEntry>;

// The hashes of an event's texts: none, one or two of them. A text that is empty, or longer than
// kMaxKeyBytes, is not a key.
struct TextHashes {
  size_t count = 0;
  TextHash hashes[2] = {};

  TextHashes() = default;
  TextHashes(absl::string_view event_id, absl::string_view subject);
};

// Find is thread-safe; everything else is called by the thread that writes the log.
class TextIndex {
 public:
  static constexpr int64_t kEntriesPerRun = 524'288;
  static constexpr int64_t kEntriesPerChunk = 4096;
  static constexpr int64_t kMaxSame = 64;

  // Reads the runs and the pieces, and the events after the last of them; where these are enough
  // for runs (a log of an older version), writes them, a transaction each, and says how far it is.
  // `position` is what the database holds. If nothing may be written, or the disk is full, memory
  // holds what runs would.
  static absl::StatusOr<std::unique_ptr<TextIndex>> Open(Database& database,
                                                         const EventLogPosition& position,
                                                         int64_t entries_per_run, bool may_write);

  // What Find reads of a run; each connection has its own.
  static absl::StatusOr<Statement> PreparePage(Database& database);

  // Has `see` look at the events that may have this text, newest first, until it returns false.
  // Some may be gone. Of more than kMaxSame events with one text within a run, the older ones may
  // be left out.
  //   page  PreparePage of the caller's connection, on which what is committed now can be read
  using SeeSequence = absl::FunctionRef<absl::StatusOr<bool>(Sequence sequence)>;
  absl::Status Find(TextHash hash, Statement& page, SeeSequence see) const ABSL_LOCKS_EXCLUDED(mu_);

  // For checks: the runs and the pieces that a start would read, and what one of them holds, whose
  // events are after the one before it and up to its last one.
  using Stored = RunTables::Stored;
  static absl::StatusOr<std::vector<Stored>> ListStored(Database& database);
  static absl::StatusOr<TextEntries> ReadStored(Database& database, const Stored& stored);

  // Within a transaction of `database`: writes a piece or a part of a run, if there are entries
  // enough for one, and forgets runs whose events are all before `earliest`; a bounded part of that
  // in each transaction.
  absl::Status Write(Database& database, Sequence earliest) ABSL_LOCKS_EXCLUDED(mu_);
  // That transaction was committed, and events with the entries `appended`, in their order; or it
  // was not.
  void Committed(absl::Span<const TextEntry> appended) ABSL_LOCKS_EXCLUDED(mu_);
  void RolledBack();

 private:
  // Entries in the order of their events. Those of one event are in one chunk. Readers look at as
  // many as there were when they took it: what is behind these is the writer's.
  struct Chunk {
    explicit Chunk(size_t room) : entries(room) {}
    std::vector<TextEntry> entries;
  };
  struct HeldChunk {
    std::shared_ptr<Chunk> chunk;
    size_t count = 0;
    bool full = false;
    bool in_piece = false;  // the writer's: it is on the disk
    Sequence last() const { return chunk->entries[count - 1].sequence; }
  };
  // The run that is made of the oldest chunks.
  struct Unfinished {
    size_t chunks = 0;  // of which it is made
    Sequence last = 0;
    size_t collected = 0;  // chunks whose entries are in `pages`
    std::vector<std::string> pages;
    std::vector<size_t> thin_at;  // bytes of each page from which on it is looked through
    size_t written_pages = 0;     // with what the open transaction has written
    size_t committed_pages = 0;   // on the disk
    bool written = false;         // whole, by the open transaction
  };
  // How much one transaction does at most of what can wait.
  struct Budget {
    int64_t chunks;
    int64_t pages;
    int64_t pieces;
  };

  explicit TextIndex(int64_t entries_per_run);

  absl::Status LoadRuns(Database& database);
  absl::Status LoadPieces(Database& database, Sequence earliest);
  absl::Status LoadRecent(Database& database, const EventLogPosition& position, bool may_write);
  absl::Status WriteLoaded(Database& database, Sequence earliest);
  bool IsBehind() const ABSL_LOCKS_EXCLUDED(mu_);
  void Add(absl::Span<const TextEntry> entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteWithin(const Budget& budget, Database& database, Sequence earliest);
  absl::Status DeleteOrphans(Database& database);
  absl::Status ContinueRun(const Budget& budget, Database& database);
  void BeginIfEnough() ABSL_LOCKS_EXCLUDED(mu_);
  void Collect(const Budget& budget) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WritePages(const Budget& budget, Database& database);
  absl::Status WritePieces(const Budget& budget, Database& database);
  absl::Status ForgetPieces(const Budget& budget, Database& database);
  absl::Status ForgetRun(const Budget& budget, Database& database);

  // Constant after construction.
  const size_t entries_per_chunk_;
  const size_t chunks_per_run_;

  // Touched only by the writing thread.
  absl::optional<Unfinished> unfinished_;
  Sequence loaded_to_ = 0;    // while it is opened: events up to here are known
  bool orphans_ = true;       // there may be pages of a run that an earlier process did not finish
  bool stale_pieces_ = true;  // there may be pieces whose entries are all in runs
  // What becomes so with the commit.
  std::vector<const Chunk*> written_pieces_;
  bool orphans_deleted_ = false;
  bool stale_pieces_deleted_ = false;
  bool forgotten_ = false;  // the oldest run

  mutable absl::Mutex mu_;
  std::deque<HeldChunk> chunks_ ABSL_GUARDED_BY(mu_);  // oldest first
  std::deque<Sequence> runs_ ABSL_GUARDED_BY(mu_);     // their last sequences, oldest first
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_TEXT_INDEX_H_
