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
#include "server/eventlog/run_tables.h"

namespace hookgate {
namespace {

constexpr char kLoadEvents[] =
    "SELECT sequence, source, webhook_id FROM events WHERE sequence > ?1 ORDER BY sequence "
    "LIMIT ?2";

// Pages of 1024 by the first ten bits of the hash.
const RunTables& Tables() {
  static const auto* const kTables = new RunTables("webhook", /*page_bits=*/10);
  return *kTables;
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
  WebhookHash hash = 0;  // the first bytes, little-endian
  for (size_t i = 0; i < sizeof(hash); ++i) hash |= WebhookHash{digest[i]} << (8 * i);
  return hash;
}

WebhookIndex::WebhookIndex(int64_t entries_per_run)
    : entries_per_run_(entries_per_run),
      entries_per_piece_(std::clamp<int64_t>(entries_per_run / 4, 1, kEntriesPerPiece)) {}

absl::StatusOr<std::unique_ptr<WebhookIndex>> WebhookIndex::Open(Database& database,
                                                                 const EventLogPosition& position,
                                                                 int64_t entries_per_run,
                                                                 bool may_write) {
  auto index = absl::WrapUnique(new WebhookIndex(entries_per_run));
  RETURN_IF_ERROR(index->LoadRuns(database));
  RETURN_IF_ERROR(index->LoadPieces(database, position.earliest));
  RETURN_IF_ERROR(index->LoadRecent(database, position, may_write));
  return index;
}

absl::Status WebhookIndex::LoadRuns(Database& database) {
  return Tables().LoadRuns(database, [this](Sequence last, absl::string_view filter) {
    if (filter.size() < kBlockBytes) {
      return absl::DataLossError("a run of webhook ids has no filter");
    }
    absl::MutexLock lock(&mu_);
    runs_.push_back({.last = last, .filter = std::string(filter)});
    recent_last_ = last;
    return absl::OkStatus();
  });
}

absl::Status WebhookIndex::LoadPieces(Database& database, Sequence earliest) {
  Sequence in_runs = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    in_runs = recent_last_;
  }
  return Tables().LoadPieces(
      database, in_runs, [this, in_runs, earliest](Sequence last, absl::string_view entries) {
        absl::MutexLock lock(&mu_);
        RunTables::ReadEntries(entries, last,
                               [&](WebhookHash hash, Sequence sequence)
                                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
                                     if (sequence > in_runs && sequence >= earliest)
                                       recent_[hash].push_back(sequence);
                                   });
        recent_last_ = last;
      });
}

absl::Status WebhookIndex::LoadRecent(Database& database, const EventLogPosition& position,
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

absl::StatusOr<Statement> WebhookIndex::PreparePage(Database& database) {
  return Tables().PreparePage(database);
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
    RETURN_IF_ERROR(Tables().ReadPage(
        last, hash, page, [&found](WebhookHash, Sequence sequence) { found.push_back(sequence); }));
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
  Sequence last = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (!runs_.empty()) last = runs_.back().last;
  }
  orphans_deleted_ = true;
  return Tables().DeletePagesAfter(database, last);
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
    for (; at < end; ++at) {
      RunTables::PutEntry(unwritten_[at].second, last - unwritten_[at].first, entries);
    }
    RETURN_IF_ERROR(Tables().InsertPiece(database, last, entries));
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
  unfinished_->pages.resize(Tables().pages_per_run());
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
      RunTables::PutEntry(hash, unfinished.run.last - sequence,
                          unfinished.pages[Tables().PageOf(hash)]);
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
  const Sequence last = unfinished.run.last;
  RETURN_IF_ERROR(Tables().InsertPages(database, last, unfinished.pages, budget.pages,
                                       unfinished.written_pages));
  if (unfinished.written_pages < unfinished.pages.size()) return absl::OkStatus();
  RETURN_IF_ERROR(Tables().InsertRun(database, last, unfinished.run.filter));
  unfinished.written = true;
  return absl::OkStatus();
}

absl::Status WebhookIndex::ForgetPieces(const Budget& budget, Database& database) {
  Sequence in_runs = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (!runs_.empty()) in_runs = runs_.back().last;
  }
  ASSIGN_OR_RETURN(stale_pieces_deleted_, Tables().DeletePieces(database, in_runs, budget.pieces));
  return absl::OkStatus();
}

absl::Status WebhookIndex::ForgetRun(const Budget& budget, Database& database, Sequence last) {
  ASSIGN_OR_RETURN(forgotten_, Tables().DeleteRun(database, last, budget.pages));
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
