// hookgate.v1.EventFilter, checked and ready to match.
#ifndef HOOKGATE_SERVER_DELIVERY_EVENT_FILTER_H_
#define HOOKGATE_SERVER_DELIVERY_EVENT_FILTER_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "hookgate/v1/event.pb.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// The lists of a filter, with the numbers of hookgate.v1.FilterList.
enum class FilterList { kSources = 1, kTypes = 2, kSubjects = 3 };

// Immutable; safe from any thread.
class EventFilter {
 public:
  // Errors: InvalidField, with paths below `field`.
  static absl::StatusOr<EventFilter> Create(const hookgate::v1::EventFilter& filter,
                                            absl::string_view field = "filter");

  // Admits everything.
  EventFilter() = default;

  // Filters with the same key admit the same. Empty for one that admits everything.
  const std::string& key() const { return key_; }
  bool admits_all() const { return key_.empty(); }

  // In order; none: every source.
  std::vector<std::string> sources() const;

  // One that admits the same; each list in order.
  hookgate::v1::EventFilter ToProto() const;

  // Looks at source, type and subject alone.
  bool Matches(const StoredEvent& event) const;
  // The first list that does not admit it; nullopt: it matches.
  absl::optional<FilterList> RefusedBy(const StoredEvent& event) const;

 private:
  bool AdmitsType(absl::string_view type) const;

  absl::flat_hash_set<std::string> sources_;
  absl::flat_hash_set<std::string> types_;
  std::vector<std::string> type_prefixes_;  // with their dot: "batch."
  absl::flat_hash_set<std::string> subjects_;
  bool any_type_ = true;
  std::string key_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_EVENT_FILTER_H_
