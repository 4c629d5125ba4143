#include "server/eventlog/webhook_index.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
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
constexpr char kGetPage[] = "SELECT entries FROM webhook_pages WHERE id = ?1";
constexpr char kInsertRun[] = "INSERT INTO webhook_runs (last_sequence, filter) VALUES (?1, ?2)";
constexpr char kInsertPage[] = "INSERT INTO webhook_pages (id, entries) VALUES (?1, ?2)";
constexpr char kDeleteRun[] = "DELETE FROM webhook_runs WHERE last_sequence = ?1";
constexpr char kDeletePages[] = "DELETE FROM webhook_pages WHERE id >= ?1 AND id < ?2";

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

absl::StatusOr<std::unique_ptr<WebhookIndex>> WebhookIndex::Open(Database& database,
                                                                 const LogPosition& position,
                                                                 int64_t entries_per_run,
                                                                 bool may_write) {
  auto index = absl::WrapUnique(new WebhookIndex(entries_per_run));
  RETURN_IF_ERROR(index->LoadRuns(database));
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
    Committed(std::move(hashes));
    if (read < entries_per_run_) return absl::OkStatus();
    if (!may_write) continue;
    const absl::Status written = WriteLoaded(database, position.earliest);
    if (absl::IsResourceExhausted(written) || absl::IsUnavailable(written)) may_write = false;
    if (may_write) RETURN_IF_ERROR(written);
    Log(Severity::kInfo, "indexed the webhook ids of events",
        {{"up_to_sequence", after}, {"of", position.head}});
  }
}

absl::Status WebhookIndex::WriteLoaded(Database& database, Sequence earliest) {
  absl::Status status = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    RETURN_IF_ERROR(Write(database, earliest));
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
    if (const auto recent = recent_.find(hash); recent != recent_.end()) found = recent->second;
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
  bool enough = false;
  bool overtaken = false;
  {
    absl::ReaderMutexLock lock(&mu_);
    enough = static_cast<int64_t>(recent_.size()) >= entries_per_run_;
    overtaken = !runs_.empty() && runs_.front().last < earliest;
  }
  if (enough) RETURN_IF_ERROR(WriteRun(database));
  return overtaken ? ForgetRuns(database, earliest) : absl::OkStatus();
}

// The lock is shared: only this thread changes what it guards.
absl::Status WebhookIndex::WriteRun(Database& database) {
  ASSIGN_OR_RETURN(Statement insert_page, database.Prepare(kInsertPage));
  ASSIGN_OR_RETURN(Statement insert_run, database.Prepare(kInsertRun));
  Run run;
  std::vector<std::string> pages(kPagesPerRun);
  {
    absl::ReaderMutexLock lock(&mu_);
    run.last = recent_last_;
    run.filter.assign((recent_.size() / kEntriesPerBlock + 1) * kBlockBytes, '\0');
    for (const auto& [hash, sequences] : recent_) {
      AddToFilter(hash, run.filter);
      for (const Sequence sequence : sequences) {
        PutLittleEndian(hash, pages[PageOf(hash)]);
        PutLittleEndian(static_cast<uint32_t>(run.last - sequence), pages[PageOf(hash)]);
      }
    }
  }
  for (int64_t page = 0; page < kPagesPerRun; ++page) {
    if (pages[page].empty()) continue;
    insert_page.BindInt(1, FirstPage(run.last) + page);
    insert_page.BindBlob(2, pages[page]);
    RETURN_IF_ERROR(insert_page.Run());
  }
  insert_run.BindInt(1, run.last);
  insert_run.BindBlob(2, run.filter);
  RETURN_IF_ERROR(insert_run.Run());
  written_ = std::move(run);
  return absl::OkStatus();
}

absl::Status WebhookIndex::ForgetRuns(Database& database, Sequence earliest) {
  ASSIGN_OR_RETURN(Statement delete_run, database.Prepare(kDeleteRun));
  ASSIGN_OR_RETURN(Statement delete_pages, database.Prepare(kDeletePages));
  std::vector<Sequence> overtaken;
  {
    absl::ReaderMutexLock lock(&mu_);
    for (const Run& run : runs_) {
      if (run.last < earliest) overtaken.push_back(run.last);
    }
  }
  for (const Sequence last : overtaken) {
    delete_run.BindInt(1, last);
    RETURN_IF_ERROR(delete_run.Run());
    delete_pages.BindInt(1, FirstPage(last));
    delete_pages.BindInt(2, FirstPage(last + 1));
    RETURN_IF_ERROR(delete_pages.Run());
  }
  forgotten_ = static_cast<std::ptrdiff_t>(overtaken.size());
  return absl::OkStatus();
}

void WebhookIndex::Committed(const WebhookHashes& appended) {
  absl::MutexLock lock(&mu_);
  runs_.erase(runs_.begin(), runs_.begin() + std::exchange(forgotten_, 0));
  if (written_.has_value()) {
    runs_.push_back(*std::move(written_));
    written_.reset();
    recent_.clear();
  }
  for (const auto& [hash, sequences] : appended) {
    Sequences& known = recent_[hash];
    known.insert(known.end(), sequences.begin(), sequences.end());
    recent_last_ = std::max(recent_last_, sequences.back());
  }
}

void WebhookIndex::RolledBack() {
  written_.reset();
  forgotten_ = 0;
}

}  // namespace hookgate
