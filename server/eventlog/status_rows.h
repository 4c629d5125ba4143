// What the log keeps of how the gateway is, so that it outlives a restart: rows of the tables
// status, status_counters, source_status and secret_status (store/schema.h).
#ifndef HOOKGATE_SERVER_EVENTLOG_STATUS_ROWS_H_
#define HOOKGATE_SERVER_EVENTLOG_STATUS_ROWS_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

struct StatusHead {
  std::string salt;         // random; "" if nothing was stored yet
  absl::Time since;         // when counting began
  std::string last_reload;  // serialised; "" if there was none

  friend bool operator==(const StatusHead& a, const StatusHead& b) {
    return std::tie(a.salt, a.since, a.last_reload) == std::tie(b.salt, b.since, b.last_reload);
  }
};

struct SourceStatus {
  int64_t webhooks = 0;                     // whose signature held
  absl::optional<absl::Time> last_webhook;  // of those
  absl::Duration absent;                    // how long the config has not had it

  friend bool operator==(const SourceStatus& a, const SourceStatus& b) {
    return std::tie(a.webhooks, a.last_webhook, a.absent) ==
           std::tie(b.webhooks, b.last_webhook, b.absent);
  }
};

// How a secret is known again: neither its place in the config nor anything from which it could be
// guessed.
struct SecretId {
  std::string source;
  std::string name;
  int64_t tag = 0;  // Secret::Tag

  friend bool operator<(const SecretId& a, const SecretId& b) {
    return std::tie(a.source, a.name, a.tag) < std::tie(b.source, b.name, b.tag);
  }
};

struct SecretStatus {
  int64_t generation = 0;  // that of a newer secret is higher, whatever the clock said
  absl::Time first_configured;
  absl::optional<absl::Time> last_verified;
  absl::optional<absl::Time> last_needed;  // when no newer secret had verified the webhook as well
  int64_t webhooks_then = 0;  // SourceStatus::webhooks at last_needed, or else first_configured
  absl::Duration absent;

  friend bool operator==(const SecretStatus& a, const SecretStatus& b) {
    return std::tie(a.generation, a.first_configured, a.last_verified, a.last_needed,
                    a.webhooks_then, a.absent) == std::tie(b.generation, b.first_configured,
                                                           b.last_verified, b.last_needed,
                                                           b.webhooks_then, b.absent);
  }
};

struct StoredStatus {
  StatusHead head;
  std::map<std::string, int64_t> counters;
  std::map<std::string, SourceStatus> sources;
  std::map<SecretId, SecretStatus> secrets;
};

struct StatusChanges {
  absl::optional<StatusHead> head;
  std::vector<std::pair<std::string, int64_t>> counters;
  std::vector<std::pair<std::string, SourceStatus>> sources;
  std::vector<std::pair<SecretId, SecretStatus>> secrets;
  std::vector<std::string> removed_sources;
  std::vector<SecretId> removed_secrets;

  bool empty() const {
    return !head.has_value() && counters.empty() && sources.empty() && secrets.empty() &&
           removed_sources.empty() && removed_secrets.empty();
  }
};

// What leads from `from` to `to`. Counters are never removed.
StatusChanges ChangesBetween(const StoredStatus& from, const StoredStatus& to);

// What the jobs of one group did to webhooks that came, and to what was kept of them.
struct GroupOutcomes {
  int64_t stored = 0;
  int64_t duplicates = 0;
  int64_t conflicts = 0;
  int64_t quarantined = 0;
  int64_t removed_from_quarantine = 0;             // by its limits
  int64_t removed_from_quarantine_for_number = 0;  // of these; the others, for their age
  int64_t released_from_quarantine = 0;
  int64_t discarded_from_quarantine = 0;
  int64_t events_removed_for_age = 0;
  int64_t events_removed_for_size = 0;
};

// Has something to write beside what else is committed. Called on the log's writer thread alone:
// must be quick, must not wait, and must not call the log.
class CommitCompanion {
 public:
  virtual ~CommitCompanion() = default;
  // The last part of a group's transaction. What is to be written there, after the group had these
  // outcomes; null: nothing now. Lives until the next call.
  virtual const StatusChanges* Due(const GroupOutcomes& outcomes) = 0;
  // The group is on the disk, together with what Due had for it. Comes before its jobs are
  // answered.
  virtual void Committed(const GroupOutcomes& outcomes) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STATUS_ROWS_H_
