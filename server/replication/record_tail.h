// By what a replica knows the record that comes next.
#ifndef HOOKGATE_SERVER_REPLICATION_RECORD_TAIL_H_
#define HOOKGATE_SERVER_REPLICATION_RECORD_TAIL_H_

#include <array>
#include <cstdint>

namespace hookgate {

// The first bytes of the SHA-256 of a record's bytes.
using RecordHash = std::array<char, 16>;

// The last record that a replica has applied. index 0: none yet, and the rest is 0.
struct RecordTail {
  int64_t index = 0;
  int64_t term = 0;
  uint64_t writer = 0;  // the process that wrote it
  RecordHash hash = {};

  friend bool operator==(const RecordTail& a, const RecordTail& b) {
    return a.index == b.index && a.term == b.term && a.writer == b.writer && a.hash == b.hash;
  }
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_RECORD_TAIL_H_
