#include <limits>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/config/config_values.h"
#include "server/config/resolve_parts.h"
#include "server/operator_events/operator_news.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

void ResolveLimits(const Config& config, Options& options, Problems& problems) {
  const auto& events = config.operator_events();
  OperatorLimits& limits = options.operator_events;
  for (int i = 0; i < events.types_size(); ++i) {
    const absl::StatusOr<std::set<OperatorEventType>> types =
        MatchOperatorEventTypes(events.types(i));
    if (types.ok()) {
      limits.types.insert(types->begin(), types->end());
    } else {
      problems.AddError(
          absl::StrCat("operator_events.types[", i, "]"),
          absl::StrCat("\"", events.types(i), "\" ", std::string(types.status().message())));
    }
  }
  const auto set = [&](bool is_set, const google::protobuf::Duration& value, absl::string_view key,
                       absl::Duration least, absl::Duration& to) {
    problems.AddError(
        SetDuration(is_set, value, absl::StrCat("operator_events.", key), least, kForever, to));
  };
  set(events.has_min_interval(), events.min_interval(), "min_interval", absl::Seconds(1),
      limits.min_interval);
  set(events.has_stuck_after(), events.stuck_after(), "stuck_after", absl::Seconds(1),
      limits.stuck_after);
  set(events.has_failing_window(), events.failing_window(), "failing_window", absl::Seconds(10),
      limits.failing_window);
  problems.AddError(SetNumber(events.failing_least(), "operator_events.failing_least",
                              std::numeric_limits<int64_t>::max(), limits.failing_least));
  if (!events.has_failing_share()) return;
  limits.failing_share = events.failing_share();
  if (limits.failing_share >= 0 && limits.failing_share < 1) return;
  problems.AddError("operator_events.failing_share",
                    absl::StrCat("is ", limits.failing_share, "; it must be from 0 to below 1"));
}

// The names and times of sources that have to do with operator events.
void CheckSources(const Options& options, Problems& problems) {
  const std::set<OperatorEventType>& types = options.operator_events.types;
  bool may_be_silent = true;
  for (size_t i = 0; i < options.sources.size(); ++i) {
    if (options.sources[i].silent_after.has_value()) may_be_silent = false;
    if (options.sources[i].name != kOperatorSource) continue;
    const std::string key = absl::StrCat("sources[", i, "].name");
    if (types.empty()) {
      problems.AddWarning(key, absl::StrCat("\"", kOperatorSource,
                                            "\" is the gateway's own source, so operator_events "
                                            "cannot be switched on; give this one another name"));
    } else {
      problems.AddError(key, absl::StrCat("\"", kOperatorSource,
                                          "\" is the gateway's own source, of operator_events; "
                                          "give this one another name"));
    }
  }
  if (may_be_silent && types.count(OperatorEventType::kSilent) > 0) {
    problems.AddWarning("operator_events.types",
                        absl::StrCat(NameOf(OperatorEventType::kSilent),
                                     " is on, but no source has silent_after, so it never occurs"));
  }
}

}  // namespace

void ResolveOperatorEvents(const Config& config, Options& options, Problems& problems) {
  ResolveLimits(config, options, problems);
  CheckSources(options, problems);
}

}  // namespace hookgate
