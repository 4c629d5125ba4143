#include "server/replication/record.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/unknown_field_set.h"
#include "server/base/status.h"
#include "server/replication/replicated_log.h"

namespace hookgate {
namespace {

using replication::v1::Record;
using replication::v1::Rows;

Record Genesis() {
  Record record;
  BeginRecord({}, 0, 0x1122334455667788, record);
  record.set_time_us(1'750'000'000'000'000);
  auto& genesis = *record.add_entries()->mutable_genesis();
  genesis.set_cluster("hooks");
  genesis.set_epoch("0123456789abcdef");
  return record;
}

Record TermAfter(const RecordTail& tail, int64_t term, uint64_t writer) {
  Record record;
  BeginRecord(tail, term, writer, record);
  auto& begins = *record.add_entries()->mutable_term();
  begins.set_replica("a");
  begins.set_version("0.2.0");
  return record;
}

Record RowsAfter(const RecordTail& tail) {
  Record record;
  BeginRecord(tail, tail.term, tail.writer, record);
  Rows& rows = *record.add_entries()->mutable_rows();
  rows.set_table("events");
  rows.set_kind(Rows::KIND_INSERT);
  auto& sequence = *rows.add_columns();
  sequence.set_name("sequence");
  sequence.add_integers(1);
  sequence.add_integers(2);
  auto& source = *rows.add_columns();
  source.set_name("source");
  source.add_texts("openai");
  source.add_texts("stripe");
  auto& body = *rows.add_columns();
  body.set_name("raw_body");
  body.add_blobs("{}");
  body.add_blobs(std::string("\0\xff", 2));
  return record;
}

RecordTail TailAfter(const Record& record) { return TailOf(record, BytesOf(record)); }

// The format is for ever: what a record of the first version is on the wire, byte by byte. If this
// fails, a log that a released version wrote cannot be read any more.
TEST(RecordTest, BytesOfTheFirstFormat) {
  const Record genesis = Genesis();
  const std::string genesis_bytes = BytesOf(genesis);
  EXPECT_EQ(absl::BytesToHexString(genesis_bytes),
            "080110012188776655443322113080c0ed82daf38d033a1b0a190a05686f6f6b73"
            "121030313233343536373839616263646566"
            "7a1008773f59c8fbe4875de469ac64e48998");
  const RecordTail first = TailOf(genesis, genesis_bytes);
  EXPECT_EQ(absl::BytesToHexString({first.hash.data(), first.hash.size()}),
            "08773f59c8fbe4875de469ac64e48998");
  const Record term = TermAfter(first, 7, 0x99);
  EXPECT_EQ(absl::BytesToHexString(BytesOf(term)),
            "0801100218072199000000000000002a1008773f59c8fbe4875de469ac64e48998"
            "3a0c120a0a01611205302e322e30"
            "7a10e58435917e3898afa2cf8b5ba27a1a02");
  const Record rows = RowsAfter(TailAfter(term));
  EXPECT_EQ(absl::BytesToHexString(BytesOf(rows)),
            "0801100318072199000000000000002a10e58435917e3898afa2cf8b5ba27a1a02"
            "3a4a1a480a066576656e747310011a0e0a0873657175656e6365120202041a180a"
            "06736f757263651a066f70656e61691a067374726970651a120a087261775f626f"
            "647922027b7d220200ff7a1017e87b650bec79878420844e3eaa2089");
}

TEST(RecordTest, WhatFollowsIsAccepted) {
  const Record genesis = Genesis();
  EXPECT_TRUE(CheckFollows({}, genesis).ok());
  const RecordTail first = TailAfter(genesis);
  EXPECT_EQ(first.index, 1);
  const Record term = TermAfter(first, 7, 0x99);
  EXPECT_TRUE(CheckFollows(first, term).ok());
  const Record rows = RowsAfter(TailAfter(term));
  EXPECT_TRUE(CheckFollows(TailAfter(term), rows).ok());
  Record parsed;
  ASSERT_TRUE(ParseRecord(BytesOf(rows), parsed).ok());
  EXPECT_EQ(parsed.SerializeAsString(), BytesOf(rows));
}

void ExpectContradicts(const RecordTail& tail, const Record& record, absl::string_view what) {
  const absl::Status status = CheckFollows(tail, record);
  EXPECT_TRUE(absl::IsDataLoss(status)) << what << ": " << status;
  EXPECT_EQ(ReasonOf(status), record_reason::kRecordContradicts) << what;
}

TEST(RecordTest, WhatDoesNotFollowIsRefused) {
  const RecordTail first = TailAfter(Genesis());
  const RecordTail begun = TailAfter(TermAfter(first, 7, 0x99));

  Record record = RowsAfter(begun);
  record.set_index(begun.index + 2);
  ExpectContradicts(begun, record, "a hole");
  record = RowsAfter(begun);
  record.mutable_previous()->front() ^= 1;
  ExpectContradicts(begun, record, "another record before it");
  record = RowsAfter(begun);
  record.set_term(8);
  ExpectContradicts(begun, record, "a term that nobody began");
  record = RowsAfter(begun);
  record.set_writer(0x98);
  ExpectContradicts(begun, record, "another writer in the same term");
  ExpectContradicts(begun, TermAfter(begun, 7, 0x98), "a term that is not higher");
  ExpectContradicts(begun, TermAfter(begun, 6, 0x98), "a term that is lower");
  record = RowsAfter(begun);
  *record.add_entries() = TermAfter(begun, 9, 0x99).entries(0);
  ExpectContradicts(begun, record, "a term behind rows");
  record = Genesis();
  record.set_index(begun.index + 1);
  record.set_previous(begun.hash.data(), begun.hash.size());
  ExpectContradicts(begun, record, "a second genesis");
  record = TermAfter({}, 1, 0x99);
  ExpectContradicts({}, record, "no genesis");
}

// A newer replica writes what this one does not know: it stops, and never skips.
TEST(RecordTest, WhatIsUnknownIsRefusedAndNeverSkipped) {
  const RecordTail begun = TailAfter(TermAfter(TailAfter(Genesis()), 7, 0x99));
  const auto expect_unknown = [](const Record& record, absl::string_view what) {
    Record parsed;
    const absl::Status status = ParseRecord(BytesOf(record), parsed);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << what << ": " << status;
    EXPECT_EQ(ReasonOf(status), record_reason::kRecordUnknown) << what;
  };
  const auto add_unknown = [](google::protobuf::Message& message) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(1000, 1);
  };
  Record record = RowsAfter(begun);
  record.set_format(kRecordFormat + 1);
  expect_unknown(record, "a newer format");
  record = RowsAfter(begun);
  add_unknown(record);
  expect_unknown(record, "a field of the record");
  record = RowsAfter(begun);
  add_unknown(*record.add_entries());
  expect_unknown(record, "a kind of entry");
  record = RowsAfter(begun);
  add_unknown(*record.mutable_entries(0));
  expect_unknown(record, "a second kind in one entry");
  record = RowsAfter(begun);
  add_unknown(*record.mutable_entries(0)->mutable_rows());
  expect_unknown(record, "a field of rows");
  record = RowsAfter(begun);
  add_unknown(*record.mutable_entries(0)->mutable_rows()->mutable_columns(0));
  expect_unknown(record, "a type of values");
  record = TermAfter(begun, 8, 0x99);
  add_unknown(*record.mutable_entries(0)->mutable_term());
  expect_unknown(record, "a field of a term");
  record = Genesis();
  add_unknown(*record.mutable_entries(0)->mutable_genesis());
  expect_unknown(record, "a field of a genesis");
}

// A bit that is flipped on the way to a replica was applied with the record, if that was the last
// one: only the next one told, by the hash that it names. And that replica could lead meanwhile.
TEST(RecordTest, DamageIsNoticedInTheRecordItself) {
  const std::string bytes = BytesOf(RowsAfter(TailAfter(TermAfter(TailAfter(Genesis()), 7, 0x99))));
  Record parsed;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(ReasonOf(ParseRecord(damaged, parsed)), log_reason::kLogDamaged) << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReasonOf(ParseRecord(bytes.substr(0, size), parsed)), log_reason::kLogDamaged);
  }
  EXPECT_EQ(ReasonOf(ParseRecord(absl::StrCat(bytes, bytes), parsed)), log_reason::kLogDamaged);
  EXPECT_TRUE(ParseRecord(bytes, parsed).ok());
}

TEST(RecordTest, OtherBytesAreNoRecord) {
  Record parsed;
  for (const absl::string_view bytes : {"", "\x01", "not a record at all, nor the end of one"}) {
    const absl::Status status = ParseRecord(bytes, parsed);
    EXPECT_EQ(ReasonOf(status), log_reason::kLogDamaged) << status;
  }
  // Whole, and of a format that there never was.
  const absl::Status status = ParseRecord(BytesOf(Record()), parsed);
  EXPECT_EQ(ReasonOf(status), record_reason::kRecordContradicts) << status;
}

}  // namespace
}  // namespace hookgate
