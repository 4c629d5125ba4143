#include "server/eventlog/stretch_rows.h"

#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// How many stretches of deliveries are kept of a subscription: delivery ids of longer ago, by so
// many restarts, are no longer known.
constexpr int kMaxDeliveryStretches = 16;

}  // namespace

absl::StatusOr<std::vector<Stretch>> LoadStretches(Database& database) {
  std::vector<Stretch> stretches;
  ASSIGN_OR_RETURN(Statement rows, database.Prepare("SELECT first_sequence, mark FROM stretches "
                                                    "ORDER BY first_sequence"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return stretches;
    stretches.push_back({rows.ColumnInt(0), static_cast<HistoryMark>(rows.ColumnInt(1))});
  }
}

absl::Status WriteDeliveryStretches(Database& database, HistoryMark mark) {
  RETURN_IF_ERROR(database.Execute(
      absl::StrCat("INSERT OR REPLACE INTO delivery_stretches (subscription, first_delivery, mark) "
                   "SELECT id, last_delivery + 1, ",
                   mark, " FROM subscriptions")));
  return database.Execute(
      absl::StrCat("DELETE FROM delivery_stretches WHERE "
                   "(SELECT count(*) FROM delivery_stretches AS newer "
                   "WHERE newer.subscription = delivery_stretches.subscription "
                   "AND newer.first_delivery > delivery_stretches.first_delivery) >= ",
                   kMaxDeliveryStretches));
}

}  // namespace hookgate
