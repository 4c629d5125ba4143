#include "server/eventlog/replicated_tables.h"

#include <vector>

namespace hookgate {

absl::Span<const std::string> ReplicatedTables() {
  static const auto* const kTables = new std::vector<std::string>{
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
  return *kTables;
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
      "replica", "status", "status_counters", "source_status", "secret_status",
  };
  return *kTables;
}

}  // namespace hookgate
