// A log that passes every call on to another one: for tests that change or count some of them.
#ifndef HOOKGATE_TESTS_SUPPORT_FORWARDING_LOG_H_
#define HOOKGATE_TESTS_SUPPORT_FORWARDING_LOG_H_

#include <memory>
#include <string>
#include <utility>

#include "server/eventlog/event_log.h"

namespace hookgate {

// As thread-safe as the log behind it.
class ForwardingLog : public EventLog {
 public:
  // `log` outlives this.
  explicit ForwardingLog(EventLog& log) : log_(log) {}

  absl::StatusOr<EventPage> Read(Sequence after, EventPredicate matches,
                                 const ReadLimits& limits) override {
    return log_.Read(after, matches, limits);
  }
  absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                const ReadLimits& limits, EventVisitor visit) override {
    return log_.Scan(after, matches, limits, visit);
  }
  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override {
    log_.Append(std::move(event), std::move(done));
  }
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override {
    log_.Quarantine(std::move(webhook), std::move(done));
  }
  absl::Status Health() const override { return log_.Health(); }
  const std::string& epoch() const override { return log_.epoch(); }
  const EventLogHistory& history() const override { return log_.history(); }
  EventLogPosition Position() const override { return log_.Position(); }
  absl::StatusOr<absl::optional<Sequence>> FirstAtOrAfter(absl::Time time) override {
    return log_.FirstAtOrAfter(time);
  }
  absl::StatusOr<ListPage> List(const ListQuery& query, EventPredicate matches,
                                const ReadLimits& limits) override {
    return log_.List(query, matches, limits);
  }
  absl::StatusOr<EventCount> CountFailures(const ListQuery& query,
                                           absl::optional<EventPredicate> matches,
                                           int64_t limit) override {
    return log_.CountFailures(query, matches, limit);
  }
  absl::StatusOr<StoredEventPtr> Get(Sequence sequence) override { return log_.Get(sequence); }
  absl::StatusOr<StoredEventPtr> Find(absl::string_view source, absl::string_view id) override {
    return log_.Find(source, id);
  }

 private:
  EventLog& log_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FORWARDING_LOG_H_
