#include "server/operator_events/operator_events.h"

#include <algorithm>
#include <list>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

// Reloads that fail faster than one a look are told of by the newest.
constexpr size_t kMaxFailedReloads = 16;

void LogStored(const OperatorNews& news, const EventTrace& trace, const AppendResult& result) {
  // A silence that was told before a restart is told again, and is a repeat.
  if (result.outcome != AppendResult::Outcome::kStored) return;
  Log(Severity::kInfo, "operator event",
      {{"type", NameOf(news.type)},
       {"id", news.id},
       {"data", news.data},
       {"sequence", result.sequence},
       {"trace_id", TraceIdOf(trace.trace_parent)}});
}

}  // namespace

struct OperatorEvents::Outbox {
  absl::Mutex mu;
  std::list<Waiting> waiting ABSL_GUARDED_BY(mu);
};

OperatorEvents::OperatorEvents(const OperatorLimits& limits, OperatorProbe& probe, EventLog& log,
                               TraceParents& trace_parents, const Clock& clock)
    : probe_(probe),
      log_(log),
      trace_parents_(trace_parents),
      clock_(clock),
      outbox_(std::make_shared<Outbox>()),
      limits_(limits),
      watch_(limits) {
  if (!limits_.types.empty()) Look();
  thread_ = std::thread([this] { Run(); });
}

OperatorEvents::~OperatorEvents() {
  Stop();
  thread_.join();
  absl::MutexLock lock(&outbox_->mu);
  for (const Waiting& each : outbox_->waiting) {
    if (each.in_flight) continue;  // The log answers it yet.
    Log(Severity::kWarning, "operator event not stored before the end",
        {{"type", NameOf(each.news.type)}, {"id", each.news.id}, {"data", each.news.data}});
  }
}

void OperatorEvents::Stop(absl::Duration at_most) {
  MonotonicMutexLock lock(&mu_);
  if (std::exchange(stopping_, true)) return;
  give_up_at_ = clock_.MonotonicNow() + at_most;
}

void OperatorEvents::SetLimits(const OperatorLimits& limits) {
  MonotonicMutexLock lock(&mu_);
  new_limits_ = limits;
}

void OperatorEvents::NoteFailedReload(std::vector<std::string> errors) {
  // Subscribers get what the log prints.
  for (std::string& error : errors) error = Printable(error);
  MonotonicMutexLock lock(&mu_);
  if (failed_reloads_.size() < kMaxFailedReloads) failed_reloads_.push_back(std::move(errors));
}

void OperatorEvents::Run() {
  NameThread("operator events");
  while (true) {
    absl::optional<OperatorLimits> new_limits;
    std::vector<std::vector<std::string>> failed_reloads;
    {
      // Without a type that is on there is nothing to look at, however long.
      const absl::Duration wait = limits_.types.empty() ? absl::InfiniteDuration() : kLookInterval;
      const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return stopping_ || new_limits_.has_value() || !failed_reloads_.empty();
      };
      MonotonicMutexLock lock(&mu_);
      mu_.AwaitWithTimeout(has_news, wait);
      if (stopping_) break;
      new_limits = std::exchange(new_limits_, absl::nullopt);
      failed_reloads = std::exchange(failed_reloads_, {});
    }
    for (const auto& errors : failed_reloads) watch_.NoteFailedReload(errors, Now());
    if (new_limits.has_value()) {
      limits_ = *std::move(new_limits);
      watch_.SetLimits(limits_);
    }
    if (!limits_.types.empty()) Look();
  }
  AppendRest();
}

void OperatorEvents::AppendRest() {
  while (true) {
    AppendWaiting();
    {
      absl::MutexLock lock(&outbox_->mu);
      if (outbox_->waiting.empty()) return;
    }
    MonotonicMutexLock lock(&mu_);
    const absl::Duration left = give_up_at_ - clock_.MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    mu_.AwaitWithTimeout([] { return false; }, std::min(left, kLastTriesInterval));
  }
}

void OperatorEvents::Look() {
  const bool find_waiting = limits_.types.count(OperatorEventType::kStuck) > 0;
  const std::vector<SubscriptionVitals> subscriptions = probe_.Subscriptions(find_waiting);
  const std::vector<SourceVitals> sources = probe_.Sources();
  for (const OperatorNews& news : watch_.Look(subscriptions, sources, Now())) {
    if (Keep(news)) continue;
    Log(Severity::kWarning, "operator event dropped: too many wait to be stored",
        {{"type", NameOf(news.type)}, {"id", news.id}, {"data", news.data}});
  }
  AppendWaiting();
}

bool OperatorEvents::Keep(const OperatorNews& news) {
  EventTrace trace = {.trace_parent = trace_parents_.Next()};
  absl::MutexLock lock(&outbox_->mu);
  if (outbox_->waiting.size() >= kMaxWaiting) return false;
  outbox_->waiting.push_back({news, std::move(trace)});
  return true;
}

void OperatorEvents::AppendWaiting() {
  std::vector<std::list<Waiting>::iterator> ready;
  {
    absl::MutexLock lock(&outbox_->mu);
    for (auto each = outbox_->waiting.begin(); each != outbox_->waiting.end(); ++each) {
      if (!std::exchange(each->in_flight, true)) ready.push_back(each);
    }
  }
  // One that is in flight is this thread's until it is handed over, and then its callback's.
  for (const auto each : ready) {
    absl::StatusOr<std::unique_ptr<StoredEvent>> event =
        MakeOperatorEvent(each->news, each->trace, log_.durability());
    if (!event.ok()) {
      Log(Severity::kError, "operator event could not be made",
          {{"id", each->news.id}, {"error", event.status().message()}});
      absl::MutexLock lock(&outbox_->mu);
      outbox_->waiting.erase(each);
      continue;
    }
    log_.Append(*std::move(event),
                [outbox = outbox_, each](const absl::StatusOr<AppendResult>& result) {
                  if (result.ok()) LogStored(each->news, each->trace, *result);
                  absl::MutexLock lock(&outbox->mu);
                  if (result.ok()) {
                    outbox->waiting.erase(each);
                  } else {
                    each->in_flight = false;
                  }
                });
  }
}

}  // namespace hookgate
