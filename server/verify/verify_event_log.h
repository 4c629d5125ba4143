// Reads a whole log that no hookgated is running on, and says what in it is not as it must be.
// Changes nothing: repairing is a decision for people, who first want a copy. Takes a backup's file
// as well as a data folder, and needs to write to neither.
#ifndef HOOKGATE_SERVER_VERIFY_VERIFY_EVENT_LOG_H_
#define HOOKGATE_SERVER_VERIFY_VERIFY_EVENT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/verify/findings.h"

namespace hookgate {

struct VerifyOptions {
  // A data folder, or the file of a backup. Of a file whose name ends with "-wal" beside it, as of
  // a folder that was copied, that is read as a part of it.
  std::string data_dir;
  size_t max_findings = 100;  // that are kept; all are counted
  // Told now and then how far it is, if the log is so large that somebody might wonder.
  std::function<void(absl::string_view what)> progress = [](absl::string_view) {};
};

// What was read, and what is wrong with it.
struct VerifyReport {
  std::string epoch;
  int64_t earliest_sequence = 0;  // of the events held; head + 1 if none is
  int64_t head_sequence = 0;
  int64_t events = 0;
  int64_t body_bytes = 0;    // of events, as they were received
  int64_t unrecognized = 0;  // events of a type that the schema did not hold when they came
  int64_t older_schema = 0;  // events whose body would be decoded into more fields today
  int64_t newer_schema = 0;  // events of a type that this build does not know
  int64_t quarantined = 0;
  int64_t conflicts = 0;
  int64_t subscriptions = 0;
  int64_t unsettled = 0;
  int64_t dead_letters = 0;
  int64_t wal_bytes = 0;        // of the write-ahead log that was read as a part of it
  int64_t used_wal_bytes = -1;  // of these: up to the last commit; -1: damaged, so not known

  std::vector<Finding> findings;  // the first of them
  int64_t total_findings = 0;
};

// Checks, in one snapshot:
//   the file        SQLite's own integrity check; tables and indexes are those of the schema
//   events          sequences from the log's earliest on, without a gap; one (source, webhook_id)
//                   is one event; each envelope parses and agrees with its row; each body decodes
//                   into the event that is stored
//   quarantine      entries are whole, and their ids have been given
//   conflicts       entries are whole, and about an event that was stored
//   subscriptions   settings parse; positions and delivery numbers are within bounds; what is
//                   unsettled or dead belongs to a subscription and is about an event that is held,
//                   or that retention has removed; what is remembered of deliveries can be read,
//                   and is about events that were stored
// Damage is a finding, not an error. Errors mean that nothing was checked:
//   NOT_FOUND            there is no log in the folder, or no such file
//   FAILED_PRECONDITION  a hookgated is running on it; it cannot be opened; it is of another schema
//                        version, or another application's; a backup that was not finished
absl::StatusOr<VerifyReport> VerifyEventLog(const VerifyOptions& options);

// The report for people: a page that ends with a line break.
std::string ReportText(const VerifyReport& report);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_VERIFY_EVENT_LOG_H_
