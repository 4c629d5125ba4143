// A bad night in short: a real hookgated under load that is ended and killed again and again, and
// then left running, while all that its outside knows is compared.
#ifndef HOOKGATE_TESTS_SOAK_SOAK_H_
#define HOOKGATE_TESTS_SOAK_SOAK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/soak/ledger.h"

namespace hookgate {

struct SoakPlan {
  std::string data_dir;  // of the gateway; not made yet
  uint64_t seed = 0;
  // First short lives, each of which ends after half to one and a half times so many answers, by
  // SIGKILL and SIGTERM in turns; then one long life of so many, in which memory is watched.
  int lives = 0;
  int64_t answers_per_life = 0;
  int64_t answers_of_last_life = 0;
  // The short lives take no longer than half of this, and the last one than the rest.
  absl::Duration at_most = absl::InfiniteDuration();
  double per_second = 0;  // webhooks; 0: as many as are answered
  int senders = 8;
  int readers = 2;   // that stay connected
  int churning = 2;  // that disconnect and resume
  int stalled = 4;   // that open a stream and do not read
  // Called now and then, with what is so far.
  std::function<void(const std::string& progress)> progress = [](const std::string&) {};
};

struct SoakReport {
  Ledger::Counts counts;
  std::vector<std::string> examples;  // of findings
  int killed = 0;
  int ended = 0;  // politely
  absl::Duration elapsed;
  absl::Duration slowest_start;  // until ready
  absl::Duration slowest_end;    // polite, from SIGTERM

  // Resident bytes. Where the shortest life may end: of the first life, and of the last.
  int64_t first_life_bytes = 0;
  int64_t last_life_bytes = 0;
  // In the last life, after half of it and at its end.
  int64_t warm_bytes = 0;
  int64_t end_bytes = 0;
  // By how much either may grow.
  int64_t allowed_growth = 0;

  int64_t largest_wal_bytes = 0;
  int64_t wal_bound = 0;
  int64_t verify_findings = 0;  // of hookgate fsck, in the end

  bool MemoryIsBounded() const;
  bool WalIsBounded() const { return largest_wal_bytes <= wal_bound; }
  bool IsGood() const;
  // For people.
  std::string Text() const;
};

SoakReport RunSoak(const SoakPlan& plan);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_SOAK_H_
