#include "server/status/refused_requests.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

constexpr absl::string_view kMore = "...";
constexpr size_t kMaxHeaderNameBytes = 64;

// `text` up to `max` bytes, or a little less where that would cut a character of UTF-8.
absl::string_view Beginning(absl::string_view text, size_t max) {
  if (text.size() <= max) return text;
  size_t end = max;
  while (end > 0 && max - end < 4 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// Printable, in at most `max` bytes.
std::string Cut(absl::string_view text, size_t max) {
  std::string printable = Printable(Beginning(text, max));
  if (text.size() <= max && printable.size() <= max) return printable;
  return absl::StrCat(Beginning(printable, max - kMore.size()), kMore);
}

// Not more memory than is used: what was moved here may have room for more.
void CutInPlace(std::string& text, size_t max) {
  std::string cut = Cut(text, max);
  cut.shrink_to_fit();
  text.swap(cut);
}

}  // namespace

void RefusedRequest::AddHeader(absl::string_view name, size_t value_bytes) {
  const bool all_kept = header_count == static_cast<int64_t>(headers.size());
  ++header_count;
  if (!all_kept || headers.size() >= kMaxHeaders) return;
  size_t used = 0;
  for (const Header& header : headers) used += header.name.size();
  std::string cut = Cut(name, kMaxHeaderNameBytes);
  if (used + cut.size() > kMaxHeaderBytes) return;
  headers.push_back({std::move(cut), static_cast<int64_t>(value_bytes)});
}

std::string RefusedRequests::KeyOf(const RefusedRequest& request) {
  // None of them has an end of line.
  return absl::StrCat(request.source, "\n", request.path, "\n", request.client, "\n", request.code,
                      "\n", request.webhook_id);
}

RefusedRequests::Rank RefusedRequests::RankOf(Lane& lane) {
  return {lane.entries.size(), -lane.entries.front()->number, &lane};
}

void RefusedRequests::Record(RefusedRequest request, absl::Time now) {
  if (!enabled()) return;
  for (std::string* text : {&request.path, &request.detail, &request.webhook_id}) {
    CutInPlace(*text, RefusedRequest::kMaxTextBytes);
  }
  request.headers.shrink_to_fit();
  request.first_time = now;
  request.last_time = now;
  const std::string key = KeyOf(request);
  const auto entry = std::make_shared<RefusedRequest>(std::move(request));
  RefusedRequestPtr gone;  // Its memory is given back without the lock.
  absl::MutexLock lock(&mu_);
  entry->number = ++last_number_;
  if (const auto found = places_.find(key); found != places_.end()) {
    gone = Remove(found->second);
    places_.erase(found);
    entry->first_time = gone->first_time;
    entry->count = gone->count + 1;
  } else if (places_.size() >= max_entries_) {
    gone = RemoveOne();
  }
  Insert(key, entry);
}

void RefusedRequests::Insert(const std::string& key, const RefusedRequestPtr& entry) {
  const auto group = groups_.try_emplace({entry->source, entry->code}).first;
  const std::string& client = entry->client.empty() ? entry->peer : entry->client;
  Lane& lane = group->second.lanes.try_emplace(client).first->second;
  if (lane.entries.empty()) {
    lane.client = client;
  } else {
    group->second.ranks.erase(RankOf(lane));
  }
  lane.entries.push_back(entry);
  group->second.ranks.insert(RankOf(lane));
  ++group->second.size;
  places_.emplace(key, Place{group, &lane, std::prev(lane.entries.end())});
}

RefusedRequestPtr RefusedRequests::Remove(const Place& place) {
  Group& group = place.group->second;
  Lane& lane = *place.lane;
  RefusedRequestPtr entry = *place.entry;
  group.ranks.erase(RankOf(lane));  // Before the list changes, of which it was made.
  lane.entries.erase(place.entry);
  --group.size;
  if (!lane.entries.empty()) {
    group.ranks.insert(RankOf(lane));
    return entry;
  }
  group.lanes.erase(group.lanes.find(lane.client));
  if (group.lanes.empty()) groups_.erase(place.group);
  return entry;
}

RefusedRequestPtr RefusedRequests::RemoveOne() {
  const auto largest =
      std::max_element(groups_.begin(), groups_.end(),
                       [](const auto& a, const auto& b) { return a.second.size < b.second.size; });
  const Lane& lane = *std::get<Lane*>(*largest->second.ranks.rbegin());
  const auto found = places_.find(KeyOf(*lane.entries.front()));
  RefusedRequestPtr entry = Remove(found->second);
  places_.erase(found);
  return entry;
}

std::vector<RefusedRequestPtr> RefusedRequests::All() const {
  std::vector<RefusedRequestPtr> entries;
  {
    absl::MutexLock lock(&mu_);
    entries.reserve(places_.size());
    for (const auto& [key, place] : places_) entries.push_back(*place.entry);
  }
  std::sort(
      entries.begin(), entries.end(),
      [](const RefusedRequestPtr& a, const RefusedRequestPtr& b) { return a->number > b->number; });
  return entries;
}

std::vector<RefusedRequestPtr> RefusedRequests::List(const Query& query) const {
  std::vector<RefusedRequestPtr> found;
  const std::string webhook_id = Cut(query.webhook_id, RefusedRequest::kMaxTextBytes);
  for (RefusedRequestPtr& entry : All()) {
    if (found.size() >= query.max_entries) break;
    const bool matches =
        entry->number < query.before && entry->last_time >= query.since &&
        (query.source.empty() || entry->source == query.source) &&
        (query.code.empty() || entry->code == query.code) &&
        (webhook_id.empty() || entry->webhook_id == webhook_id) &&
        (query.address.empty() || entry->peer == query.address || entry->client == query.address);
    if (matches) found.push_back(std::move(entry));
  }
  return found;
}

std::vector<RefusedRequestPtr> RefusedRequests::FindById(absl::string_view webhook_id,
                                                         size_t max_entries) const {
  if (webhook_id.empty()) return {};
  return List({.webhook_id = std::string(webhook_id), .max_entries = max_entries});
}

size_t RefusedRequests::size() const {
  absl::MutexLock lock(&mu_);
  return places_.size();
}

}  // namespace hookgate
