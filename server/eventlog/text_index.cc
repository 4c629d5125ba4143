#include "server/eventlog/text_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/memory/memory.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/logging.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/event/event_id.h"

namespace hookgate {
namespace {

constexpr char kLoadEvents[] =
    "SELECT sequence, subject, envelope FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

// As many events are read at a time where an older log is indexed.
constexpr int64_t kEventsPerBatch = 65'536;

// Pages of 2048, so that one of a usual run is in one page of the database.
const RunTables& Tables() {
  static const auto* const kTables = new RunTables("text", /*page_bits=*/11);
  return *kTables;
}

// Some 50 KiB of entries, or of rows, in a transaction.
constexpr int64_t kChunksPerCommit = 1;
constexpr int64_t kPagesPerCommit = 16;
constexpr int64_t kPiecesPerCommit = 1;

// A page of this size holds four times as many entries as others: perhaps those of one text.
constexpr size_t kThinAtBytes = 1024 * RunTables::kEntryBytes;

// Leaves the newest kMaxSame entries of each hash, in their order.
void Thin(std::string& page) {
  constexpr size_t kEntryBytes = RunTables::kEntryBytes;
  absl::flat_hash_map<TextHash, int64_t> counts;
  std::vector<size_t> kept;
  for (size_t at = page.size(); at >= kEntryBytes; at -= kEntryBytes) {
    const size_t begin = at - kEntryBytes;
    RunTables::ReadEntries(absl::string_view(page).substr(begin, kEntryBytes), 0,
                           [&](TextHash hash, Sequence) {
                             if (++counts[hash] <= TextIndex::kMaxSame) kept.push_back(begin);
                           });
  }
  std::string thinned;
  thinned.reserve(kept.size() * kEntryBytes);
  for (auto begin = kept.rbegin(); begin != kept.rend(); ++begin) {
    thinned.append(page, *begin, kEntryBytes);
  }
  page = std::move(thinned);
}

bool IsKey(absl::string_view text) { return !text.empty() && text.size() <= kMaxKeyBytes; }

}  // namespace

// FNV-1a, and at the end the mixing of splitmix64, since pages go by the first bits.
TextHash HashText(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  return hash ^ (hash >> 31);
}

TextHashes::TextHashes(absl::string_view event_id, absl::string_view subject) {
  if (IsKey(event_id)) hashes[count++] = HashText(event_id);
  if (IsKey(subject) && subject != event_id) hashes[count++] = HashText(subject);
}

TextIndex::TextIndex(int64_t entries_per_run)
    : entries_per_chunk_(
          static_cast<size_t>(std::clamp<int64_t>(entries_per_run / 4, 2, kEntriesPerChunk))),
      chunks_per_run_(
          std::max<size_t>(static_cast<size_t>(entries_per_run) / entries_per_chunk_, 1)) {}

absl::StatusOr<std::unique_ptr<TextIndex>> TextIndex::Open(Database& database,
                                                           const EventLogPosition& position,
                                                           int64_t entries_per_run,
                                                           bool may_write) {
  auto index = absl::WrapUnique(new TextIndex(entries_per_run));
  RETURN_IF_ERROR(index->LoadRuns(database));
  RETURN_IF_ERROR(index->LoadPieces(database, position.earliest));
  RETURN_IF_ERROR(index->LoadRecent(database, position, may_write));
  return index;
}

absl::Status TextIndex::LoadRuns(Database& database) {
  return Tables().LoadRuns(database, [this](Sequence last, absl::string_view) {
    absl::MutexLock lock(&mu_);
    runs_.push_back(last);
    loaded_to_ = last;
    return absl::OkStatus();
  });
}

absl::Status TextIndex::LoadPieces(Database& database, Sequence earliest) {
  const Sequence in_runs = loaded_to_;
  return Tables().LoadPieces(database, in_runs, [&](Sequence last, absl::string_view entries) {
    TextEntries loaded;
    RunTables::ReadEntries(entries, last, [&](TextHash hash, Sequence sequence) {
      if (sequence > in_runs && sequence >= earliest) loaded.push_back({hash, sequence});
    });
    loaded_to_ = last;
    if (loaded.empty()) return;
    HeldChunk held{.chunk = std::make_shared<Chunk>(0),
                   .count = loaded.size(),
                   .full = true,
                   .in_piece = true};
    held.chunk->entries = std::move(loaded);
    absl::MutexLock lock(&mu_);
    chunks_.push_back(std::move(held));
  });
}

// An envelope that does not parse has no event id here; its subject is still found.
absl::Status TextIndex::LoadRecent(Database& database, const EventLogPosition& position,
                                   bool may_write) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kLoadEvents));
  hookgate::v1::Event event;
  Sequence after = std::max(loaded_to_, position.earliest - 1);
  while (true) {
    StatementScope scope(rows);
    rows.BindInt(1, after);
    rows.BindInt(2, kEventsPerBatch);
    TextEntries entries;
    int64_t read = 0;
    for (;; ++read) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      after = rows.ColumnInt(0);
      const absl::string_view envelope = rows.ColumnBlob(2);
      const bool parsed = event.ParseFromArray(envelope.data(), static_cast<int>(envelope.size()));
      const TextHashes texts(parsed ? EventIdOf(event) : "", rows.ColumnText(1));
      for (size_t i = 0; i < texts.count; ++i) entries.push_back({texts.hashes[i], after});
    }
    rows.Reset();
    Committed(entries);
    while (may_write && IsBehind()) {
      const absl::Status written = WriteLoaded(database, position.earliest);
      if (absl::IsResourceExhausted(written) || absl::IsUnavailable(written)) may_write = false;
      if (may_write) RETURN_IF_ERROR(written);
    }
    if (read < kEventsPerBatch) return absl::OkStatus();
    Log(Severity::kInfo, "indexed the ids and subjects of events",
        {{"up_to_sequence", after}, {"of", position.head}});
  }
}

// Whether there is more to write than some webhooks leave.
bool TextIndex::IsBehind() const {
  absl::ReaderMutexLock lock(&mu_);
  const auto waits = [](const HeldChunk& held) { return held.full && !held.in_piece; };
  return unfinished_.has_value() || chunks_.size() > chunks_per_run_ ||
         std::count_if(chunks_.begin(), chunks_.end(), waits) > 1;
}

absl::Status TextIndex::WriteLoaded(Database& database, Sequence earliest) {
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  absl::Status written = WriteByItself(database, [&] {
    return WriteWithin({kAll, kAll, kAll}, database, earliest);
  });
  if (written.ok()) {
    Committed({});
  } else {
    RolledBack();
  }
  return written;
}

absl::StatusOr<std::vector<TextIndex::Stored>> TextIndex::ListStored(Database& database) {
  return Tables().ListStored(database);
}

absl::StatusOr<TextEntries> TextIndex::ReadStored(Database& database, const Stored& stored) {
  TextEntries entries;
  RETURN_IF_ERROR(
      Tables().ReadStored(database, stored, [&entries](TextHash hash, Sequence sequence) {
        entries.push_back({hash, sequence});
      }));
  return entries;
}

absl::StatusOr<Statement> TextIndex::PreparePage(Database& database) {
  return Tables().PreparePage(database);
}

// The lock is held for as long as it takes to note which chunks there are, not for the walk through
// them. What becomes a run meanwhile has been taken as chunks.
absl::Status TextIndex::Find(TextHash hash, Statement& page, SeeSequence see) const {
  std::vector<std::pair<std::shared_ptr<const Chunk>, size_t>> chunks;
  std::vector<Sequence> runs;
  {
    absl::ReaderMutexLock lock(&mu_);
    chunks.reserve(chunks_.size());
    for (const HeldChunk& held : chunks_) chunks.emplace_back(held.chunk, held.count);
    runs.assign(runs_.begin(), runs_.end());
  }
  for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) {
    const TextEntry* const entries = chunk->first->entries.data();
    for (size_t i = chunk->second; i > 0; --i) {
      if (entries[i - 1].hash != hash) continue;
      ASSIGN_OR_RETURN(const bool go_on, see(entries[i - 1].sequence));
      if (!go_on) return absl::OkStatus();
    }
  }
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    std::vector<Sequence> found;
    RETURN_IF_ERROR(Tables().ReadPage(
        *run, hash, page, [&found](TextHash, Sequence sequence) { found.push_back(sequence); }));
    for (auto sequence = found.rbegin(); sequence != found.rend(); ++sequence) {
      ASSIGN_OR_RETURN(const bool go_on, see(*sequence));
      if (!go_on) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

absl::Status TextIndex::Write(Database& database, Sequence earliest) {
  return WriteWithin({kChunksPerCommit, kPagesPerCommit, kPiecesPerCommit}, database, earliest);
}

absl::Status TextIndex::WriteWithin(const Budget& budget, Database& database, Sequence earliest) {
  if (orphans_) RETURN_IF_ERROR(DeleteOrphans(database));
  RETURN_IF_ERROR(ContinueRun(budget, database));
  RETURN_IF_ERROR(WritePieces(budget, database));
  if (stale_pieces_) RETURN_IF_ERROR(ForgetPieces(budget, database));
  {
    absl::ReaderMutexLock lock(&mu_);
    if (runs_.empty() || runs_.front() >= earliest) return absl::OkStatus();
  }
  return ForgetRun(budget, database);
}

absl::Status TextIndex::DeleteOrphans(Database& database) {
  Sequence last = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (!runs_.empty()) last = runs_.back();
  }
  orphans_deleted_ = true;
  return Tables().DeletePagesAfter(database, last);
}

absl::Status TextIndex::ContinueRun(const Budget& budget, Database& database) {
  BeginIfEnough();
  if (!unfinished_.has_value()) return absl::OkStatus();
  Collect(budget);
  if (unfinished_->collected < unfinished_->chunks) return absl::OkStatus();
  return WritePages(budget, database);
}

// Of full chunks: there is one more, in which what comes is held.
void TextIndex::BeginIfEnough() {
  if (unfinished_.has_value()) return;
  absl::ReaderMutexLock lock(&mu_);
  if (chunks_.size() <= chunks_per_run_) return;
  unfinished_.emplace();
  unfinished_->chunks = chunks_per_run_;
  unfinished_->last = chunks_[chunks_per_run_ - 1].last();
  unfinished_->pages.resize(Tables().pages_per_run());
  unfinished_->thin_at.assign(Tables().pages_per_run(), kThinAtBytes);
}

// The lock is shared: only this thread changes what it guards.
void TextIndex::Collect(const Budget& budget) {
  Unfinished& unfinished = *unfinished_;
  absl::ReaderMutexLock lock(&mu_);
  for (int64_t i = 0; i < budget.chunks && unfinished.collected < unfinished.chunks; ++i) {
    const HeldChunk& held = chunks_[unfinished.collected++];
    for (size_t at = 0; at < held.count; ++at) {
      const TextEntry& entry = held.chunk->entries[at];
      const size_t number = Tables().PageOf(entry.hash);
      std::string& page = unfinished.pages[number];
      RunTables::PutEntry(entry.hash, unfinished.last - entry.sequence, page);
      if (page.size() < unfinished.thin_at[number]) continue;
      Thin(page);
      unfinished.thin_at[number] = std::max(kThinAtBytes, 2 * page.size());
    }
  }
}

absl::Status TextIndex::WritePages(const Budget& budget, Database& database) {
  Unfinished& unfinished = *unfinished_;
  RETURN_IF_ERROR(Tables().InsertPages(database, unfinished.last, unfinished.pages, budget.pages,
                                       unfinished.written_pages));
  if (unfinished.written_pages < unfinished.pages.size()) return absl::OkStatus();
  RETURN_IF_ERROR(Tables().InsertRun(database, unfinished.last, ""));
  unfinished.written = true;
  return absl::OkStatus();
}

// What the run that has just been finished holds needs no piece.
absl::Status TextIndex::WritePieces(const Budget& budget, Database& database) {
  std::vector<HeldChunk> pieces;
  {
    absl::ReaderMutexLock lock(&mu_);
    const bool run_is_written = unfinished_.has_value() && unfinished_->written;
    // The newest are looked at first, up to one that is in a piece: so are those before it.
    for (size_t at = chunks_.size(); at > (run_is_written ? unfinished_->chunks : 0); --at) {
      const HeldChunk& held = chunks_[at - 1];
      if (held.in_piece) break;
      if (held.full) pieces.push_back(held);
    }
  }
  std::reverse(pieces.begin(), pieces.end());
  if (static_cast<int64_t>(pieces.size()) > budget.pieces) {
    pieces.resize(static_cast<size_t>(budget.pieces));
  }
  for (const HeldChunk& piece : pieces) {
    std::string entries;
    for (size_t at = 0; at < piece.count; ++at) {
      const TextEntry& entry = piece.chunk->entries[at];
      RunTables::PutEntry(entry.hash, piece.last() - entry.sequence, entries);
    }
    RETURN_IF_ERROR(Tables().InsertPiece(database, piece.last(), entries));
    written_pieces_.push_back(piece.chunk.get());
  }
  return absl::OkStatus();
}

absl::Status TextIndex::ForgetPieces(const Budget& budget, Database& database) {
  Sequence in_runs = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (!runs_.empty()) in_runs = runs_.back();
  }
  ASSIGN_OR_RETURN(stale_pieces_deleted_, Tables().DeletePieces(database, in_runs, budget.pieces));
  return absl::OkStatus();
}

absl::Status TextIndex::ForgetRun(const Budget& budget, Database& database) {
  Sequence last = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    last = runs_.front();
  }
  ASSIGN_OR_RETURN(forgotten_, Tables().DeleteRun(database, last, budget.pages));
  return absl::OkStatus();
}

// Entries of one event that do not fit into a chunk together begin the next: a piece holds all
// entries of its last event, so that a start can go on behind it.
void TextIndex::Add(absl::Span<const TextEntry> entries) {
  for (size_t at = 0; at < entries.size();) {
    size_t end = at + 1;
    while (end < entries.size() && entries[end].sequence == entries[at].sequence) ++end;
    if (!chunks_.empty() && chunks_.back().count + (end - at) > entries_per_chunk_) {
      chunks_.back().full = true;
    }
    if (chunks_.empty() || chunks_.back().full) {
      chunks_.push_back({.chunk = std::make_shared<Chunk>(entries_per_chunk_)});
    }
    HeldChunk& newest = chunks_.back();
    std::copy(entries.begin() + static_cast<std::ptrdiff_t>(at),
              entries.begin() + static_cast<std::ptrdiff_t>(end),
              newest.chunk->entries.begin() + static_cast<std::ptrdiff_t>(newest.count));
    newest.count += end - at;
    at = end;
  }
}

void TextIndex::Committed(absl::Span<const TextEntry> appended) {
  if (std::exchange(orphans_deleted_, false)) orphans_ = false;
  if (std::exchange(stale_pieces_deleted_, false)) stale_pieces_ = false;
  if (unfinished_.has_value()) unfinished_->committed_pages = unfinished_->written_pages;
  std::vector<HeldChunk> in_run;  // Takes a while to destroy, which the lock does not wait for.
  absl::MutexLock lock(&mu_);
  for (const Chunk* const written : written_pieces_) {
    const auto held =
        std::find_if(chunks_.begin(), chunks_.end(),
                     [written](const HeldChunk& held) { return held.chunk.get() == written; });
    if (held != chunks_.end()) held->in_piece = true;
  }
  written_pieces_.clear();
  if (std::exchange(forgotten_, false)) runs_.pop_front();
  if (unfinished_.has_value() && unfinished_->written) {
    const auto end = chunks_.begin() + static_cast<std::ptrdiff_t>(unfinished_->chunks);
    in_run.assign(chunks_.begin(), end);
    chunks_.erase(chunks_.begin(), end);
    runs_.push_back(unfinished_->last);
    unfinished_.reset();
    stale_pieces_ = true;
  }
  Add(appended);
}

void TextIndex::RolledBack() {
  if (unfinished_.has_value()) {
    unfinished_->written_pages = unfinished_->committed_pages;
    unfinished_->written = false;
  }
  written_pieces_.clear();
  orphans_deleted_ = false;
  stale_pieces_deleted_ = false;
  forgotten_ = false;
}

}  // namespace hookgate
