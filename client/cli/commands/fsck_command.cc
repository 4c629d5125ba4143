#include "client/cli/commands/fsck_command.h"

#include <boost/json.hpp>

#include "client/cli/commands/common_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/typed_path.h"
#include "server/verify/verify_event_log.h"

namespace hookgate::cli {
namespace {

namespace json = boost::json;

constexpr char kName[] = "fsck";

std::string ReportJson(const VerifyReport& report) {
  json::array findings;
  for (const Finding& finding : report.findings) {
    findings.push_back({{"where", finding.where}, {"what", finding.what}});
  }
  const json::object object = {{"sound", report.total_findings == 0},
                               {"epoch", report.epoch},
                               {"earliest_sequence", report.earliest_sequence},
                               {"head_sequence", report.head_sequence},
                               {"events", report.events},
                               {"body_bytes", report.body_bytes},
                               {"unrecognized", report.unrecognized},
                               {"older_schema", report.older_schema},
                               {"newer_schema", report.newer_schema},
                               {"quarantined", report.quarantined},
                               {"subscriptions", report.subscriptions},
                               {"unsettled", report.unsettled},
                               {"dead_letters", report.dead_letters},
                               {"total_findings", report.total_findings},
                               {"findings", std::move(findings)}};
  return PrintableJson(json::serialize(object));
}

int Run(const Flags& flags, Environment& environment) {
  VerifyOptions options;
  options.data_dir = FromWhereTyped(flags.arguments()[0], environment);
  options.max_findings = static_cast<size_t>(flags.Int("max-findings"));
  options.progress = [&](absl::string_view what) { Say(what, environment); };
  const absl::StatusOr<VerifyReport> report = VerifyEventLog(options);
  if (!report.ok()) return Fail(kNotChecked, report.status().message(), environment);
  if (IsJson(flags)) {
    environment.out << ReportJson(*report) << "\n";
  } else {
    environment.out << PrintableLines(ReportText(*report));
  }
  return report->total_findings == 0 ? kSuccess : kFailed;
}

}  // namespace

Command FsckCommand() {
  return {
      .name = kName,
      .summary = "Check a gateway's log on this machine",
      .description =
          "Reads all of the log in DATA_DIR, or in the file of a backup, and says what is wrong "
          "with "
          "it: damage of the file, events that are missing, there twice or not what their bodies "
          "say, and subscriptions that point to what is not there. Changes nothing, needs no right "
          "to write, and needs no gateway: the hookgated that runs on this folder has to be "
          "stopped "
          "first. What is in a write-ahead log beside a backup (BACKUP-wal) is read as part of it.",
      .arguments = {.usage = "DATA_DIR|BACKUP", .least = 1, .most = 1, .any_bytes = true},
      .flags = {{.name = "max-findings",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "Print at most this many; all are counted.",
                 .default_value = "100",
                 .minimum = 1},
                {.name = "output",
                 .kind = FlagKind::kChoice,
                 .help = "Text for people, or one JSON object.",
                 .default_value = "text",
                 .choices = {"text", "json"}}},
      .examples = {{"hookgate fsck hookgate-data", "Is the log sound?"},
                   {"hookgate fsck backup.db", "Is a backup sound?"},
                   {"hookgate fsck /var/lib/hookgate --output json", "The same, for a script."}},
      .exits = {{kSuccess, "The log is sound."},
                {kFailed, "Something is wrong with it, and is printed."},
                {kWrongUsage, "The command line is wrong."},
                {kNotChecked,
                 "Nothing was checked: a hookgated is running on it, there is no log, it is of "
                 "another version, or it cannot be opened."}},
      .run = Run};
}

}  // namespace hookgate::cli
