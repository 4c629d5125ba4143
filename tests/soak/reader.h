// Subscribers, good and bad.
#ifndef HOOKGATE_TESTS_SOAK_READER_H_
#define HOOKGATE_TESTS_SOAK_READER_H_

#include <cstdint>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/soak/ledger.h"
#include "tests/soak/life.h"
#include "tests/support/event_stream.h"

namespace hookgate {

// Reads the whole log through any number of streams, each of which goes on from the cursor of the
// one before. One thread at a time calls Run and ReadToTheEnd.
class Reader {
 public:
  // A reader that churns ends its streams itself, again and again.
  Reader(Ledger& ledger, std::string name, bool churns, uint64_t seed);

  // Reads until the gateway is down.
  void Run(const Life& life);
  // Reads all that is stored.
  void ReadToTheEnd(const Life& life);

  // Whether Run has come to this sequence, after at most `patience`. Any thread.
  bool WaitFor(int64_t sequence, absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);
  const std::string& name() const { return position_.reader; }
  // Of the newest event; while nothing runs.
  int64_t sequence() const { return position_.sequence; }

 private:
  // "after_cursor: ...", or from the beginning.
  std::string StartOfStream() const;
  // Reads until the stream ends, and ends it after so many events.
  void ReadStream(const Life& life, int64_t at_most);
  int64_t NoteEvents(const v1::SubscribeResponse& frame) ABSL_LOCKS_EXCLUDED(mu_);

  Ledger& ledger_;
  const bool churns_;
  // The running thread's.
  std::mt19937_64 random_;
  Ledger::Position position_;

  absl::Mutex mu_;
  int64_t reached_ ABSL_GUARDED_BY(mu_) = 0;
};

// Opens a stream and does not read it, until the gateway is gone.
void Stall(const Life& life);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_READER_H_
