#include "server/eventlog/status_rows.h"

namespace hookgate {
namespace {

template <typename Key, typename Value>
void AddChanged(const std::map<Key, Value>& from, const std::map<Key, Value>& to,
                std::vector<std::pair<Key, Value>>& changed) {
  for (const auto& [key, value] : to) {
    const auto before = from.find(key);
    if (before == from.end() || !(before->second == value)) changed.emplace_back(key, value);
  }
}

template <typename Key, typename Value>
void AddRemoved(const std::map<Key, Value>& from, const std::map<Key, Value>& to,
                std::vector<Key>& removed) {
  for (const auto& [key, value] : from) {
    if (to.find(key) == to.end()) removed.push_back(key);
  }
}

}  // namespace

StatusChanges ChangesBetween(const StoredStatus& from, const StoredStatus& to) {
  StatusChanges changes;
  if (!(from.head == to.head)) changes.head = to.head;
  AddChanged(from.counters, to.counters, changes.counters);
  AddChanged(from.sources, to.sources, changes.sources);
  AddChanged(from.secrets, to.secrets, changes.secrets);
  AddRemoved(from.sources, to.sources, changes.removed_sources);
  AddRemoved(from.secrets, to.secrets, changes.removed_secrets);
  return changes;
}

}  // namespace hookgate
