// Records of the replicated log: their bytes, and whether one may follow another.
//
// Pure. What a record holds stands in record.proto.
#ifndef HOOKGATE_SERVER_REPLICATION_RECORD_H_
#define HOOKGATE_SERVER_REPLICATION_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/replication/record.pb.h"
#include "server/replication/record_tail.h"

namespace hookgate {

namespace record_reason {

// The record is of a newer version than this build can read. FAILED_PRECONDITION: start a newer
// hookgated.
inline constexpr char kRecordUnknown[] = "record_unknown";
// The record does not follow from what this replica holds: the one or the other is of another
// history, or damaged. DATA_LOSS: nothing is applied from there on.
inline constexpr char kRecordContradicts[] = "record_contradicts";

}  // namespace record_reason

// The format that this build writes, and the newest one that it reads.
inline constexpr int kRecordFormat = 1;

// Appends the bytes of `record`, with their hash. False if they are too many for protobuf.
bool AppendRecord(const hookgate::replication::v1::Record& record, std::string& bytes);
std::string BytesOf(const hookgate::replication::v1::Record& record);

// Reads `bytes` into `record`. DATA_LOSS log_damaged if they do not fit their hash: read again,
// they may; FAILED_PRECONDITION record_unknown if it is of a newer format, or holds a field or a
// kind of entry that this build does not know; DATA_LOSS record_contradicts if it is no record.
absl::Status ParseRecord(absl::string_view bytes, hookgate::replication::v1::Record& record);

// Whether `record` may be the one after `tail`: its index is the next one, it names the hash of
// that record, and its term is the same, by the same writer, or a higher one that it begins. The
// first one is a genesis. DATA_LOSS record_contradicts says what is wrong.
absl::Status CheckFollows(const RecordTail& tail, const hookgate::replication::v1::Record& record);

// The tail once the record with these bytes, which AppendRecord wrote, has been applied.
RecordTail TailOf(const hookgate::replication::v1::Record& record, absl::string_view bytes);

// The record that comes after `tail`, without entries.
void BeginRecord(const RecordTail& tail, int64_t term, uint64_t writer,
                 hookgate::replication::v1::Record& record);

absl::Status RecordContradicts(absl::string_view message);
absl::Status RecordUnknown(absl::string_view message);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_RECORD_H_
