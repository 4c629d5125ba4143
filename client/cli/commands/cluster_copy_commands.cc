#include "client/cli/commands/cluster_copy_commands.h"

#include <string>

#include "absl/time/clock.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/typed_path.h"
#include "server/restore/restore_log.h"
#include "server/restore/snapshot_log.h"

namespace hookgate::cli {
namespace {

int RunSnapshot(const Flags& flags, Environment& environment) {
  SnapshotOptions options;
  options.data_dir = FromWhereTyped(flags.arguments()[0], environment);
  options.file = FromWhereTyped(flags.arguments()[1], environment);
  options.progress = [&](absl::string_view what) { Say(what, environment); };
  const absl::StatusOr<SnapshotReport> report = SnapshotLog(options);
  if (!report.ok()) return Fail(kFailed, report.status().message(), environment);
  environment.out << PrintableLines(ReportText(*report));
  return kSuccess;
}

int RunReseed(const Flags& flags, Environment& environment) {
  RestoreOptions options;
  options.file = FromWhereTyped(flags.arguments()[0], environment);
  options.data_dir = FromWhereTyped(flags.arguments()[1], environment);
  options.as_replica = true;
  options.force = flags.Bool("force");
  options.now = absl::Now();
  options.progress = [&](absl::string_view what) { Say(what, environment); };
  const absl::StatusOr<RestoreReport> report = RestoreLog(options);
  if (!report.ok()) return Fail(kFailed, report.status().message(), environment);
  environment.out << PrintableLines(ReportText(*report));
  return kSuccess;
}

}  // namespace

Command ClusterSnapshotCommand() {
  return {
      .name = "cluster snapshot",
      .summary = "Copy a replica's log on this machine",
      .description =
          "Copies the log in DATA_DIR, the data folder of a replica on this machine, as it is at "
          "one "
          "moment, to the new file FILE, which only you may read. The replica may run, and goes "
          "on. "
          "What another replica begins with is such a copy: see hookgate cluster reseed. Take it "
          "from one that hookgate cluster status shows to be well, as the user that owns the "
          "folder "
          "or as root.\n\n"
          "The copy holds the bodies of webhooks: bring it to the other machine over an encrypted "
          "way, and remove it afterwards.",
      .arguments = {.usage = "DATA_DIR FILE", .least = 2, .most = 2, .any_bytes = true},
      .examples = {{"hookgate cluster snapshot /var/lib/hookgate copy.db",
                    "Copy what the replica of this machine holds."}},
      .exits = {{kSuccess, "FILE is the copy, and is on the disk."},
                {kFailed,
                 "There is no copy: FILE is there already, DATA_DIR holds no replica's "
                 "log, or what is printed went wrong."},
                {kWrongUsage, "The command line is wrong."}},
      .run = RunSnapshot};
}

Command ClusterReseedCommand() {
  return {
      .name = "cluster reseed",
      .summary = "Put a copy of another replica's log in place on this machine",
      .description =
          "Puts SNAPSHOT, which hookgate cluster snapshot has made where another replica of the "
          "cluster runs, in the place of the log in DATA_DIR; its hookgated has to be stopped. The "
          "copy is checked as fsck does before anything is replaced, and is there wholly or not at "
          "all, whenever the power fails. hookgated then goes on from it: it applies what the "
          "cluster has stored since, and cursors and delivery ids hold.\n\n"
          "For a replica that says that it was away for too long, that its history differs or that "
          "its disk is damaged, and for a new one. What DATA_DIR holds and SNAPSHOT does not would "
          "be lost here: that is refused, and named, without --force. What was answered to a "
          "sender "
          "is on the other replicas as well, unless the engine has lost its log: then find the "
          "replica that has the most first (hookgate cluster status).",
      .arguments = {.usage = "SNAPSHOT DATA_DIR", .least = 2, .most = 2, .any_bytes = true},
      .flags = {{.name = "force",
                 .kind = FlagKind::kBool,
                 .help = "Also if DATA_DIR holds what SNAPSHOT does not, or cannot be read."}},
      .examples = {{"hookgate cluster reseed copy.db /var/lib/hookgate",
                    "Begin with what another replica had."},
                   {"hookgate cluster reseed copy.db /var/lib/hookgate --force",
                    "The same, of a replica whose history differs."}},
      .exits = {{kSuccess, "DATA_DIR holds the copy. Start hookgated."},
                {kFailed,
                 "Nothing was changed: a hookgated runs on DATA_DIR, something would be "
                 "lost, SNAPSHOT is no sound copy of a replica, or what is printed went "
                 "wrong."},
                {kWrongUsage, "The command line is wrong."}},
      .run = RunReseed};
}

}  // namespace hookgate::cli
