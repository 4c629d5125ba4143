#include "server/status/status_book.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"

namespace hookgate {
namespace {

// How long something has been away is stored once a day, and at the end.
constexpr absl::Duration kAbsenceStep = absl::Hours(24);
constexpr size_t kSaltBytes = 16;

std::string NewSalt() {
  absl::BitGen random;
  std::string salt(kSaltBytes, '\0');
  for (char& byte : salt) byte = static_cast<char>(absl::Uniform<uint8_t>(random));
  return salt;
}

absl::Time WholeMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

template <typename Entry>
absl::Duration AbsenceOf(const Entry& entry, absl::Duration now) {
  return entry.configured ? absl::ZeroDuration() : entry.absent + (now - entry.absent_since);
}

template <typename Entries>
void ForgetLongAbsent(Entries& entries, absl::Duration now) {
  std::vector<std::pair<absl::Duration, typename Entries::iterator>> absent;
  for (auto entry = entries.begin(); entry != entries.end();) {
    const auto next = std::next(entry);
    const absl::Duration absence = AbsenceOf(entry->second, now);
    if (absence > StatusBook::kMaxAbsence) {
      entries.erase(entry);
    } else if (!entry->second.configured) {
      absent.emplace_back(absence, entry);
    }
    entry = next;
  }
  if (absent.size() <= StatusBook::kMaxAbsent) return;
  std::stable_sort(absent.begin(), absent.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = StatusBook::kMaxAbsent; i < absent.size(); ++i) entries.erase(absent[i].second);
}

}  // namespace

StatusBook::StatusBook(const Clock& clock)
    : clock_(clock),
      last_look_(absl::ToInt64Nanoseconds(clock.MonotonicNow() - kWriteInterval)),
      head_({.salt = NewSalt(), .since = WholeMicroseconds(clock.WallNow())}) {}

void StatusBook::Restore(const StoredStatus& stored) {
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_.MonotonicNow();
  stored_ = stored;
  if (!stored.head.salt.empty()) head_ = stored.head;
  counters_.AddRows(stored.counters);
  for (const auto& [name, status] : stored.sources) {
    auto record = std::make_shared<SourceRecord>();
    record->webhooks = status.webhooks;
    if (status.last_webhook.has_value()) {
      record->last_webhook = absl::ToUnixMicros(*status.last_webhook);
    }
    sources_[name] = {.record = std::move(record), .absent = status.absent, .absent_since = now};
  }
  for (const auto& [id, status] : stored.secrets) {
    last_generation_ = std::max(last_generation_, status.generation);
    secrets_[id] = {.record = std::make_shared<SecretRecord>(status),
                    .absent = status.absent,
                    .absent_since = now};
  }
  restored_ = true;
}

template <typename Entries>
void StatusBook::SetAllAbsent(Entries& entries, absl::Duration now) const {
  for (auto& [key, entry] : entries) {
    if (!entry.configured) continue;
    entry.configured = false;
    entry.absent = absl::ZeroDuration();
    entry.absent_since = now;
  }
}

std::vector<SourceRecords> StatusBook::Configure(const std::vector<ConfiguredSource>& sources) {
  std::string salt;
  {
    absl::MutexLock lock(&mu_);
    salt = head_.salt;
  }
  std::vector<std::vector<SecretId>> ids;  // hashing takes a moment
  for (const ConfiguredSource& source : sources) {
    ids.emplace_back();
    for (const Secret& secret : source.secrets) {
      ids.back().push_back(
          {.source = std::string(source.name), .name = secret.name(), .tag = secret.Tag(salt)});
    }
  }
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_.MonotonicNow();
  const absl::Time wall = clock_.WallNow();
  SetAllAbsent(sources_, now);
  SetAllAbsent(secrets_, now);
  // Those that come together are of one.
  const int64_t generation = last_generation_ + 1;
  std::vector<SourceRecords> records;
  for (size_t i = 0; i < sources.size(); ++i) {
    Entry<SourceRecord>& source = sources_[std::string(sources[i].name)];
    if (source.record == nullptr) source.record = std::make_shared<SourceRecord>();
    source.configured = true;
    std::vector<std::shared_ptr<SecretRecord>> of_source;
    for (const SecretId& id : ids[i]) {
      Entry<SecretRecord>& secret = secrets_[id];
      if (secret.record == nullptr) {
        secret.record = std::make_shared<SecretRecord>(generation, wall);
        last_generation_ = generation;
        secret.record->webhooks_then = source.record->webhooks.load();
      }
      secret.configured = true;
      of_source.push_back(secret.record);
    }
    records.emplace_back(source.record, std::move(of_source));
  }
  ForgetLongAbsent(sources_, now);
  ForgetLongAbsent(secrets_, now);
  return records;
}

absl::Time StatusBook::since() const {
  absl::MutexLock lock(&mu_);
  return head_.since;
}

std::string StatusBook::last_reload() const {
  absl::MutexLock lock(&mu_);
  return head_.last_reload;
}

void StatusBook::SetLastReload(std::string reload) {
  absl::MutexLock lock(&mu_);
  head_.last_reload = std::move(reload);
}

absl::Duration StatusBook::UntilDue() const {
  const absl::Duration last = absl::Nanoseconds(last_look_.load(std::memory_order_relaxed));
  return std::max(last + kWriteInterval - clock_.MonotonicNow(), absl::ZeroDuration());
}

bool StatusBook::HasChanges(bool all) {
  if (!restored_) return false;
  absl::MutexLock lock(&mu_);
  return !ChangesBetween(stored_, Snapshot({}, all)).empty();
}

const StatusChanges* StatusBook::Due(const GroupOutcomes& outcomes) {
  pending_.reset();  // If the group before was not committed.
  if (!restored_) return nullptr;
  const bool all = write_all_;
  if (!all && UntilDue() > absl::ZeroDuration()) return nullptr;
  last_look_.store(absl::ToInt64Nanoseconds(clock_.MonotonicNow()), std::memory_order_relaxed);
  absl::MutexLock lock(&mu_);
  Pending pending = {.all = all, .status = Snapshot(outcomes, all)};
  pending.changes = ChangesBetween(stored_, pending.status);
  if (pending.changes.empty()) {
    if (all) write_all_ = false;
    return nullptr;
  }
  pending_ = std::move(pending);
  return &pending_->changes;
}

void StatusBook::Committed(const GroupOutcomes& outcomes) {
  counters_.removed_from_quarantine += outcomes.removed_from_quarantine;
  if (!pending_.has_value()) return;
  if (pending_->all) write_all_ = false;
  absl::MutexLock lock(&mu_);
  stored_ = std::move(pending_->status);
  pending_.reset();
}

StoredStatus StatusBook::Snapshot(const GroupOutcomes& outcomes, bool all) {
  const absl::Duration now = clock_.MonotonicNow();
  ForgetLongAbsent(sources_, now);
  ForgetLongAbsent(secrets_, now);
  StoredStatus status = {.head = head_, .counters = counters_.ToRows()};
  const auto add = [&status](const char* name, int64_t count) {
    if (count > 0) status.counters[name] += count;
  };
  // What the log counts here once the group is answered.
  add("stored", outcomes.stored);
  add("duplicates", outcomes.duplicates);
  add("conflicts", outcomes.conflicts);
  add("quarantined", outcomes.quarantined);
  add("removed_from_quarantine", outcomes.removed_from_quarantine);
  AddRows(sources_, stored_.sources, all, now, status.sources);
  AddRows(secrets_, stored_.secrets, all, now, status.secrets);
  return status;
}

template <typename Entries, typename Rows>
void StatusBook::AddRows(const Entries& entries, const Rows& stored, bool all, absl::Duration now,
                         Rows& rows) const {
  for (const auto& [key, entry] : entries) {
    auto row = entry.record->status();
    row.absent = AbsenceOf(entry, now);
    const auto before = stored.find(key);
    if (!all && before != stored.end() && row.absent > before->second.absent &&
        row.absent - before->second.absent < kAbsenceStep) {
      row.absent = before->second.absent;
    }
    rows.emplace(key, row);
  }
}

}  // namespace hookgate
