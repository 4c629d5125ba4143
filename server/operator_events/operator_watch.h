// Decides what the gateway tells about itself, and when. Pure: it is shown how things are, about
// once a second, and answers with what is to be told now. Time is passed in.
//
// Two kinds of news:
//
//   - what happens (dead letters, losses, a reload that failed) is told when it happens. While its
//     topic may not be told, it adds up, and is told in one event once it may.
//   - how something is (stuck, silent, failing) is told when it has become so, and again only after
//     it has been otherwise. If it has ended before it may be told, it is left out.
//
// A topic is one type about one thing. After it was told, it may be told again once min_interval
// has passed; what there would have been meanwhile is counted in the next one, as left_out.
//
// No loops: what is told may not cause itself to be told again. Dead letters of operator events are
// not counted, and operator events that wait make no subscription stuck (whoever shows the vitals
// leaves them out).
#ifndef HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_WATCH_H_
#define HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_WATCH_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/operator_events/operator_news.h"

namespace hookgate {

// operator_events of the config.
struct OperatorLimits {
  std::set<OperatorEventType> types;  // those that are told
  absl::Duration min_interval = absl::Minutes(10);
  absl::Duration stuck_after = absl::Minutes(5);
  // Signatures that fail: more than this share of a source's webhooks within the window, and at
  // least this many.
  double failing_share = 0.1;
  int64_t failing_least = 5;
  absl::Duration failing_window = absl::Minutes(10);
};

// How a durable subscription is. Counts only grow while the process runs.
struct SubscriptionVitals {
  int64_t id = 0;
  std::string name;
  int64_t dead_lettered = 0;  // since the start, without operator events
  // The newest of these.
  struct DeadLetter {
    Sequence sequence = 0;
    absl::Time time;
    std::string cause;
  } last_dead;
  int64_t dead_letters = 0;  // that it has now
  int64_t lost = 0;          // since it was created
  int64_t settled = 0;       // events that left what it owes, since the start
  // The first event that waits: taken and not settled, or not taken yet though its filter admits
  // it; nullopt: none does.
  absl::optional<Sequence> oldest;
  int64_t backlog = 0;
  int64_t consumers = 0;
  bool paused = false;  // by an operator: then it is not stuck
};

// How a configured source is. Counts only grow while the process runs.
struct SourceVitals {
  std::string name;
  absl::optional<absl::Duration> silent_after;  // nullopt: it may be silent
  int64_t verified = 0;
  int64_t failed = 0;                       // signatures that did not verify
  absl::optional<absl::Time> last_webhook;  // also of earlier processes
};

struct OperatorTime {
  absl::Time wall;           // for stamps
  absl::Duration monotonic;  // for intervals
};

// Not thread-safe.
class OperatorWatch {
 public:
  static constexpr size_t kMaxErrors = 10;
  static constexpr size_t kMaxErrorBytes = 1024;

  explicit OperatorWatch(const OperatorLimits& limits) : limits_(limits) {}

  // Types that are no longer told are forgotten: what has happened while they were off is not told
  // when they are on again.
  void SetLimits(const OperatorLimits& limits);

  // What is to be told now. The first look is what later ones are compared with; a subscription
  // that comes later was created since.
  std::vector<OperatorNews> Look(absl::Span<const SubscriptionVitals> subscriptions,
                                 absl::Span<const SourceVitals> sources, OperatorTime now);

  // A reload was refused for `errors`, which are UTF-8. Told by the next look that may.
  void NoteFailedReload(const std::vector<std::string>& errors, OperatorTime now);

 private:
  struct Topic {
    absl::optional<absl::Duration> told_at;
    int64_t left_out = 0;
  };
  // Something that is so for a while.
  struct Condition {
    bool holds = false;
    bool told = false;
  };
  struct Subscription {
    std::string name;
    int64_t dead_lettered_seen = 0;  // by the last look
    int64_t dead_lettered_told = 0;
    int64_t lost_seen = 0;
    int64_t lost_told = 0;
    int64_t settled = 0;
    absl::Duration quiet_since;  // nothing was settled since, and something waited
    absl::Time quiet_since_wall;
    Condition stuck;
    Topic dead_lettered_topic, lost_topic, stuck_topic;
  };
  // How many there were by then.
  struct Sample {
    absl::Duration time;
    int64_t verified = 0;
    int64_t failed = 0;
  };
  struct Source {
    int64_t verified = 0;
    absl::Duration silent_since;
    Condition silent;
    std::deque<Sample> samples;  // oldest first; the first is the newest before the window
    Condition failing;
    absl::Time failing_since;
    Topic silent_topic, failing_topic;
  };
  struct FailedReload {
    std::vector<std::string> errors;  // the first kMaxErrors
    int64_t error_count = 0;
    absl::Time time;
  };

  bool IsOn(OperatorEventType type) const { return limits_.types.count(type) > 0; }
  // Whether the topic may be told now. If not, and `is_new`, it counts as left out.
  bool Take(Topic& topic, bool is_new, OperatorTime now, int64_t& left_out);
  // Whether what has become so is to be told now.
  bool TakeCondition(Condition& condition, bool holds, Topic& topic, OperatorTime now,
                     int64_t& left_out);

  void LookAtSubscription(const SubscriptionVitals& vitals, OperatorTime now,
                          std::vector<OperatorNews>& news);
  void LookForDeadLetters(const SubscriptionVitals& vitals, Subscription& known, OperatorTime now,
                          std::vector<OperatorNews>& news);
  void LookForLosses(const SubscriptionVitals& vitals, Subscription& known, OperatorTime now,
                     std::vector<OperatorNews>& news);
  void LookWhetherStuck(const SubscriptionVitals& vitals, Subscription& known, OperatorTime now,
                        std::vector<OperatorNews>& news);
  void LookAtSource(const SourceVitals& vitals, OperatorTime now, std::vector<OperatorNews>& news);
  void LookWhetherSilent(const SourceVitals& vitals, Source& known, OperatorTime now,
                         std::vector<OperatorNews>& news);
  void LookWhetherFailing(const SourceVitals& vitals, Source& known, OperatorTime now,
                          std::vector<OperatorNews>& news);
  void LookForFailedReload(OperatorTime now, std::vector<OperatorNews>& news);

  OperatorLimits limits_;
  bool has_looked_ = false;
  std::map<int64_t, Subscription> subscriptions_;
  std::map<std::string, Source> sources_;
  absl::optional<FailedReload> failed_reload_;  // the newest that is not told
  Topic reload_topic_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_WATCH_H_
