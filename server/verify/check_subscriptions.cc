#include "server/verify/check_subscriptions.h"

#include <algorithm>
#include <functional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/status.h"
#include "server/delivery/bulk_job.h"
#include "server/delivery/subscription_settings.h"
#include "server/eventlog/history_rows.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {
namespace {

// An id that was never given would be given again.
constexpr char kQuarantine[] = R"sql(
SELECT id, source, webhook_id, receive_count, reason,
       id <= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'quarantine'), 0), touch >= 1
FROM quarantine NOT INDEXED ORDER BY id)sql";

constexpr char kConflicts[] = R"sql(
SELECT sequence, source, webhook_id, receive_count, length(first_body),
       bytes = length(first_body) + length(last_body), touch >= 1
FROM conflicts NOT INDEXED ORDER BY sequence)sql";

constexpr char kSubscriptions[] = R"sql(
SELECT id, name, settings, position, last_delivery, void_delivery, lost,
       id <= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'subscriptions'), 0)
FROM subscriptions NOT INDEXED ORDER BY id)sql";

// The columns that both kinds of rows have, with what they refer to.
#define OWED_COLUMNS                                                                         \
  "SELECT row.subscription, subscriptions.name, row.sequence, row.delivery, row.attempts, "  \
  "row.cause, subscriptions.position, subscriptions.last_delivery, "                         \
  "subscriptions.void_delivery, subscriptions.id IS NOT NULL, events.sequence IS NOT NULL, " \
  "events.receive_time_us IS row.receive_time_us, row.void_delivery, "
#define OWED_JOINS                                                  \
  "LEFT JOIN subscriptions ON subscriptions.id = row.subscription " \
  "LEFT JOIN events ON events.sequence = row.sequence "             \
  "ORDER BY row.subscription, row.sequence"
constexpr char kUnsettled[] = OWED_COLUMNS "row.leased FROM unsettled_events AS row " OWED_JOINS;
constexpr char kDead[] = OWED_COLUMNS "0 FROM dead_letters AS row " OWED_JOINS;

constexpr char kJobs[] = R"sql(
SELECT bulk_jobs.subscription, name, bulk_jobs.id, job
FROM bulk_jobs LEFT JOIN subscriptions ON subscriptions.id = bulk_jobs.subscription
ORDER BY bulk_jobs.subscription, bulk_jobs.id)sql";

constexpr char kSharedDeliveries[] = R"sql(
SELECT coalesce(name, '#' || subscription), delivery, count(*)
FROM unsettled_events LEFT JOIN subscriptions ON subscriptions.id = subscription
WHERE leased <> 0 GROUP BY subscription, delivery HAVING count(*) > 1)sql";

// Rows of a subscription that was deleted go a little after it.
constexpr char kHistory[] =
    "SELECT " HOOKGATE_HISTORY_COLUMNS
    ", name, head FROM delivery_history "
    "JOIN subscriptions ON subscriptions.id = subscription ORDER BY delivery_history.id";
constexpr int kHistoryName = 9;
constexpr int kHistoryHead = 10;

constexpr char kMoves[] = R"sql(
SELECT coalesce(name, '#' || subscription), name IS NOT NULL, kind, from_sequence, to_sequence,
       subscription_moves.settings
FROM subscription_moves LEFT JOIN subscriptions ON subscriptions.id = subscription
ORDER BY subscription, number)sql";

constexpr int64_t kLastCause = 9;  // of DeliveryCause

// Of DeliveryCause: such an event may be beyond the position, after a seek.
constexpr int64_t kRedriven = 6;

// Calls `check` for each row of `sql`. A failure is a finding about `what`.
void ForEachRow(Database& database, absl::string_view sql, absl::string_view what,
                Findings& findings, const std::function<void(const Statement& row)>& check) {
  const auto read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Statement rows, database.Prepare(sql));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) return absl::OkStatus();
      check(rows);
    }
  };
  const absl::Status status = read();
  if (status.ok()) return;
  findings.Add(std::string(what), absl::StrCat("could not be read to the end: ", status.message()));
}

std::string SubscriptionName(absl::string_view name) {
  return absl::StrCat("subscription ", absl::Utf8SafeCHexEscape(name));
}

void CheckSubscription(const Statement& row, const VerifyReport& report, Findings& findings) {
  const std::string where = SubscriptionName(row.ColumnText(1));
  const absl::string_view settings = row.ColumnBlob(2);
  hookgate::v1::SubscriptionSettings parsed;
  if (!parsed.ParseFromArray(settings.data(), static_cast<int>(settings.size()))) {
    findings.Add(where, "its settings do not parse");
  } else if (const absl::Status valid =
                 SubscriptionSettings::FromProto(parsed, "settings").status();
             !valid.ok()) {
    findings.Add(where, absl::StrCat("its settings are not valid: ", valid.message()));
  }
  const int64_t position = row.ColumnInt(3);
  if (position < 0 || position > report.head_sequence) {
    findings.Add(where, absl::StrCat("its position is ", position, "; the newest event is ",
                                     report.head_sequence));
  }
  const int64_t last_delivery = row.ColumnInt(4);
  const int64_t void_delivery = row.ColumnInt(5);
  if (void_delivery < 0 || last_delivery < void_delivery) {
    findings.Add(where, absl::StrCat("its last delivery is ", last_delivery, ", and those up to ",
                                     void_delivery, " are void"));
  }
  if (row.ColumnInt(6) < 0) findings.Add(where, "its count of lost events is negative");
  if (row.ColumnInt(7) == 0) {
    findings.Add(where, absl::StrCat("its id ", row.ColumnInt(0), " was never given"));
  }
}

// A row of kUnsettled or kDead.
struct OwedRow {
  explicit OwedRow(const Statement& row)
      : subscription(row.ColumnInt(0)),
        name(row.ColumnText(1)),
        sequence(row.ColumnInt(2)),
        delivery(row.ColumnInt(3)),
        attempts(row.ColumnInt(4)),
        cause(row.ColumnInt(5)),
        position(row.ColumnInt(6)),
        last_delivery(row.ColumnInt(7)),
        void_delivery(row.ColumnInt(8)),
        has_subscription(row.ColumnInt(9) != 0),
        has_event(row.ColumnInt(10) != 0),
        same_time(row.ColumnInt(11) != 0),
        own_void_delivery(row.ColumnInt(12)),
        leased(row.ColumnInt(13) != 0) {}

  int64_t subscription;
  absl::string_view name;
  int64_t sequence, delivery, attempts, cause, position, last_delivery, void_delivery;
  bool has_subscription, has_event, same_time;
  int64_t own_void_delivery;  // of this event, since it was asked for again
  bool leased;
};

// What holds for both. An event below the earliest has been removed by retention: a dead letter
// outlives it, and what was unsettled is counted as lost at the next start.
void CheckOwed(const OwedRow& row, absl::string_view kind, const VerifyReport& report,
               Findings& findings) {
  if (!row.has_subscription) {
    findings.Add(absl::StrCat("subscription #", row.subscription),
                 absl::StrCat("does not exist, but has ", kind, " event ", row.sequence));
    return;
  }
  const auto add = [&](absl::string_view what) {
    findings.Add(SubscriptionName(row.name),
                 absl::StrCat("its ", kind, " event ", row.sequence, " ", what));
  };
  if (!row.has_event && (row.sequence < 1 || row.sequence >= report.earliest_sequence)) {
    add("is not in the log");
  }
  if (row.has_event && !row.same_time) add("was received at another time");
  if (row.delivery < 0 || row.delivery > row.last_delivery) {
    add(absl::StrCat("has delivery ", row.delivery, "; the last one was ", row.last_delivery));
  }
  if (row.own_void_delivery < 0 || row.own_void_delivery > row.last_delivery) {
    add(absl::StrCat("has void deliveries up to ", row.own_void_delivery, "; the last one was ",
                     row.last_delivery));
  }
  if (row.attempts < 0 || row.cause < 1 || row.cause > kLastCause) {
    add("has an unknown cause or an impossible number of attempts");
  }
}

void CheckUnsettled(const OwedRow& row, const VerifyReport& report, Findings& findings) {
  CheckOwed(row, "unsettled", report, findings);
  if (!row.has_subscription) return;
  if (row.sequence > row.position && row.cause != kRedriven) {
    findings.Add(SubscriptionName(row.name),
                 absl::StrCat("its unsettled event ", row.sequence, " is after its position, ",
                              row.position));
  }
  if (row.leased && row.delivery <= std::max(row.void_delivery, row.own_void_delivery)) {
    findings.Add(SubscriptionName(row.name),
                 absl::StrCat("its unsettled event ", row.sequence, " is held by delivery ",
                              row.delivery, ", which is void"));
  }
}

// What is remembered of one event.
void CheckHistory(const Statement& row, const VerifyReport& report, Findings& findings) {
  const int64_t sequence = row.ColumnInt(0);
  const auto add = [&](absl::string_view what) {
    findings.Add(SubscriptionName(row.ColumnText(kHistoryName)),
                 absl::StrCat("its history of event ", sequence, " ", what));
  };
  if (sequence < 1 || sequence > report.head_sequence) add("is of an event that never was");
  const int64_t head = row.ColumnInt(kHistoryHead);
  if (head < 0 || head > report.head_sequence) {
    add(absl::StrCat("is from when event ", head, " was the newest; the newest event is ",
                     report.head_sequence));
  }
  const absl::StatusOr<DeliveryHistory> history = ReadHistory(row);
  if (!history.ok()) {
    add(absl::StrCat("cannot be read: ", history.status().message()));
    return;
  }
  if (history->outcome < DeliveryOutcome::kOpen || history->outcome > DeliveryOutcome::kSkipped) {
    add("has an unknown outcome");
  }
  if (history->number < 0 || history->count < static_cast<int64_t>(history->attempts.size())) {
    add(absl::StrCat("counts ", history->count, " attempts, and has ", history->attempts.size()));
  }
}

void CheckMove(const Statement& row, const VerifyReport& report, Findings& findings) {
  const std::string where = SubscriptionName(row.ColumnText(0));
  if (row.ColumnInt(1) == 0) findings.Add(where, "does not exist, but has moves");
  const auto kind = static_cast<SubscriptionMove::Kind>(row.ColumnInt(2));
  const int64_t from = row.ColumnInt(3);
  const int64_t to = row.ColumnInt(4);
  if (kind < SubscriptionMove::Kind::kStart || kind > SubscriptionMove::Kind::kUpgraded) {
    findings.Add(where, "it has a move of an unknown kind");
  }
  if (from < 0 || to < 0 || from > report.head_sequence || to > report.head_sequence) {
    findings.Add(where, absl::StrCat("it has a move from ", from, " to ", to,
                                     "; the newest event is ", report.head_sequence));
  }
  const absl::string_view settings = row.ColumnBlob(5);
  hookgate::v1::SubscriptionSettings parsed;
  if (!parsed.ParseFromArray(settings.data(), static_cast<int>(settings.size()))) {
    findings.Add(where, "it has a move whose settings do not parse");
  }
}

// A row of kJobs.
void CheckJob(const Statement& row, Findings& findings) {
  const int64_t id = row.ColumnInt(2);
  if (row.ColumnText(1).empty()) {
    findings.Add(absl::StrCat("subscription #", row.ColumnInt(0)),
                 absl::StrCat("does not exist, but has job ", id));
    return;
  }
  const absl::Status read =
      BulkJob::Read({.id = id, .job = std::string(row.ColumnBlob(3))}).status();
  if (!read.ok()) {
    findings.Add(SubscriptionName(row.ColumnText(1)),
                 absl::StrCat("its job ", id, ": ", read.message()));
  }
}

}  // namespace

void CheckQuarantine(Database& database, VerifyReport& report, Findings& findings) {
  ForEachRow(database, kQuarantine, "quarantine", findings, [&](const Statement& row) {
    ++report.quarantined;
    const std::string where = absl::StrCat("quarantine entry ", row.ColumnInt(0));
    if (row.ColumnText(1).empty() || row.ColumnText(2).empty() || row.ColumnText(4).empty()) {
      findings.Add(where, "lacks its source, its webhook-id or its reason");
    }
    if (row.ColumnInt(3) < 1) findings.Add(where, "was never received");
    if (row.ColumnInt(5) == 0) findings.Add(where, "its id was never given");
    if (row.ColumnInt(6) == 0) findings.Add(where, "its place among the others cannot be");
  });
}

void CheckConflicts(Database& database, VerifyReport& report, Findings& findings) {
  ForEachRow(database, kConflicts, "conflicts", findings, [&](const Statement& row) {
    ++report.conflicts;
    const std::string where = absl::StrCat("conflict of event ", row.ColumnInt(0));
    if (row.ColumnInt(0) < 1 || row.ColumnInt(0) > report.head_sequence) {
      findings.Add(where, "that event never existed");
    }
    if (row.ColumnText(1).empty() || row.ColumnText(2).empty() || row.ColumnInt(4) < 1) {
      findings.Add(where, "lacks its source, its webhook-id or its body");
    }
    if (row.ColumnInt(3) < 1) findings.Add(where, "was never received");
    if (row.ColumnInt(5) == 0) findings.Add(where, "its size is not that of its bodies");
    if (row.ColumnInt(6) == 0) findings.Add(where, "its place among the others cannot be");
  });
}

void CheckSubscriptions(Database& database, VerifyReport& report, Findings& findings) {
  ForEachRow(database, kSubscriptions, "subscriptions", findings, [&](const Statement& row) {
    ++report.subscriptions;
    CheckSubscription(row, report, findings);
  });
  ForEachRow(database, kUnsettled, "unsettled_events", findings, [&](const Statement& row) {
    ++report.unsettled;
    CheckUnsettled(OwedRow(row), report, findings);
  });
  ForEachRow(database, kDead, "dead_letters", findings, [&](const Statement& row) {
    ++report.dead_letters;
    CheckOwed(OwedRow(row), "dead", report, findings);
  });
  ForEachRow(database, kHistory, "delivery_history", findings,
             [&](const Statement& row) { CheckHistory(row, report, findings); });
  ForEachRow(database, kMoves, "subscription_moves", findings,
             [&](const Statement& row) { CheckMove(row, report, findings); });
  ForEachRow(database, kJobs, "bulk_jobs", findings,
             [&](const Statement& row) { CheckJob(row, findings); });
  ForEachRow(database, kSharedDeliveries, "unsettled_events", findings, [&](const Statement& row) {
    findings.Add(
        SubscriptionName(row.ColumnText(0)),
        absl::StrCat("its delivery ", row.ColumnInt(1), " holds ", row.ColumnInt(2), " events"));
  });
}

}  // namespace hookgate
