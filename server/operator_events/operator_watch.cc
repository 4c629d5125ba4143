#include "server/operator_events/operator_watch.h"

#include <algorithm>
#include <boost/json.hpp>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

namespace json = boost::json;

// Of the window in which signatures are counted, so that it ends about when it should.
constexpr int kSamplesPerWindow = 20;
// Of silent_after, that must pass since the start: while the gateway did not run, a source could
// not be heard.
constexpr int kLeastSilencePart = 10;

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// The log keeps microseconds.
absl::Time WholeMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

OperatorNews News(OperatorEventType type, std::string id, absl::Time time, int64_t left_out,
                  const json::object& data) {
  return {.type = type,
          .id = std::move(id),
          .time = WholeMicroseconds(time),
          .left_out = left_out,
          .data = json::serialize(data)};
}

// Cut before a character that would not fit whole.
std::string Shortened(const std::string& text) {
  size_t end = std::min(text.size(), OperatorWatch::kMaxErrorBytes);
  const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  while (end > 0 && end < text.size() && goes_on(text[end])) --end;
  return text.substr(0, end);
}

// Forgets what is in `known` and not in `keys`.
template <typename Known, typename Keys>
void KeepOnly(Known& known, const Keys& keys) {
  for (auto entry = known.begin(); entry != known.end();) {
    entry = keys.count(entry->first) > 0 ? std::next(entry) : known.erase(entry);
  }
}

}  // namespace

void OperatorWatch::SetLimits(const OperatorLimits& limits) {
  for (auto& [id, known] : subscriptions_) {
    if (limits.types.count(OperatorEventType::kDeadLettered) == 0) known.dead_lettered_topic = {};
    if (limits.types.count(OperatorEventType::kLost) == 0) known.lost_topic = {};
  }
  if (limits.types.count(OperatorEventType::kReloadFailed) == 0) failed_reload_.reset();
  if (limits.types.empty()) {  // Nobody looks until one is on again.
    subscriptions_.clear();
    sources_.clear();
    has_looked_ = false;
  }
  limits_ = limits;
}

bool OperatorWatch::Take(Topic& topic, bool is_new, OperatorTime now, int64_t& left_out) {
  if (topic.told_at.has_value() && now.monotonic - *topic.told_at < limits_.min_interval) {
    if (is_new) ++topic.left_out;
    return false;
  }
  topic.told_at = now.monotonic;
  left_out = std::exchange(topic.left_out, 0);
  return true;
}

bool OperatorWatch::TakeCondition(Condition& condition, bool holds, Topic& topic, OperatorTime now,
                                  int64_t& left_out) {
  const bool is_new = holds && !condition.holds;
  condition.holds = holds;
  if (!holds) condition.told = false;
  if (!holds || condition.told || !Take(topic, is_new, now, left_out)) return false;
  // It is this one that was counted when it was new, and it is not left out after all.
  if (!is_new && left_out > 0) --left_out;
  condition.told = true;
  return true;
}

std::vector<OperatorNews> OperatorWatch::Look(absl::Span<const SubscriptionVitals> subscriptions,
                                              absl::Span<const SourceVitals> sources,
                                              OperatorTime now) {
  std::vector<OperatorNews> news;
  std::set<int64_t> ids;
  for (const SubscriptionVitals& vitals : subscriptions) {
    ids.insert(vitals.id);
    LookAtSubscription(vitals, now, news);
  }
  KeepOnly(subscriptions_, ids);
  std::set<std::string> names;
  for (const SourceVitals& vitals : sources) {
    names.insert(vitals.name);
    LookAtSource(vitals, now, news);
  }
  KeepOnly(sources_, names);
  LookForFailedReload(now, news);
  has_looked_ = true;
  return news;
}

void OperatorWatch::LookAtSubscription(const SubscriptionVitals& vitals, OperatorTime now,
                                       std::vector<OperatorNews>& news) {
  const auto [entry, is_new] = subscriptions_.try_emplace(vitals.id);
  Subscription& known = entry->second;
  if (is_new && !has_looked_) {  // One that comes later was created since: all of it is news.
    known.dead_lettered_seen = known.dead_lettered_told = vitals.dead_lettered;
    known.lost_seen = known.lost_told = vitals.lost;
  }
  if (is_new) {
    known.settled = vitals.settled;
    known.quiet_since = now.monotonic;
    known.quiet_since_wall = now.wall;
  }
  LookForDeadLetters(vitals, known, now, news);
  LookForLosses(vitals, known, now, news);
  LookWhetherStuck(vitals, known, now, news);
}

void OperatorWatch::LookForDeadLetters(const SubscriptionVitals& vitals, Subscription& known,
                                       OperatorTime now, std::vector<OperatorNews>& news) {
  const bool is_new = vitals.dead_lettered > known.dead_lettered_seen;
  known.dead_lettered_seen = vitals.dead_lettered;
  if (!IsOn(OperatorEventType::kDeadLettered)) known.dead_lettered_told = vitals.dead_lettered;
  const int64_t events = vitals.dead_lettered - known.dead_lettered_told;
  int64_t left_out = 0;
  if (events <= 0 || !Take(known.dead_lettered_topic, is_new, now, left_out)) return;
  known.dead_lettered_told = vitals.dead_lettered;
  news.push_back(News(OperatorEventType::kDeadLettered,
                      absl::StrCat("dead_lettered/", vitals.id, "/", vitals.last_dead.sequence, "/",
                                   absl::ToUnixMicros(vitals.last_dead.time)),
                      now.wall, left_out,
                      {{"subscription", View(vitals.name)},
                       {"events", events},
                       {"dead_letters", vitals.dead_letters},
                       {"last_sequence", vitals.last_dead.sequence},
                       {"last_cause", View(vitals.last_dead.cause)}}));
}

void OperatorWatch::LookForLosses(const SubscriptionVitals& vitals, Subscription& known,
                                  OperatorTime now, std::vector<OperatorNews>& news) {
  const bool is_new = vitals.lost > known.lost_seen;
  known.lost_seen = vitals.lost;
  // A subscription that could not be stored starts again from what is.
  known.lost_told = std::min(known.lost_told, vitals.lost);
  if (!IsOn(OperatorEventType::kLost)) known.lost_told = vitals.lost;
  const int64_t events = vitals.lost - known.lost_told;
  int64_t left_out = 0;
  if (events <= 0 || !Take(known.lost_topic, is_new, now, left_out)) return;
  known.lost_told = vitals.lost;
  news.push_back(News(
      OperatorEventType::kLost, absl::StrCat("lost/", vitals.id, "/", vitals.lost), now.wall,
      left_out,
      {{"subscription", View(vitals.name)}, {"events", events}, {"total_events", vitals.lost}}));
}

void OperatorWatch::LookWhetherStuck(const SubscriptionVitals& vitals, Subscription& known,
                                     OperatorTime now, std::vector<OperatorNews>& news) {
  if (!vitals.oldest.has_value() || vitals.settled != known.settled || vitals.paused) {
    known.settled = vitals.settled;
    known.quiet_since = now.monotonic;
    known.quiet_since_wall = now.wall;
  }
  const absl::Duration quiet = now.monotonic - known.quiet_since;
  const bool holds = IsOn(OperatorEventType::kStuck) && quiet >= limits_.stuck_after;
  int64_t left_out = 0;
  if (!TakeCondition(known.stuck, holds, known.stuck_topic, now, left_out)) return;
  news.push_back(News(OperatorEventType::kStuck,
                      absl::StrCat("stuck/", vitals.id, "/", *vitals.oldest, "/",
                                   absl::ToUnixMicros(known.quiet_since_wall)),
                      now.wall, left_out,
                      {{"subscription", View(vitals.name)},
                       {"seconds", absl::ToInt64Seconds(quiet)},
                       {"oldest_sequence", *vitals.oldest},
                       {"backlog_events", vitals.backlog},
                       {"consumers", vitals.consumers}}));
}

void OperatorWatch::LookAtSource(const SourceVitals& vitals, OperatorTime now,
                                 std::vector<OperatorNews>& news) {
  const auto [entry, is_new] = sources_.try_emplace(vitals.name);
  Source& known = entry->second;
  if (is_new) {
    known.verified = vitals.verified;
    known.silent_since = now.monotonic;
    if (vitals.silent_after.has_value() && vitals.last_webhook.has_value()) {
      const absl::Duration most = *vitals.silent_after - *vitals.silent_after / kLeastSilencePart;
      known.silent_since -= std::clamp(now.wall - *vitals.last_webhook, absl::ZeroDuration(), most);
    }
  }
  LookWhetherSilent(vitals, known, now, news);
  LookWhetherFailing(vitals, known, now, news);
}

void OperatorWatch::LookWhetherSilent(const SourceVitals& vitals, Source& known, OperatorTime now,
                                      std::vector<OperatorNews>& news) {
  if (vitals.verified != known.verified) {
    known.verified = vitals.verified;
    known.silent_since = now.monotonic;
  }
  const absl::Duration silence = now.monotonic - known.silent_since;
  const bool holds = IsOn(OperatorEventType::kSilent) && vitals.silent_after.has_value() &&
                     silence >= *vitals.silent_after;
  int64_t left_out = 0;
  if (!TakeCondition(known.silent, holds, known.silent_topic, now, left_out)) return;
  json::object data = {{"source", View(vitals.name)}, {"seconds", absl::ToInt64Seconds(silence)}};
  int64_t last_us = 0;
  if (vitals.last_webhook.has_value()) {
    data.emplace("last_webhook_at", absl::ToUnixSeconds(*vitals.last_webhook));
    last_us = absl::ToUnixMicros(*vitals.last_webhook);
  }
  // A silence that goes on is told once, over restarts as well.
  news.push_back(News(OperatorEventType::kSilent,
                      absl::StrCat("silent/", vitals.name, "/", last_us), now.wall, left_out,
                      data));
}

void OperatorWatch::LookWhetherFailing(const SourceVitals& vitals, Source& known, OperatorTime now,
                                       std::vector<OperatorNews>& news) {
  std::deque<Sample>& samples = known.samples;
  const absl::Duration step = limits_.failing_window / kSamplesPerWindow;
  if (samples.empty() || now.monotonic - samples.back().time >= step) {
    samples.push_back({now.monotonic, vitals.verified, vitals.failed});
  }
  while (samples.size() > 1 && now.monotonic - samples[1].time >= limits_.failing_window) {
    samples.pop_front();
  }
  const int64_t failed = vitals.failed - samples.front().failed;
  const int64_t verified = vitals.verified - samples.front().verified;
  const bool holds =
      IsOn(OperatorEventType::kSecretFailing) && failed >= limits_.failing_least &&
      static_cast<double>(failed) > limits_.failing_share * static_cast<double>(failed + verified);
  if (holds && !known.failing.holds) known.failing_since = now.wall;
  int64_t left_out = 0;
  if (!TakeCondition(known.failing, holds, known.failing_topic, now, left_out)) return;
  news.push_back(
      News(OperatorEventType::kSecretFailing,
           absl::StrCat("failing/", vitals.name, "/", absl::ToUnixMicros(known.failing_since)),
           now.wall, left_out,
           {{"source", View(vitals.name)},
            {"failed", failed},
            {"verified", verified},
            {"window_seconds", absl::ToInt64Seconds(limits_.failing_window)}}));
}

void OperatorWatch::NoteFailedReload(const std::vector<std::string>& errors, OperatorTime now) {
  if (!IsOn(OperatorEventType::kReloadFailed)) return;
  // Of two that wait, the newer one is told.
  if (failed_reload_.has_value()) ++reload_topic_.left_out;
  failed_reload_.emplace();
  failed_reload_->error_count = static_cast<int64_t>(errors.size());
  failed_reload_->time = now.wall;
  for (size_t i = 0; i < std::min(errors.size(), kMaxErrors); ++i) {
    failed_reload_->errors.push_back(Shortened(errors[i]));
  }
}

void OperatorWatch::LookForFailedReload(OperatorTime now, std::vector<OperatorNews>& news) {
  int64_t left_out = 0;
  if (!failed_reload_.has_value() || !Take(reload_topic_, false, now, left_out)) return;
  json::array errors;
  for (const std::string& error : failed_reload_->errors) errors.push_back(View(error));
  news.push_back(News(OperatorEventType::kReloadFailed,
                      absl::StrCat("reload_failed/", absl::ToUnixMicros(failed_reload_->time)),
                      failed_reload_->time, left_out,
                      {{"about", "config"},
                       {"errors", std::move(errors)},
                       {"error_count", failed_reload_->error_count}}));
  failed_reload_.reset();
}

}  // namespace hookgate
