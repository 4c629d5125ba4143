#include "server/eventlog/replicated_tables.h"

#include <algorithm>
#include <vector>

namespace hookgate {

namespace {

std::vector<std::string>& Replicated() {
  static auto* const tables = new std::vector<std::string>{
      "log",
      "stretches",
      "events",
      "repeats",
      "quarantine",
      "conflicts",
      "subscriptions",
      "delivery_stretches",
      "unsettled_events",
      "dead_letters",
      "bulk_jobs",
      "delivery_history",
      "subscription_moves",
      "age_marks",
      "age_clock",
      "former_epochs",
  };
  return *tables;
}

}  // namespace

absl::Span<const std::string> ReplicatedTables() { return Replicated(); }

void AddReplicatedTableForTest(const std::string& table, const std::string& before) {
  std::vector<std::string>& tables = Replicated();
  tables.insert(std::find(tables.begin(), tables.end(), before), table);
}

absl::Span<const std::string> DerivedTables() {
  static const auto* const kTables = new std::vector<std::string>{
      "webhook_runs", "webhook_pages", "webhook_pieces",      "text_runs",
      "text_pages",   "text_pieces",   "receive_time_blocks",
  };
  return *kTables;
}

absl::Span<const std::string> LocalTables() {
  static const auto* const kTables = new std::vector<std::string>{
      "replica", "status", "status_counters", "source_status", "secret_status", "compatibility",
  };
  return *kTables;
}

}  // namespace hookgate
