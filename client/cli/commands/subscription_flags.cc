#include "client/cli/commands/subscription_flags.h"

#include "client/cli/commands/common_flags.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {

std::vector<FlagSpec> SubscriptionFlags() {
  return Join({FilterFlags(),
               {{.name = "ack-deadline",
                 .kind = FlagKind::kDuration,
                 .value = "DURATION",
                 .help = "How long a delivery holds its event, unless its consumer asks for more; "
                         "then the event is delivered again. Default: 30s.",
                 .shortest = absl::Seconds(5),
                 .longest = absl::Hours(12)},
                {.name = "max-attempts",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "After so many failed attempts an event becomes a dead letter. 10 unless "
                         "said.",
                 .minimum = 1,
                 .maximum = 1000},
                {.name = "max-lost-deliveries",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "An event becomes a dead letter after its consumer crashed, was killed or "
                         "lost its connection so often while it held the event; the first time is "
                         "forgiven and does not count. Default: 5.",
                 .minimum = 1,
                 .maximum = 1000},
                {.name = "min-backoff",
                 .kind = FlagKind::kDuration,
                 .value = "DURATION",
                 .help = "Wait at least this long before the next attempt. Default: 1s.",
                 .shortest = absl::Milliseconds(100),
                 .longest = absl::Hours(12)},
                {.name = "max-backoff",
                 .kind = FlagKind::kDuration,
                 .value = "DURATION",
                 .help = "The wait doubles with each attempt, up to this. Default: 10m.",
                 .shortest = absl::Milliseconds(100),
                 .longest = absl::Hours(12)}}});
}

std::vector<std::string> SettingsNamed(const Flags& flags) {
  std::vector<std::string> paths;
  const auto add = [&](absl::string_view flag, const char* path) {
    if (flags.Has(flag)) paths.push_back(path);
  };
  if (flags.Defines("all-events") && flags.Bool("all-events")) {
    paths.push_back("filter");
  } else {
    add("source", "filter.sources");
    add("type", "filter.types");
    add("subject", "filter.subjects");
  }
  add("ack-deadline", "ack_deadline");
  add("max-attempts", "max_attempts");
  add("max-lost-deliveries", "max_lost_deliveries");
  add("min-backoff", "minimum_backoff");
  add("max-backoff", "maximum_backoff");
  return paths;
}

FlagSpec EtagFlag() {
  return {.name = "etag",
          .value = "ETAG",
          .help =
              "Do it only if the subscription still has this etag, which hookgate subscriptions "
              "show prints: nobody has changed it since."};
}

void ApplySubscriptionFlags(const Flags& flags, v1::SubscriptionSettings& settings) {
  const v1::EventFilter filter = FilterOf(flags);
  if (flags.Has("source")) *settings.mutable_filter()->mutable_sources() = filter.sources();
  if (flags.Has("type")) *settings.mutable_filter()->mutable_types() = filter.types();
  if (flags.Has("subject")) *settings.mutable_filter()->mutable_subjects() = filter.subjects();
  if (flags.Has("ack-deadline")) {
    *settings.mutable_ack_deadline() = ToProto(flags.Duration("ack-deadline"));
  }
  if (flags.Has("max-attempts")) {
    settings.set_max_attempts(static_cast<int32_t>(flags.Int("max-attempts")));
  }
  if (flags.Has("max-lost-deliveries")) {
    settings.set_max_lost_deliveries(static_cast<int32_t>(flags.Int("max-lost-deliveries")));
  }
  if (flags.Has("min-backoff")) {
    *settings.mutable_minimum_backoff() = ToProto(flags.Duration("min-backoff"));
  }
  if (flags.Has("max-backoff")) {
    *settings.mutable_maximum_backoff() = ToProto(flags.Duration("max-backoff"));
  }
}

}  // namespace hookgate::cli
