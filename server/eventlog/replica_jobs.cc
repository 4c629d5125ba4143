#include "server/eventlog/replica_jobs.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/status.h"
#include "server/event/event_id.h"
#include "server/eventlog/stretch_rows.h"
#include "server/replication/record.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

using replication::v1::Column;
using replication::v1::Entry;
using replication::v1::Record;
using replication::v1::Rows;

constexpr char kEnds[] = R"sql(
SELECT earliest_sequence,
  (SELECT max(sequence) FROM events),
  (SELECT max(touch) FROM quarantine),
  (SELECT max(touch) FROM conflicts)
FROM log WHERE id = 1)sql";

// Null if the rows lack it: then each has the default.
const Column* FindColumn(const Rows& rows, absl::string_view name) {
  const auto found = std::find_if(rows.columns().begin(), rows.columns().end(),
                                  [name](const Column& column) { return column.name() == name; });
  return found == rows.columns().end() ? nullptr : &*found;
}

// After the rows were applied, so that each column has as many values as there are rows.
std::string BytesAt(const Rows& rows, absl::string_view name, int row) {
  const Column* const column = FindColumn(rows, name);
  if (column == nullptr) return "";
  return column->texts_size() > 0 ? column->texts(row) : column->blobs(row);
}

int64_t IntegerAt(const Rows& rows, absl::string_view name, int row) {
  const Column* const column = FindColumn(rows, name);
  return column == nullptr ? 0 : column->integers(row);
}

class ApplyJob final : public CommitJob {
 public:
  ApplyJob(std::vector<std::shared_ptr<const Record>> records, const RecordTail& tail,
           const EventLogHistory& history, SetHistory set_history, ReplicaDone done)
      : records_(std::move(records)),
        tail_(tail),
        history_(history),
        set_history_(std::move(set_history)),
        done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }
  Work work() const override { return Work::kApplies; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    const absl::Status status = Apply(statements, state);
    const std::string reason = ReasonOf(status);
    if (reason == record_reason::kRecordUnknown || reason == record_reason::kRecordContradicts) {
      state.refusal = status;  // It is the record, not the disk.
    }
    return status;
  }

  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  absl::Status Apply(CommitStatements& statements, CommitState& state) {
    std::vector<std::shared_ptr<StoredEvent>> events;
    bool begins_stretch = false;
    for (const auto& record : records_) {
      for (const Entry& entry : record->entries()) {
        if (entry.has_schema()) {
          RETURN_IF_ERROR(AgreeOnSchema(entry.schema().version(), statements, state));
        }
        if (!entry.has_rows()) continue;
        const Rows& rows = entry.rows();
        RETURN_IF_ERROR(statements.effects->Apply(rows));
        if (rows.table() == "events" && rows.kind() == Rows::KIND_INSERT) TakeEvents(rows, events);
        if (rows.table() == "stretches") begins_stretch = true;
      }
    }
    std::sort(events.begin(), events.end(),
              [](const auto& a, const auto& b) { return a->sequence < b->sequence; });
    for (auto& event : events) RETURN_IF_ERROR(Append(std::move(event), state));
    RETURN_IF_ERROR(ReadEnds(statements.database, state));
    if (begins_stretch) RETURN_IF_ERROR(ReadStretches(statements.database, state));
    return statements.WriteTail(tail_);
  }

  static void TakeEvents(const Rows& rows, std::vector<std::shared_ptr<StoredEvent>>& events) {
    const Column* const sequences = FindColumn(rows, "sequence");
    for (int row = 0; row < sequences->integers_size(); ++row) {
      auto event = std::make_shared<StoredEvent>();
      event->sequence = sequences->integers(row);
      event->source = BytesAt(rows, "source", row);
      event->webhook_id = BytesAt(rows, "webhook_id", row);
      event->type = BytesAt(rows, "type", row);
      event->subject = BytesAt(rows, "subject", row);
      event->failure = IntegerAt(rows, "failure", row) != 0;
      event->receive_time = absl::FromUnixMicros(IntegerAt(rows, "receive_time_us", row));
      event->envelope = BytesAt(rows, "envelope", row);
      event->raw_body = BytesAt(rows, "raw_body", row);
      events.push_back(std::move(event));
    }
  }

  // What the writer's own append does beside the row.
  absl::Status Append(std::shared_ptr<StoredEvent> event, CommitState& state) {
    if (event->sequence != state.position.head + 1) {
      return RecordContradicts(absl::StrCat("record ", tail_.index, " has event ", event->sequence,
                                            " where ", state.position.head + 1, " should be"));
    }
    state.position.head = event->sequence;
    state.webhooks[HashWebhook(event->source, event->webhook_id)].push_back(event->sequence);
    // An envelope that does not parse has no event id here; its subject is still found.
    const bool parsed = envelope_.ParseFromString(event->envelope);
    const TextHashes texts(parsed ? EventIdOf(envelope_) : "", event->subject);
    for (size_t i = 0; i < texts.count; ++i) {
      state.texts.push_back({texts.hashes[i], event->sequence});
    }
    state.appended.push_back(std::move(event));
    return absl::OkStatus();
  }

  static absl::Status ReadEnds(Database& database, CommitState& state) {
    ASSIGN_OR_RETURN(Statement ends, database.Prepare(kEnds));
    ASSIGN_OR_RETURN(const bool row, ends.Step());
    if (!row) return absl::DataLossError("the log's table `log` is empty");
    state.position.earliest = ends.ColumnInt(0);
    state.position.head = std::max(ends.ColumnInt(1), state.position.earliest - 1);
    state.last_touch = std::max({state.last_touch, ends.ColumnInt(2), ends.ColumnInt(3)});
    return absl::OkStatus();
  }

  absl::Status ReadStretches(Database& database, CommitState& state) {
    EventLogHistory history = history_;
    ASSIGN_OR_RETURN(std::vector<Stretch> stretches, LoadStretches(database));
    history.sequences = Stretches(std::move(stretches));
    state.on_commit.emplace_back(
        [this, history = std::move(history)]() mutable { std::move(set_history_)(history); });
    return absl::OkStatus();
  }

  const std::vector<std::shared_ptr<const Record>> records_;
  const RecordTail tail_;
  const EventLogHistory& history_;
  SetHistory set_history_;
  ReplicaDone done_;
  hookgate::v1::Event envelope_;
};

class TakeOverJob final : public CommitJob {
 public:
  TakeOverJob(HistoryMark mark, const EventLogHistory& history, SetHistory set_history,
              ReplicaDone done)
      : mark_(mark),
        history_(history),
        set_history_(std::move(set_history)),
        done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }
  Work work() const override { return Work::kTakesOver; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    RETURN_IF_ERROR(WriteDeliveryStretches(statements.database, mark_));
    statements.stretch = {state.position.head + 1, mark_};
    ASSIGN_OR_RETURN(std::vector<Stretch> stretches, LoadStretches(statements.database));
    stretches.push_back(statements.stretch);
    EventLogHistory history = history_;
    history.mark = mark_;
    history.sequences = Stretches(std::move(stretches));
    state.on_commit.emplace_back(
        [this, history = std::move(history)]() mutable { std::move(set_history_)(history); });
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  const HistoryMark mark_;
  const EventLogHistory& history_;
  SetHistory set_history_;
  ReplicaDone done_;
};

class AgreeJob final : public CommitJob {
 public:
  AgreeJob(int version, ReplicaDone done) : version_(version), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }
  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    state.needs_record = true;
    return AgreeOnSchema(version_, statements, state);
  }
  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  const int version_;
  ReplicaDone done_;
};

class ShowLifeJob final : public CommitJob {
 public:
  explicit ShowLifeJob(ReplicaDone done) : done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }
  absl::Status Write(CommitStatements&, CommitState& state) override {
    state.needs_record = true;
    return absl::OkStatus();
  }
  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  ReplicaDone done_;
};

}  // namespace

std::unique_ptr<CommitJob> MakeApplyJob(std::vector<std::shared_ptr<const Record>> records,
                                        const RecordTail& tail, const EventLogHistory& history,
                                        SetHistory set_history, ReplicaDone done) {
  return std::make_unique<ApplyJob>(std::move(records), tail, history, std::move(set_history),
                                    std::move(done));
}

std::unique_ptr<CommitJob> MakeTakeOverJob(HistoryMark mark, const EventLogHistory& history,
                                           SetHistory set_history, ReplicaDone done) {
  return std::make_unique<TakeOverJob>(mark, history, std::move(set_history), std::move(done));
}

absl::Status AgreeOnSchema(int version, CommitStatements& statements, CommitState& state) {
  if (version > SchemaVersion()) {
    return RecordUnknown(absl::StrCat("from here on the cluster needs schema version ", version,
                                      ", and this hookgated reads up to ", SchemaVersion(),
                                      ": start a newer hookgated here"));
  }
  ASSIGN_OR_RETURN(absl::optional<RowEffects::Shape> shape, CommitStatements::ShapeOf(version));
  RETURN_IF_ERROR(statements.WriteAgreedSchema(version));
  state.agreed_schema = version;
  state.on_commit.emplace_back(
      [&effects = *statements.effects, shape = std::move(shape)]() mutable {
        effects.LimitTo(std::move(shape));
      });
  return absl::OkStatus();
}

std::unique_ptr<CommitJob> MakeAgreeJob(int version, ReplicaDone done) {
  return std::make_unique<AgreeJob>(version, std::move(done));
}

std::unique_ptr<CommitJob> MakeShowLifeJob(ReplicaDone done) {
  return std::make_unique<ShowLifeJob>(std::move(done));
}

}  // namespace hookgate
