#include "server/eventlog/webhook_index.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/numeric/int128.h"
#include "server/base/logging.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kLoadRuns[] =
    "SELECT last_sequence, filter FROM webhook_runs ORDER BY last_sequence";
constexpr char kLoadEvents[] =
    "SELECT sequence, source, webhook_id FROM events WHERE sequence > ?1 ORDER BY sequence "
    "LIMIT ?2";
constexpr char kLoadPieces[] =
    "SELECT last_sequence, entries FROM webhook_pieces WHERE last_sequence > ?1 "
    "ORDER BY last_sequence";
constexpr char kGetPage[] = "SELECT entries FROM webhook_pages WHERE id = ?1";
constexpr char kInsertRun[] = "INSERT INTO webhook_runs (last_sequence, filter) VALUES (?1, ?2)";
constexpr char kInsertPage[] = "INSERT INTO webhook_pages (id, entries) VALUES (?1, ?2)";
constexpr char kInsertPiece[] =
    "INSERT INTO webhook_pieces (last_sequence, entries) VALUES (?1, ?2)";
constexpr char kDeleteRun[] = "DELETE FROM webhook_runs WHERE last_sequence = ?1";
constexpr char kDeletePages[] =
    "DELETE FROM webhook_pages WHERE id IN "
    "(SELECT id FROM webhook_pages WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)";
constexpr char kDeletePagesFrom[] = "DELETE FROM webhook_pages WHERE id >= ?1";
constexpr char kDeletePieces[] =
    "DELETE FROM webhook_pieces WHERE last_sequence IN "
    "(SELECT last_sequence FROM webhook_pieces WHERE last_sequence <= ?1 "
    "ORDER BY last_sequence LIMIT ?2)";

constexpr int kPageBits = 10;
constexpr int64_t kPagesPerRun = int64_t{1} << kPageBits;

// Where the pages of the run that ends with `last` begin.
int64_t FirstPage(Sequence last) { return last * kPagesPerRun; }
int64_t PageOf(WebhookHash hash) { return static_cast<int64_t>(hash >> (64 - kPageBits)); }

template <typename Integer>
void PutLittleEndian(Integer value, std::string& out) {
  for (size_t i = 0; i < sizeof(value); ++i) out += static_cast<char>(value >> (8 * i));
}
template <typename Integer>
Integer GetLittleEndian(const char* bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

constexpr size_t kEntryBytes = sizeof(WebhookHash) + sizeof(uint32_t);

void PutEntry(WebhookHash hash, Sequence below_last, std::string& out) {
  PutLittleEndian(hash, out);
  PutLittleEndian(static_cast<uint32_t>(below_last), out);
}

// A filter is blocks of 64 bytes; each entry sets 6 bits of one block. With 16 bits an entry, about
// one lookup in 500 finds what is not there, and a lookup reads one cache line.
constexpr size_t kEntriesPerBlock = 32;
constexpr size_t kBlockBytes = 64;
constexpr int kBitsPerEntry = 6;

const char* BlockOf(const std::string& filter, WebhookHash hash) {
  const uint64_t blocks = filter.size() / kBlockBytes;
  return filter.data() + absl::Uint128High64(absl::uint128(hash) * blocks) * kBlockBytes;
}

// The bits of an entry, each the position in its block.
std::array<uint16_t, kBitsPerEntry> BitsOf(WebhookHash hash) {
  std::array<uint16_t, kBitsPerEntry> bits;
  uint64_t mixed = (hash * 0x9e3779b97f4a7c15u) >> 10;
  for (uint16_t& bit : bits) {
    bit = mixed % (8 * kBlockBytes);
    mixed /= 8 * kBlockBytes;
  }
  return bits;
}

bool MayHold(const char* block, const std::array<uint16_t, kBitsPerEntry>& bits) {
  return std::all_of(bits.begin(), bits.end(), [block](uint16_t bit) {
    return (static_cast<unsigned char>(block[bit / 8]) >> (bit % 8) & 1) != 0;
  });
}

void AddToFilter(WebhookHash hash, std::string& filter) {
  char* const block = filter.data() + (BlockOf(filter, hash) - filter.data());
  for (const uint16_t bit : BitsOf(hash)) {
    block[bit / 8] = static_cast<char>(block[bit / 8] | 1 << (bit % 8));
  }
}

// Of some 200 KiB, which take a millisecond: a run is finished within 130 commits.
constexpr int64_t kEntriesPerCommit = 4096;
constexpr int64_t kPagesPerCommit = 16;
constexpr int64_t kPiecesPerCommit = 1;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

WebhookHash HashWebhook(absl::string_view source, absl::string_view webhook_id) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  std::array<unsigned char, 32> digest;
  // These fail only without memory, or without SHA-256; then no webhook could be verified either.
  EVP_DigestInit_ex2(context.get(), sha256, nullptr);
  EVP_DigestUpdate(context.get(), source.data(), source.size());
  EVP_DigestUpdate(context.get(), "", 1);
  EVP_DigestUpdate(context.get(), webhook_id.data(), webhook_id.size());
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  return GetLittleEndian<WebhookHash>(reinterpret_cast<const char*>(digest.data()));
}

WebhookIndex::WebhookIndex(int64_t entries_per_run)
    : entries_per_run_(entries_per_run),
      entries_per_piece_(std::clamp<int64_t>(entries_per_run / 4, 1, kEntriesPerPiece)) {}

absl::StatusOr<std::unique_ptr<WebhookIndex>> WebhookIndex::Open(Database& database,
                                                                 const LogPosition& position,
                                                                 int64_t entries_per_run,
                                                                 bool may_write) {
  auto index = absl::WrapUnique(new WebhookIndex(entries_per_run));
  RETURN_IF_ERROR(index->LoadRuns(database));
  RETURN_IF_ERROR(index->LoadPieces(database, position.earliest));
  RETURN_IF_ERROR(index->LoadRecent(database, position, may_write));
  return index;
}

absl::Status WebhookIndex::LoadRuns(Database& database) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kLoadRuns));
  absl::MutexLock lock(&mu_);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    runs_.push_back({.last = rows.ColumnInt(0), .filter = std::string(rows.ColumnBlob(1))});
    recent_last_ = runs_.back().last;
    if (runs_.back().filter.size() < kBlockBytes) {
      return absl::DataLossError("a run of webhook ids has no filter");
    }
  }
}

absl::Status WebhookIndex::LoadPieces(Database& database, Sequence earliest) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kLoadPieces));
  absl::MutexLock lock(&mu_);
  const Sequence in_runs = recent_last_;
  rows.BindInt(1, in_runs);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    const Sequence last = rows.ColumnInt(0);
    const absl::string_view entries = rows.ColumnBlob(1);
    for (size_t at = 0; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
      const auto hash = GetLittleEndian<WebhookHash>(entries.data() + at);
      const Sequence sequence =
          last - GetLittleEndian<uint32_t>(entries.data() + at + sizeof(hash));
      if (sequence > in_runs && sequence >= earliest) recent_[hash].push_back(sequence);
    }
    recent_last_ = last;
  }
}

absl::Status WebhookIndex::LoadRecent(Database& database, const LogPosition& position,
                                      bool may_write) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kLoadEvents));
  Sequence after = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    after = recent_last_;
  }
  while (true) {
    StatementScope scope(rows);
    rows.BindInt(1, after);
    rows.BindInt(2, entries_per_run_);
    WebhookHashes hashes;
    int64_t read = 0;
    for (;; ++read) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      after = rows.ColumnInt(0);
      hashes[HashWebhook(rows.ColumnText(1), rows.ColumnText(2))].push_back(after);
    }
    rows.Reset();
    Committed(hashes);
    if (may_write && IsBehind()) {
      const absl::Status written = WriteLoaded(database, position.earliest);
      if (absl::IsResourceExhausted(written) || absl::IsUnavailable(written)) may_write = false;
      if (may_write) RETURN_IF_ERROR(written);
    }
    if (read < entries_per_run_) return absl::OkStatus();
    Log(Severity::kInfo, "indexed the webhook ids of events",
        {{"up_to_sequence", after}, {"of", position.head}});
  }
}

// Whether there is more to write than some webhooks leave.
bool WebhookIndex::IsBehind() const {
  absl::ReaderMutexLock lock(&mu_);
  return static_cast<int64_t>(recent_.size()) >= entries_per_run_ || unfinished_.has_value() ||
         static_cast<int64_t>(unwritten_.size()) >= 2 * entries_per_piece_;
}

absl::Status WebhookIndex::WriteLoaded(Database& database, Sequence earliest) {
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  absl::Status status = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    RETURN_IF_ERROR(WriteWithin({kAll, kAll, kAll}, database, earliest));
    return transaction.Commit();
  }();
  if (!status.ok()) {
    RolledBack();
    return status;
  }
  Committed({});
  // Keeps the write-ahead log short; if it can't now, it can later.
  database.Checkpoint(Database::CheckpointMode::kPassive).status().IgnoreError();
  return status;
}

absl::StatusOr<Statement> WebhookIndex::PreparePage(Database& database) {
  return database.Prepare(kGetPage);
}

absl::StatusOr<Sequences> WebhookIndex::Find(WebhookHash hash, Statement& page) const {
  Sequences found;
  absl::InlinedVector<Sequence, 4> runs;
  {
    absl::ReaderMutexLock lock(&mu_);
    for (const WebhookHashes* const hashes : {&recent_, &frozen_}) {
      if (const auto held = hashes->find(hash); held != hashes->end()) {
        found.insert(found.end(), held->second.begin(), held->second.end());
      }
    }
    // All of them at once, rather than one memory latency for each.
    for (const Run& run : runs_) __builtin_prefetch(BlockOf(run.filter, hash));
    const auto bits = BitsOf(hash);
    for (const Run& run : runs_) {
      if (MayHold(BlockOf(run.filter, hash), bits)) runs.push_back(run.last);
    }
  }
  for (const Sequence last : runs) {
    StatementScope scope(page);
    page.BindInt(1, FirstPage(last) + PageOf(hash));
    ASSIGN_OR_RETURN(const bool row, page.Step());
    if (!row) continue;
    const absl::string_view entries = page.ColumnBlob(0);
    for (size_t at = 0; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
      if (GetLittleEndian<WebhookHash>(entries.data() + at) != hash) continue;
      found.push_back(last - GetLittleEndian<uint32_t>(entries.data() + at + sizeof(hash)));
    }
  }
  return found;
}

absl::Status WebhookIndex::Write(Database& database, Sequence earliest) {
  return WriteWithin({kEntriesPerCommit, kPagesPerCommit, kPiecesPerCommit}, database, earliest);
}

absl::Status WebhookIndex::WriteWithin(const Budget& budget, Database& database,
                                       Sequence earliest) {
  if (orphans_) RETURN_IF_ERROR(DeleteOrphans(database));
  RETURN_IF_ERROR(ContinueRun(budget, database));
  RETURN_IF_ERROR(WritePieces(budget, database));
  if (stale_pieces_) RETURN_IF_ERROR(ForgetPieces(budget, database));
  Sequence overtaken = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (!runs_.empty() && runs_.front().last < earliest) overtaken = runs_.front().last;
  }
  return overtaken == 0 ? absl::OkStatus() : ForgetRun(budget, database, overtaken);
}

absl::Status WebhookIndex::DeleteOrphans(Database& database) {
  ASSIGN_OR_RETURN(Statement delete_pages, database.Prepare(kDeletePagesFrom));
  {
    absl::ReaderMutexLock lock(&mu_);
    delete_pages.BindInt(1, runs_.empty() ? 0 : FirstPage(runs_.back().last + 1));
  }
  orphans_deleted_ = true;
  return delete_pages.Run();
}

// What the run that has just been finished holds needs no piece.
absl::Status WebhookIndex::WritePieces(const Budget& budget, Database& database) {
  const Sequence in_run =
      unfinished_.has_value() && unfinished_->written ? unfinished_->run.last : 0;
  size_t at = 0;
  while (at < unwritten_.size() && unwritten_[at].first <= in_run) ++at;
  for (int64_t piece = 0; piece < budget.pieces; ++piece) {
    const size_t end = at + static_cast<size_t>(entries_per_piece_);
    if (end > unwritten_.size()) break;
    const Sequence last = unwritten_[end - 1].first;
    std::string entries;
    for (; at < end; ++at) PutEntry(unwritten_[at].second, last - unwritten_[at].first, entries);
    ASSIGN_OR_RETURN(Statement insert_piece, database.Prepare(kInsertPiece));
    insert_piece.BindInt(1, last);
    insert_piece.BindBlob(2, entries);
    RETURN_IF_ERROR(insert_piece.Run());
  }
  written_entries_ = at;
  return absl::OkStatus();
}

absl::Status WebhookIndex::ContinueRun(const Budget& budget, Database& database) {
  FreezeIfEnough();
  if (!unfinished_.has_value()) return absl::OkStatus();
  Collect(budget);
  return WritePages(budget, database);
}

void WebhookIndex::FreezeIfEnough() {
  if (unfinished_.has_value()) return;
  absl::MutexLock lock(&mu_);
  if (static_cast<int64_t>(recent_.size()) < entries_per_run_) return;
  frozen_.swap(recent_);
  unfinished_.emplace();
  unfinished_->run.last = recent_last_;
  unfinished_->run.filter.assign((frozen_.size() / kEntriesPerBlock + 1) * kBlockBytes, '\0');
  unfinished_->pages.resize(kPagesPerRun);
  unfinished_->next = frozen_.begin();
}

// The lock is shared: only this thread changes what it guards.
void WebhookIndex::Collect(const Budget& budget) {
  Unfinished& unfinished = *unfinished_;
  absl::ReaderMutexLock lock(&mu_);
  const WebhookHashes& frozen = frozen_;
  for (int64_t i = 0; i < budget.entries && unfinished.next != frozen.end(); ++i) {
    const auto& [hash, sequences] = *unfinished.next++;
    AddToFilter(hash, unfinished.run.filter);
    for (const Sequence sequence : sequences) {
      PutEntry(hash, unfinished.run.last - sequence, unfinished.pages[PageOf(hash)]);
    }
  }
}

absl::Status WebhookIndex::WritePages(const Budget& budget, Database& database) {
  Unfinished& unfinished = *unfinished_;
  {
    absl::ReaderMutexLock lock(&mu_);
    const WebhookHashes& frozen = frozen_;
    if (unfinished.next != frozen.end()) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(Statement insert_page, database.Prepare(kInsertPage));
  size_t& page = unfinished.written_pages;
  for (int64_t rows = 0; page < unfinished.pages.size(); ++page) {
    if (unfinished.pages[page].empty()) continue;
    if (rows++ == budget.pages) return absl::OkStatus();
    insert_page.BindInt(1, FirstPage(unfinished.run.last) + static_cast<int64_t>(page));
    insert_page.BindBlob(2, unfinished.pages[page]);
    RETURN_IF_ERROR(insert_page.Run());
  }
  ASSIGN_OR_RETURN(Statement insert_run, database.Prepare(kInsertRun));
  insert_run.BindInt(1, unfinished.run.last);
  insert_run.BindBlob(2, unfinished.run.filter);
  RETURN_IF_ERROR(insert_run.Run());
  unfinished.written = true;
  return absl::OkStatus();
}

absl::Status WebhookIndex::ForgetPieces(const Budget& budget, Database& database) {
  ASSIGN_OR_RETURN(Statement delete_pieces, database.Prepare(kDeletePieces));
  {
    absl::ReaderMutexLock lock(&mu_);
    delete_pieces.BindInt(1, runs_.empty() ? 0 : runs_.back().last);
  }
  delete_pieces.BindInt(2, budget.pieces);
  RETURN_IF_ERROR(delete_pieces.Run());
  stale_pieces_deleted_ = database.changes() < budget.pieces;
  return absl::OkStatus();
}

absl::Status WebhookIndex::ForgetRun(const Budget& budget, Database& database, Sequence last) {
  ASSIGN_OR_RETURN(Statement delete_pages, database.Prepare(kDeletePages));
  delete_pages.BindInt(1, FirstPage(last));
  delete_pages.BindInt(2, FirstPage(last + 1));
  delete_pages.BindInt(3, budget.pages);
  RETURN_IF_ERROR(delete_pages.Run());
  if (database.changes() >= budget.pages) return absl::OkStatus();
  ASSIGN_OR_RETURN(Statement delete_run, database.Prepare(kDeleteRun));
  delete_run.BindInt(1, last);
  RETURN_IF_ERROR(delete_run.Run());
  forgotten_ = true;
  return absl::OkStatus();
}

void WebhookIndex::Committed(const WebhookHashes& appended) {
  const size_t before = unwritten_.size();
  for (const auto& [hash, sequences] : appended) {
    for (const Sequence sequence : sequences) unwritten_.emplace_back(sequence, hash);
  }
  std::sort(unwritten_.begin() + static_cast<std::ptrdiff_t>(before), unwritten_.end());
  unwritten_.erase(
      unwritten_.begin(),
      unwritten_.begin() + static_cast<std::ptrdiff_t>(std::exchange(written_entries_, 0)));
  if (std::exchange(orphans_deleted_, false)) orphans_ = false;
  if (std::exchange(stale_pieces_deleted_, false)) stale_pieces_ = false;
  const bool finished = unfinished_.has_value() && unfinished_->written;
  if (unfinished_.has_value()) unfinished_->committed_pages = unfinished_->written_pages;
  WebhookHashes in_run;  // Takes a while to destroy, which the lock does not wait for.
  absl::MutexLock lock(&mu_);
  if (std::exchange(forgotten_, false)) runs_.erase(runs_.begin());
  if (finished) {
    runs_.push_back(std::move(unfinished_->run));
    in_run.swap(frozen_);
    unfinished_.reset();
    stale_pieces_ = true;
  }
  for (const auto& [hash, sequences] : appended) {
    Sequences& known = recent_[hash];
    known.insert(known.end(), sequences.begin(), sequences.end());
    recent_last_ = std::max(recent_last_, sequences.back());
  }
}

void WebhookIndex::RolledBack() {
  if (unfinished_.has_value()) {
    unfinished_->written_pages = unfinished_->committed_pages;
    unfinished_->written = false;
  }
  written_entries_ = 0;
  orphans_deleted_ = false;
  stale_pieces_deleted_ = false;
  forgotten_ = false;
}

}  // namespace hookgate
