#include "client/cli/commands/dead_letter_selection.h"

#include "absl/strings/string_view.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/selection_job.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

bool Narrows(const Flags& flags) {
  for (const absl::string_view name :
       {"source", "type", "subject", "cause", "reason-contains", "older-than"}) {
    if (flags.Has(name)) return true;
  }
  return false;
}

}  // namespace

std::vector<FlagSpec> DeadLetterFlags() {
  return Join({{{.name = "all", .kind = FlagKind::kBool, .help = "All that are there now."}},
               FilterFlags(),
               {{.name = "cause",
                 .kind = FlagKind::kChoice,
                 .help = "Only those that failed so in the end.",
                 .choices = {"nacked", "deadline-passed", "consumer-decided", "stream-lost"}},
                {.name = "reason-contains",
                 .value = "TEXT",
                 .help = "Only those whose last nack has this text in its reason."},
                {.name = "older-than",
                 .kind = FlagKind::kTime,
                 .value = "AGO|TIME",
                 .help = "Only those dead-lettered before then."}},
               SelectionJobFlags()});
}

bool LooksForDeadLetters(const Flags& flags) { return flags.Bool("all") || Narrows(flags); }

v1::DeadLetterSelection DeadLettersLookedFor(const Flags& flags, absl::Time now) {
  v1::DeadLetterSelection selection;
  *selection.mutable_filter() = FilterOf(flags);
  if (flags.Has("cause")) {
    const std::string& cause = flags.Text("cause");
    selection.add_causes(cause == "nacked"             ? v1::DeadLetter::CAUSE_NACKED
                         : cause == "deadline-passed"  ? v1::DeadLetter::CAUSE_DEADLINE_PASSED
                         : cause == "consumer-decided" ? v1::DeadLetter::CAUSE_CONSUMER_DECIDED
                                                       : v1::DeadLetter::CAUSE_STREAM_LOST);
  }
  if (flags.Has("reason-contains")) {
    selection.set_reason_contains(flags.Text("reason-contains"));
  }
  if (flags.Has("older-than")) {
    *selection.mutable_end_time() = ToProto(flags.Time("older-than", now));
  }
  return selection;
}

absl::Status CheckDeadLetterSelection(const Flags& flags) {
  const bool named = flags.arguments().size() > 1;
  if (!named && !LooksForDeadLetters(flags)) {
    return absl::InvalidArgumentError(
        "nothing is selected: give sequences, --all, or a flag that selects, such as "
        "--reason-contains");
  }
  if (int{named} + int{flags.Bool("all")} + int{Narrows(flags)} > 1) {
    return absl::InvalidArgumentError(
        "give sequences, or --all, or flags that select, but only one of these");
  }
  if (named && (flags.Bool("preview") || flags.Bool("detach"))) {
    return absl::InvalidArgumentError(
        "--preview and --detach need --all, or flags that select, such as "
        "--reason-contains");
  }
  return ParseNumbers(flags, 1, kDeadLetterSequences).status();
}

}  // namespace hookgate::cli
