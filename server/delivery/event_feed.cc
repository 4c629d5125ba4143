#include "server/delivery/event_feed.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// Events looked at in one read, whether the filter admits them or not: about 2 ms.
constexpr int64_t kMaxScanned = 1024;
// How far a look-up reads on for the next one before it looks that up instead.
constexpr int64_t kMaxGap = 16;

int64_t BytesInMemory(const StoredEvent& event) {
  return static_cast<int64_t>(event.envelope.size() + event.raw_body.size());
}

}  // namespace

size_t EventFeed::MaxEvents() const { return std::min(kMaxEvents, store_.EventsPerWrite()); }

absl::optional<FeedPage> EventFeed::TakePage(const FeedRequest& request) const {
  const absl::optional<Tail::Slice> slice = tail_.Read(request.after, MaxEvents());
  if (!slice.has_value()) return absl::nullopt;
  int64_t bytes = 0;
  FeedPage page{.has_raw_bodies = true};
  page.page.scanned_to = request.after;
  for (const StoredEventPtr& event : slice->events) {
    if (bytes >= kMaxBytes) break;
    page.page.scanned_to = event->sequence;
    page.last = {event->sequence, event->receive_time};
    if (!request.settings->filter.Matches(*event)) continue;
    bytes += BytesInMemory(*event);
    page.page.events.push_back(event);
  }
  return page;
}

absl::optional<HeldEvents> EventFeed::TakeWanted(const FeedRequest& request) const {
  int64_t bytes = 0;
  HeldEvents held;
  for (const Sequence sequence : request.wanted.sequences) {
    if (bytes >= kMaxBytes || request.reasons.contains(sequence)) break;
    const absl::optional<Tail::Slice> slice = tail_.Read(sequence - 1, 1);
    if (!slice.has_value() || slice->events.empty()) break;
    bytes += BytesInMemory(*slice->events.front());
    held[sequence] = {slice->events.front(), /*has_raw_body=*/true};
  }
  if (held.empty()) return absl::nullopt;
  return held;
}

absl::StatusOr<FeedPage> EventFeed::ReadPage(const FeedRequest& request) const {
  FeedPage page{.has_raw_bodies = request.include_raw_body};
  const auto matches = [&](const StoredEvent& event) {
    page.last = {event.sequence, event.receive_time};
    return request.settings->filter.Matches(event);
  };
  ASSIGN_OR_RETURN(page.page, log_.Read(request.after, matches,
                                        {.max_events = static_cast<int64_t>(MaxEvents()),
                                         .max_bytes = kMaxBytes,
                                         .max_scanned = kMaxScanned,
                                         .include_raw_body = request.include_raw_body}));
  return page;
}

absl::StatusOr<HeldEvents> EventFeed::ReadWanted(const FeedRequest& request) const {
  const WantedEvents& wanted = request.wanted;
  const std::set<Sequence> all(wanted.sequences.begin(), wanted.sequences.end());
  const auto is_wanted = [&all](const StoredEvent& event) { return all.contains(event.sequence); };
  HeldEvents held;
  int64_t bytes = 0;
  for (const Sequence sequence : wanted.sequences) {
    if (bytes >= kMaxBytes) break;
    if (held.contains(sequence)) continue;
    const absl::StatusOr<EventPage> page =
        log_.Read(sequence - 1, is_wanted,
                  {.max_events = static_cast<int64_t>(kMaxWanted),
                   .max_bytes = kMaxBytes - bytes,
                   .max_scanned = kMaxGap,
                   .include_raw_body = wanted.include_raw_body});
    if (!page.ok() && held.empty()) return page.status();
    if (!page.ok()) break;
    for (const StoredEventPtr& event : page->events) {
      bytes += BytesInMemory(*event);
      held[event->sequence] = {event, wanted.include_raw_body};
    }
  }
  if (held.empty()) {
    return absl::DataLossError(
        absl::StrCat("event ", wanted.sequences.front(), " is not in the log"));
  }
  std::vector<Sequence> nacked;
  for (const auto& [sequence, event] : held) {
    if (request.reasons.contains(sequence)) nacked.push_back(sequence);
  }
  if (nacked.empty()) return held;
  ASSIGN_OR_RETURN(std::vector<std::string> reasons, store_.LoadNackReasons(id_, nacked));
  for (size_t i = 0; i < nacked.size(); ++i) held[nacked[i]].nack_reason = std::move(reasons[i]);
  return held;
}

}  // namespace hookgate
