#include "server/replication/record.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "server/base/status.h"
#include "server/replication/replicated_log.h"

namespace hookgate {
namespace {

using replication::v1::Column;
using replication::v1::Entry;
using replication::v1::Record;
using replication::v1::Rows;

bool HasUnknown(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

// A kind of entry that is unknown is an unknown field of its entry.
absl::Status CheckKnown(const Record& record) {
  const auto unknown = [&record](absl::string_view what) {
    return RecordUnknown(absl::StrCat("record ", record.index(), " holds ", what,
                                      " that this hookgated does not know: it was written by a "
                                      "newer one, which has to run here as well"));
  };
  if (HasUnknown(record)) return unknown("a field");
  for (const Entry& entry : record.entries()) {
    switch (entry.kind_case()) {
      case Entry::kGenesis:
        if (HasUnknown(entry.genesis())) return unknown("a field of its genesis");
        break;
      case Entry::kTerm:
        if (HasUnknown(entry.term())) return unknown("a field of its term");
        break;
      case Entry::kRows:
        if (HasUnknown(entry.rows())) return unknown("a field of its rows");
        for (const Column& column : entry.rows().columns()) {
          if (HasUnknown(column)) return unknown("a type of values");
        }
        break;
      case Entry::kSchema:
        if (HasUnknown(entry.schema())) return unknown("a field of its schema");
        break;
      case Entry::KIND_NOT_SET:
        return unknown("a kind of entry");
    }
    if (HasUnknown(entry)) return unknown("a kind of entry");
  }
  return absl::OkStatus();
}

bool Begins(const Record& record, Entry::KindCase kind) {
  return record.entries_size() > 0 && record.entries(0).kind_case() == kind;
}

// Such an entry anywhere but at the beginning of its record.
bool HasLater(const Record& record, Entry::KindCase kind) {
  return std::any_of(record.entries().begin() + std::min(record.entries_size(), 1),
                     record.entries().end(),
                     [kind](const Entry& entry) { return entry.kind_case() == kind; });
}

absl::string_view AsView(const RecordHash& hash) { return {hash.data(), hash.size()}; }

// The field `hash`, as it stands at the end: its number and type, its length, and itself.
constexpr absl::string_view kHashHeader("\x7a\x10", 2);
constexpr size_t kTrailerBytes = kHashHeader.size() + std::tuple_size_v<RecordHash>;

RecordHash HashOf(absl::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  // Fails only without memory or without SHA-256.
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  RecordHash hash;
  std::copy_n(reinterpret_cast<const char*>(digest.data()), hash.size(), hash.begin());
  return hash;
}

// The hash that the bytes of a record end with.
absl::string_view StoredHash(absl::string_view bytes) {
  return absl::ClippedSubstr(bytes, bytes.size() - std::min(bytes.size(), RecordHash().size()));
}

bool FitsItsHash(absl::string_view bytes) {
  if (bytes.size() < kTrailerBytes) return false;
  const absl::string_view before = bytes.substr(0, bytes.size() - kTrailerBytes);
  return bytes.substr(before.size(), kHashHeader.size()) == kHashHeader &&
         StoredHash(bytes) == AsView(HashOf(before));
}

}  // namespace

absl::Status RecordContradicts(absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kDataLoss, record_reason::kRecordContradicts, message);
}

absl::Status RecordUnknown(absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, record_reason::kRecordUnknown,
                         message);
}

bool AppendRecord(const Record& record, std::string& bytes) {
  const size_t begin = bytes.size();
  if (!record.AppendToString(&bytes)) return false;
  const RecordHash hash = HashOf(absl::string_view(bytes).substr(begin));
  absl::StrAppend(&bytes, kHashHeader, AsView(hash));
  return true;
}

std::string BytesOf(const Record& record) {
  std::string bytes;
  AppendRecord(record, bytes);
  return bytes;
}

absl::Status ParseRecord(absl::string_view bytes, Record& record) {
  if (!FitsItsHash(bytes)) {
    return ErrorWithReason(absl::StatusCode::kDataLoss, log_reason::kLogDamaged,
                           "an entry of the replicated log does not fit its own hash: it is "
                           "damaged, or another program writes there");
  }
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return RecordContradicts("an entry of the replicated log is not a record of Hookgate's");
  }
  if (record.format() > kRecordFormat) {
    return RecordUnknown(absl::StrCat(
        "record ", record.index(), " has format ", record.format(), ", this hookgated reads up to ",
        kRecordFormat, ": it was written by a newer one, which has to run here as well"));
  }
  if (record.format() < 1) {
    return RecordContradicts("an entry of the replicated log is not a record of Hookgate's");
  }
  return CheckKnown(record);
}

absl::Status CheckFollows(const RecordTail& tail, const Record& record) {
  const auto contradicts = [&record](auto... what) {
    return RecordContradicts(absl::StrCat("record ", record.index(), what...));
  };
  if (record.index() != tail.index + 1) {
    return contradicts(" is where record ", tail.index + 1, " should be");
  }
  const absl::string_view expected = tail.index == 0 ? absl::string_view() : AsView(tail.hash);
  if (record.previous() != expected) {
    return contradicts(" follows a record with hash ", absl::BytesToHexString(record.previous()),
                       ", but record ", tail.index, " of this replica has ",
                       absl::BytesToHexString(expected), ": their histories differ");
  }
  const bool begins_log = Begins(record, Entry::kGenesis);
  const bool begins_term = Begins(record, Entry::kTerm);
  if (begins_log != (tail.index == 0) || HasLater(record, Entry::kGenesis)) {
    return contradicts(begins_log ? " is a genesis, which only the first one may be"
                                  : " has a genesis in the wrong place, or lacks it");
  }
  if (HasLater(record, Entry::kTerm)) return contradicts(" has a term in the wrong place");
  if (begins_log) return absl::OkStatus();
  if (begins_term) {
    if (record.term() > tail.term) return absl::OkStatus();
    return contradicts(" begins term ", record.term(), " after term ", tail.term);
  }
  if (record.term() == tail.term && record.writer() == tail.writer) return absl::OkStatus();
  return contradicts(" is of term ", record.term(),
                     " by a writer that has not begun it; the term is ", tail.term);
}

RecordTail TailOf(const Record& record, absl::string_view bytes) {
  RecordHash hash = {};
  const absl::string_view stored = StoredHash(bytes);
  std::copy(stored.begin(), stored.end(), hash.begin());
  return {.index = record.index(), .term = record.term(), .writer = record.writer(), .hash = hash};
}

void BeginRecord(const RecordTail& tail, int64_t term, uint64_t writer, Record& record) {
  record.set_format(kRecordFormat);
  record.set_index(tail.index + 1);
  record.set_term(term);
  record.set_writer(writer);
  if (tail.index > 0) record.set_previous(tail.hash.data(), tail.hash.size());
}

}  // namespace hookgate
