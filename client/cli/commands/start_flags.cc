#include "client/cli/commands/start_flags.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"

namespace hookgate::cli {

std::vector<FlagSpec> StartFlags(const std::string& default_from) {
  return {{.name = "from",
           .kind = FlagKind::kChoice,
           .help = "Begin with new events only, or with the oldest stored event.",
           .default_value = default_from,
           .choices = {"latest", "earliest"}},
          {.name = "after",
           .value = "CURSOR",
           .help = "Begin exactly after this event: its field cursor, or what an earlier run named "
                   "at its end."},
          {.name = "since",
           .kind = FlagKind::kTime,
           .value = "AGO|TIME",
           .help = absl::StrCat(
               "Begin with the first event received at or after this time: ", kTimeForms, ".")}};
}

absl::StatusOr<v1::SubscriptionStart> SubscriptionStartOf(const Flags& flags, absl::Time now) {
  RETURN_IF_ERROR(CheckAtMostOne(flags, {"from", "after", "since"}));
  v1::SubscriptionStart start;
  if (flags.Has("after")) {
    start.set_after_cursor(flags.Text("after"));
  } else if (flags.Has("since")) {
    *start.mutable_start_time() = ToProto(flags.Time("since", now));
  } else if (flags.Has("from")) {
    start.set_start_position(flags.Text("from") == "earliest" ? v1::START_POSITION_EARLIEST
                                                              : v1::START_POSITION_LATEST);
  } else {
    return absl::InvalidArgumentError(
        "where does it begin? Give --from earliest, --from latest, --after or --since");
  }
  return start;
}

}  // namespace hookgate::cli
