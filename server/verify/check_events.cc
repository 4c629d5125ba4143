#include "server/verify/check_events.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/util/message_differencer.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/event/event_id.h"
#include "server/event/event_schema.h"
#include "server/event/parse_json.h"
#include "server/eventlog/receive_times.h"
#include "server/eventlog/webhook_index.h"
#include "server/trace/trace_context.h"
#include "server/verify/check_texts.h"

namespace hookgate {
namespace {

using google::protobuf::util::MessageDifferencer;
using hookgate::v1::Event;

constexpr int64_t kProgressStep = 100'000;

// NOT INDEXED: the table itself, whatever its indexes say.
constexpr char kEvents[] =
    "SELECT sequence, source, webhook_id, type, subject, failure, receive_time_us, envelope, "
    "raw_body FROM events NOT INDEXED ORDER BY sequence";
constexpr char kBlock[] = "SELECT latest_us FROM receive_time_blocks WHERE block = ?1";
constexpr char kDuplicates[] =
    "SELECT source, webhook_id, min(sequence), max(sequence) FROM events NOT INDEXED "
    "GROUP BY source, webhook_id HAVING count(*) > 1";

// A row of kEvents; views live until the next one.
struct Row {
  explicit Row(const Statement& row)
      : sequence(row.ColumnInt(0)),
        source(row.ColumnText(1)),
        webhook_id(row.ColumnText(2)),
        type(row.ColumnText(3)),
        subject(row.ColumnText(4)),
        failure(row.ColumnInt(5)),
        receive_time(absl::FromUnixMicros(row.ColumnInt(6))),
        envelope(row.ColumnBlob(7)),
        raw_body(row.ColumnBlob(8)) {}

  int64_t sequence;
  absl::string_view source, webhook_id, type, subject;
  int64_t failure;
  absl::Time receive_time;
  absl::string_view envelope, raw_body;
};

std::string Name(int64_t sequence) { return absl::StrCat("event ", sequence); }

class EventChecker {
 public:
  EventChecker(const WebhookIndex& webhooks, Statement& webhook_page, TextChecker& texts,
               Statement& block, VerifyReport& report, Findings& findings)
      : webhooks_(webhooks),
        webhook_page_(webhook_page),
        texts_(texts),
        block_(block),
        report_(report),
        findings_(findings),
        expected_(report.earliest_sequence) {}

  // An error of the disk.
  absl::Status Check(const Row& row) {
    CheckSequence(row.sequence);
    CheckIndexed(row);
    CheckBlock(row);
    ++report_.events;
    report_.body_bytes += static_cast<int64_t>(row.raw_body.size());
    Event stored;
    if (!stored.ParseFromArray(row.envelope.data(), static_cast<int>(row.envelope.size()))) {
      findings_.Add(Name(row.sequence), "its envelope does not parse as hookgate.v1.Event");
      return texts_.See(row.sequence, "", row.subject);
    }
    CheckColumns(row, stored);
    CheckPayload(row, stored);
    return texts_.See(row.sequence, EventIdOf(stored), row.subject);
  }

 private:
  void CheckSequence(int64_t sequence) {
    if (sequence < report_.earliest_sequence) {
      findings_.Add(Name(sequence), absl::StrCat("is there, but the log begins at sequence ",
                                                 report_.earliest_sequence));
      return;
    }
    if (sequence < expected_) {
      findings_.Add(Name(sequence), absl::StrCat("comes after event ", expected_ - 1));
      return;
    }
    if (sequence > expected_) {
      findings_.Add("events", sequence == expected_ + 1
                                  ? absl::StrCat("sequence ", expected_, " is missing")
                                  : absl::StrCat("sequences ", expected_, " to ", sequence - 1,
                                                 " are missing"));
    }
    expected_ = sequence + 1;
  }

  // As the gateway will look for it when its sender repeats it.
  void CheckIndexed(const Row& row) {
    const auto found = webhooks_.Find(HashWebhook(row.source, row.webhook_id), webhook_page_);
    if (!found.ok() || std::find(found->begin(), found->end(), row.sequence) == found->end()) {
      findings_.Add(Name(row.sequence),
                    "is not found by its webhook-id: a repeat of it would be stored again");
    }
  }

  // As a start at a time will look for it.
  void CheckBlock(const Row& row) {
    const int64_t block = row.sequence / ReceiveTimes::kBlock;
    if (block != block_number_) {
      block_number_ = block;
      StatementScope scope(block_);
      block_.BindInt(1, block);
      const auto there = block_.Step();
      // Of one that is not full, and of one that is missing, the events are read.
      block_latest_ = there.value_or(false) ? absl::FromUnixMicros(block_.ColumnInt(0))
                                            : absl::InfiniteFuture();
    }
    if (row.receive_time > block_latest_) {
      findings_.Add(Name(row.sequence),
                    "was received later than its block's latest time, so a subscription that "
                    "starts at a time would skip it");
    }
  }

  // The columns are what filters and queries look at; the envelope is what subscribers get.
  void CheckColumns(const Row& row, const Event& stored) {
    const auto differs = [&](absl::string_view column) {
      findings_.Add(Name(row.sequence),
                    absl::StrCat("its envelope and its column ", column, " differ"));
    };
    if (row.source != stored.source()) differs("source");
    if (row.webhook_id != stored.webhook_id()) differs("webhook_id");
    if (row.type != stored.type()) differs("type");
    if (row.subject != stored.subject()) differs("subject");
    const auto receive_time = FromProto(stored.receive_time(), "receive_time");
    if (!receive_time.ok() || *receive_time != row.receive_time) differs("receive_time_us");
    if (stored.sequence() != 0 || !stored.cursor().empty() || !stored.raw_body().empty()) {
      findings_.Add(Name(row.sequence), "its envelope holds what only a delivery may");
    }
    CheckTrace(row, stored);
  }

  // Older events have none.
  void CheckTrace(const Row& row, const Event& stored) {
    const auto is_valid = [](const std::string& trace_parent) {
      return trace_parent.empty() || ReadTraceParent(trace_parent) == trace_parent;
    };
    const std::string& state = stored.sender_trace_state();
    if (is_valid(stored.trace_parent()) && is_valid(stored.sender_trace_parent()) &&
        (state.empty() || IsTraceState(state))) {
      return;
    }
    findings_.Add(Name(row.sequence), "its envelope has a trace that is not valid");
  }

  void CheckPayload(const Row& row, const Event& stored) {
    if (stored.payload_case() == Event::PAYLOAD_NOT_SET) {
      const bool newer = !stored.GetReflection()->GetUnknownFields(stored).empty();
      if (newer) {
        ++report_.newer_schema;
      } else {
        findings_.Add(Name(row.sequence), "its envelope has no payload");
      }
    } else if (stored.has_unrecognized()) {
      ++report_.unrecognized;
      CheckUnrecognized(row, stored.unrecognized());
    } else {
      CheckRecognized(row, stored);
    }
  }

  // The schema may know the type by now; what was delivered stays as it was. So may a byte order
  // mark that is left out today.
  void CheckUnrecognized(const Row& row, const hookgate::v1::UnrecognizedEvent& stored) {
    const bool is_body = stored.raw_json() == row.raw_body ||
                         absl::StrCat(kByteOrderMark, stored.raw_json()) == row.raw_body;
    if (!is_body || stored.type() != row.type) {
      findings_.Add(Name(row.sequence), "its payload is not its body");
    } else if (const auto decoded = DecodeEvent(row.raw_body);
               ReasonOf(decoded.status()) == reason::kBodyNotJson) {
      findings_.Add(Name(row.sequence), "its body is not JSON");
    }
  }

  void CheckRecognized(const Row& row, const Event& stored) {
    const bool built_in = FindBuiltInEventType(row.type) != nullptr;
    const absl::StatusOr<DecodedEvent> decoded =
        built_in ? DecodeBuiltInEvent(row.raw_body) : DecodeEvent(row.raw_body);
    if (!decoded.ok()) {
      findings_.Add(Name(row.sequence), absl::StrCat("its body does not decode into its type: ",
                                                     ReasonOf(decoded.status())));
      return;
    }
    if (row.failure != (decoded->failure ? 1 : 0)) {
      findings_.Add(Name(row.sequence), "its column failure does not match its type");
    }
    const Event& expected = decoded->event;
    // Older versions took a subject of any length for a key.
    if (row.subject.size() > kMaxKeyBytes && expected.type() == row.type) {
      ++report_.older_schema;
      return;
    }
    if (expected.type() != row.type || expected.subject() != row.subject ||
        expected.payload_case() != stored.payload_case()) {
      findings_.Add(Name(row.sequence), "its body is of another type or subject");
      return;
    }
    const auto* arm = Event::descriptor()->FindFieldByNumber(stored.payload_case());
    const auto& stored_payload = stored.GetReflection()->GetMessage(stored, arm);
    const auto& payload = expected.GetReflection()->GetMessage(expected, arm);
    if (MessageDifferencer::Equals(stored_payload, payload)) return;
    // What has been added to the schema since is in the body, and not in what was stored.
    MessageDifferencer holds_all;
    holds_all.set_scope(MessageDifferencer::PARTIAL);
    if (holds_all.Compare(stored_payload, payload)) {
      ++report_.older_schema;
    } else {
      findings_.Add(Name(row.sequence), "its body decodes into another payload");
    }
  }

  const WebhookIndex& webhooks_;
  Statement& webhook_page_;
  TextChecker& texts_;
  Statement& block_;
  int64_t block_number_ = -1;
  absl::Time block_latest_;
  VerifyReport& report_;
  Findings& findings_;
  int64_t expected_;  // the next sequence
};

absl::Status ReadEvents(Database& database, const std::function<void(absl::string_view)>& progress,
                        VerifyReport& report, Findings& findings) {
  ASSIGN_OR_RETURN(const auto webhooks,
                   WebhookIndex::Open(database, {report.earliest_sequence, report.head_sequence},
                                      WebhookIndex::kEntriesPerRun, /*may_write=*/false));
  ASSIGN_OR_RETURN(Statement webhook_page, WebhookIndex::PreparePage(database));
  ASSIGN_OR_RETURN(Statement block, database.Prepare(kBlock));
  ASSIGN_OR_RETURN(const auto texts, TextChecker::Create(database, findings));
  EventChecker checker(*webhooks, webhook_page, *texts, block, report, findings);
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kEvents));
  const int64_t total = report.head_sequence - report.earliest_sequence + 1;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return texts->Finish();
    RETURN_IF_ERROR(checker.Check(Row(rows)));
    if (report.events % kProgressStep == 0) {
      progress(absl::StrCat(report.events, " of ", total, " events read"));
    }
  }
}

absl::Status FindDuplicates(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kDuplicates));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    findings.Add(Name(rows.ColumnInt(2)),
                 absl::StrCat("has the source ", absl::Utf8SafeCHexEscape(rows.ColumnText(0)),
                              " and the webhook-id ", absl::Utf8SafeCHexEscape(rows.ColumnText(1)),
                              " of event ", rows.ColumnInt(3)));
  }
}

}  // namespace

void CheckEvents(Database& database, const std::function<void(absl::string_view)>& progress,
                 VerifyReport& report, Findings& findings) {
  absl::Status status = ReadEvents(database, progress, report, findings);
  if (!status.ok()) {
    findings.Add("events", absl::StrCat("reading ended after ", report.events,
                                        " events: ", status.message()));
    return;
  }
  if (report.events >= kProgressStep) progress("looking for duplicates");
  status = FindDuplicates(database, findings);
  if (!status.ok()) {
    findings.Add("events",
                 absl::StrCat("could not be searched for duplicates: ", status.message()));
  }
}

}  // namespace hookgate
