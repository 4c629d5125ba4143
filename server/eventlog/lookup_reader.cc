#include "server/eventlog/lookup_reader.h"

#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/event/event_id.h"

namespace hookgate {
namespace {

constexpr char kSources[] = "SELECT source FROM source_status ORDER BY source";
constexpr char kEvent[] =
    "SELECT source, webhook_id, type, subject, failure, receive_time_us, envelope FROM events "
    "WHERE sequence = ?1";
constexpr char kSecrets[] = "SELECT secrets FROM events WHERE sequence = ?1";
constexpr char kRepeats[] =
    "SELECT duplicates, conflicts, last_receive_time_us FROM repeats WHERE sequence = ?1";

// Events that are looked at for one text: more than are asked for, since some may be of sources
// that the caller may not know of, or gone.
constexpr size_t kMaxLookedAt = 200;

void Assign(std::string& text, absl::string_view view) { text.assign(view.data(), view.size()); }

bool HasText(const StoredEvent& event, absl::string_view text) {
  if (event.webhook_id == text || event.subject == text) return true;
  hookgate::v1::Event envelope;
  return envelope.ParseFromString(event.envelope) && EventIdOf(envelope) == text;
}

}  // namespace

struct LookupReader::Search {
  const absl::string_view text;
  const size_t max;
  const absl::FunctionRef<bool(const std::string& source)> may_see;
  Statement event;
  std::map<Sequence, StoredEventPtr> found = {};
  bool more = false;

  // Takes the event if it is there, has the text, and may be seen.
  absl::Status Look(Sequence sequence) {
    StatementScope scope(event);
    event.BindInt(1, sequence);
    ASSIGN_OR_RETURN(const bool row, event.Step());
    if (!row) return absl::OkStatus();
    auto read = std::make_shared<StoredEvent>();
    read->sequence = sequence;
    Assign(read->source, event.ColumnText(0));
    Assign(read->webhook_id, event.ColumnText(1));
    Assign(read->type, event.ColumnText(2));
    Assign(read->subject, event.ColumnText(3));
    read->failure = event.ColumnInt(4) != 0;
    read->receive_time = absl::FromUnixMicros(event.ColumnInt(5));
    Assign(read->envelope, event.ColumnBlob(6));
    if (may_see(read->source) && HasText(*read, text)) found.emplace(sequence, std::move(read));
    return absl::OkStatus();
  }
};

absl::StatusOr<FoundEvents> LookupReader::FindByText(
    absl::string_view text, absl::Span<const std::string> sources, size_t max,
    absl::FunctionRef<bool(const std::string& source)> may_see) {
  if (text.empty() || text.size() > kMaxKeyBytes) return FoundEvents();
  ASSIGN_OR_RETURN(Statement event, database_.Prepare(kEvent));
  Search search{.text = text, .max = max, .may_see = may_see, .event = std::move(event)};
  RETURN_IF_ERROR(FindByWebhookId(sources, search));
  RETURN_IF_ERROR(FindByHash(search));
  FoundEvents result;
  result.more = search.more || search.found.size() > max;
  for (auto it = search.found.rbegin(); it != search.found.rend() && result.events.size() < max;
       ++it) {
    result.events.push_back(std::move(it->second));
  }
  return result;
}

// One a source at most.
absl::Status LookupReader::FindByWebhookId(absl::Span<const std::string> sources, Search& search) {
  ASSIGN_OR_RETURN(const absl::btree_set<std::string> all, AllSources(sources));
  ASSIGN_OR_RETURN(Statement page, WebhookIndex::PreparePage(database_));
  for (const std::string& source : all) {
    if (!search.may_see(source)) continue;
    ASSIGN_OR_RETURN(const Sequences candidates,
                     webhooks_.Find(HashWebhook(source, search.text), page));
    for (const Sequence candidate : candidates) RETURN_IF_ERROR(search.Look(candidate));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::btree_set<std::string>> LookupReader::AllSources(
    absl::Span<const std::string> sources) {
  absl::btree_set<std::string> all(sources.begin(), sources.end());
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kSources));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return all;
    all.emplace(rows.ColumnText(0));
  }
}

absl::Status LookupReader::FindByHash(Search& search) {
  ASSIGN_OR_RETURN(Statement page, TextIndex::PreparePage(database_));
  const size_t before = search.found.size();
  size_t looked_at = 0;
  return texts_.Find(HashText(search.text), page, [&](Sequence sequence) -> absl::StatusOr<bool> {
    if (looked_at++ == kMaxLookedAt || search.found.size() - before > search.max) {
      search.more = true;
      return false;
    }
    RETURN_IF_ERROR(search.Look(sequence));
    return true;
  });
}

absl::StatusOr<Arrival> LookupReader::GetArrival(Sequence sequence) {
  ASSIGN_OR_RETURN(Statement event, database_.Prepare(kSecrets));
  event.BindInt(1, sequence);
  ASSIGN_OR_RETURN(const bool there, event.Step());
  if (!there) {
    return ErrorWithReason(absl::StatusCode::kNotFound, reason::kEventNotFound,
                           absl::StrCat("there is no event with sequence ", sequence));
  }
  Arrival arrival;
  for (const absl::string_view name :
       absl::StrSplit(event.ColumnText(0), '\n', absl::SkipEmpty())) {
    arrival.secrets.emplace_back(name);
  }
  arrival.repeats = repeats_.Pending(sequence);
  ASSIGN_OR_RETURN(Statement repeats, database_.Prepare(kRepeats));
  repeats.BindInt(1, sequence);
  ASSIGN_OR_RETURN(const bool repeated, repeats.Step());
  if (repeated) {
    arrival.repeats.Add({.duplicates = repeats.ColumnInt(0),
                         .conflicts = repeats.ColumnInt(1),
                         .last = absl::FromUnixMicros(repeats.ColumnInt(2))});
  }
  return arrival;
}

}  // namespace hookgate
