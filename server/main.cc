// hookgated: flags, then options, then the gateway.

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "google/protobuf/stubs/logging.h"
#include "server/base/log_output.h"
#include "server/base/logging.h"
#include "server/base/printable.h"
#include "server/base/small_file.h"
#include "server/base/standard_descriptors.h"
#include "server/base/status.h"
#include "server/config/file_permissions.h"
#include "server/config/load_config.h"
#include "server/config/options.h"
#include "server/config/problems.h"
#include "server/config/resolve_tls.h"
#include "server/gateway/command_line.h"
#include "server/gateway/descriptors.h"
#include "server/gateway/gateway.h"
#include "server/gateway/process.h"
#include "server/gateway/service_manager.h"
#include "server/gateway/signals.h"
#include "server/restore/restore_log.h"
#include "server/verify/verify_event_log.h"
#include "version/version.h"

ABSL_FLAG(std::string, config, "",
          "Config file in protobuf text format (docs/configuration.md). Flags override it.");
ABSL_FLAG(bool, check_config, false,
          "Check flags, config file and secrets, print every error, and exit.");
ABSL_FLAG(
    bool, verify, false,
    "Check the whole event log in --data_dir, which may also be the file of a backup, print what "
    "is wrong with it, and exit. hookgated must not be running on it.");
// --restore= without a name is a mistake, and must not start a gateway.
struct FileToRestore {
  absl::optional<std::string> path;
};
bool AbslParseFlag(absl::string_view text, FileToRestore* file, std::string*) {
  file->path = std::string(text);
  return true;
}
std::string AbslUnparseFlag(const FileToRestore& file) { return file.path.value_or(""); }

ABSL_FLAG(
    FileToRestore, restore, {},
    "Replace the event log in --data_dir by this backup, print what that means for "
    "subscribers, and exit. hookgated must not be running on it. With `cluster` in the config "
    "the backup has to be of one of its replicas, and the result is a replica, too.");
ABSL_FLAG(bool, force, false,
          "With --restore: even if the event log in --data_dir has events that the backup lacks.");
ABSL_FLAG(bool, found_cluster, false,
          "With `cluster` in the config: begin the cluster's log, which has to be new, with the "
          "log in --data_dir. For one replica and one start; the others begin with a copy of it.");
ABSL_FLAG(std::string, http_address, "",
          "HOST:PORT where webhooks arrive, at /webhooks/{source}. Default 127.0.0.1:8080.");
ABSL_FLAG(std::string, grpc_address, "",
          "HOST:PORT where services subscribe and query. Default 127.0.0.1:50051.");
ABSL_FLAG(std::string, admin_address, "",
          "HOST:PORT of /healthz, /readyz and /metrics. Default 127.0.0.1:9090.");
ABSL_FLAG(std::string, data_dir, "",
          "Folder of the event log; created if it is missing. Default ./hookgate-data.");
ABSL_FLAG(
    bool, allow_insecure_grpc, false,
    "Serve gRPC without TLS or without principals on an address that other machines can reach.");
ABSL_FLAG(bool, allow_core_dumps, false,
          "Let a crash write a core file, and debuggers attach. Both see secrets and bodies.");
ABSL_FLAG(std::string, log_format, "",
          "text or json. Default: text on a terminal, json otherwise.");
ABSL_FLAG(std::string, log_level, "", "debug, info, warning or error. Default info.");

namespace hookgate {
namespace {

constexpr char kUsage[] = R"(Takes signed webhooks in over HTTP, stores each before it
answers, and streams them as typed events over gRPC.

  OPENAI_WEBHOOK_SECRET=whsec_... hookgated
      receives OpenAI's webhooks at http://127.0.0.1:8080/webhooks/openai
  hookgated --config hookgate.textproto --check_config
      checks a config file
  hookgated --data_dir hookgate-data --verify
      reads the whole event log, and checks that it is sound
  hookgated --data_dir hookgate-data --restore backup.db
      replaces the event log by a backup

A port of 0 stands for any free port; the line "ready" prints which. SIGTERM starts a graceful
shutdown; a second one ends hookgated immediately. SIGHUP reloads the config file and the secrets.

Exit codes: 0 after a normal end, 1 if it could not start, if the event log is not sound, or if the
backup was not restored, 2 if flags or config are wrong. With --check_config, warnings are 0.)";

// Whose flags are ours; the libraries have some, too.
constexpr char kThisFile[] = "server/main.cc";

constexpr int kCouldNotStart = 1;
constexpr int kNotSound = 1;
constexpr int kNotRestored = 1;
constexpr int kBadConfig = 2;
// For pipes among the files that a config names, all together.
constexpr absl::Duration kFilePatience = absl::Seconds(10);

absl::optional<std::string> GetEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return absl::nullopt;
  return std::string(value);
}

// Under `bazel run` the current folder is one of Bazel's; people mean the one they typed the
// command in.
std::string FromWhereTyped(const std::string& path) {
  const absl::optional<std::string> folder = GetEnvironment("BUILD_WORKING_DIRECTORY");
  if (!folder.has_value() || absl::StartsWith(path, "/")) return path;
  return absl::StrCat(*folder, "/", path);
}

void Overwrite(const absl::Flag<std::string>& flag, std::string* value) {
  if (!absl::GetFlag(flag).empty()) *value = absl::GetFlag(flag);
}

// What is only good if it added no error; nullopt if not even the file could be read.
absl::optional<Options> OptionsFromFlags(Problems& problems) {
  hookgate::config::v1::Config file;
  if (!absl::GetFlag(FLAGS_config).empty()) {
    auto loaded = LoadConfig(FromWhereTyped(absl::GetFlag(FLAGS_config)), problems);
    if (!loaded.has_value()) return absl::nullopt;  // What else could be said would be guessed.
    file = *std::move(loaded);
  }
  hookgate::config::v1::Config config = file;
  Overwrite(FLAGS_http_address, config.mutable_http()->mutable_address());
  Overwrite(FLAGS_grpc_address, config.mutable_grpc()->mutable_address());
  Overwrite(FLAGS_admin_address, config.mutable_admin()->mutable_address());
  Overwrite(FLAGS_data_dir, config.mutable_storage()->mutable_data_dir());
  Overwrite(FLAGS_log_format, config.mutable_logging()->mutable_format());
  Overwrite(FLAGS_log_level, config.mutable_logging()->mutable_level());
  if (absl::GetFlag(FLAGS_allow_insecure_grpc)) config.mutable_grpc()->set_allow_insecure(true);
  if (absl::GetFlag(FLAGS_allow_core_dumps)) config.set_allow_core_dumps(true);
  Options options = ResolveOptions(config, GetEnvironment, problems);
  options.found_cluster = absl::GetFlag(FLAGS_found_cluster);
  if (options.found_cluster && !config.has_cluster()) {
    problems.AddError("--found_cluster", "is for a replica, but the config has no `cluster`");
  }
  options.config.file = std::move(file);
  options.log.data_dir = FromWhereTyped(options.log.data_dir);
  CheckDataFolderPermissions(options.log.data_dir, problems);
  FitDescriptors(RaiseDescriptorLimit(), options, problems);
  options.warnings = problems.warnings();
  return options;
}

void Print(const Problems& problems) {
  for (const std::string& error : problems.errors()) std::cerr << "hookgated: " << error << "\n";
  for (const std::string& warning : problems.warnings()) {
    std::cerr << "hookgated: warning: " << warning << "\n";
  }
}

// What --restore and --verify work on. No secrets are needed for that.
struct LogToWorkOn {
  std::string data_dir;
  std::string cluster;  // that the log is a replica's of; "": a log of its own
};
absl::optional<LogToWorkOn> LogFromFlags(Problems& problems) {
  hookgate::config::v1::Config config;
  const std::string file = absl::GetFlag(FLAGS_config);
  if (!file.empty()) {
    absl::optional<hookgate::config::v1::Config> loaded =
        LoadConfig(FromWhereTyped(file), problems);
    if (!loaded.has_value() || !problems.ok()) return absl::nullopt;
    config = *std::move(loaded);
  }
  Overwrite(FLAGS_data_dir, config.mutable_storage()->mutable_data_dir());
  return LogToWorkOn{FromWhereTyped(DataDirOf(config)), config.cluster().name()};
}

int Fail(int exit_code, const absl::Status& status) {
  FlushLog();
  std::cerr << "hookgated: " << Printable(std::string(status.message())) << "\n";
  return exit_code;
}

void LogWarnings(const Problems& problems) {
  for (const std::string& warning : problems.warnings()) {
    Log(Severity::kWarning, "config warning", {{"warning", warning}});
  }
}

// Whether the config was applied.
bool Reload(Gateway& gateway) {
  const PatienceForAll patience(kFilePatience, IsAskedToEnd);
  Problems problems;
  const absl::optional<Options> options = OptionsFromFlags(problems);
  std::string changed;
  if (options.has_value()) changed = gateway.Reload(*options, problems);
  // What was interrupted says nothing of the config.
  if (!problems.ok() && IsAskedToEnd()) return false;
  gateway.NoteReload(problems);
  if (problems.ok()) {
    // Those of a config that is not applied would be of doors that are not open.
    LogWarnings(problems);
    Log(Severity::kInfo, "config applied",
        {{"sources", options->sources.size()},
         {"changed_settings", changed.empty() ? "none" : changed}});
    return true;
  }
  for (const std::string& error : problems.errors()) {
    Log(Severity::kError, "config error", {{"error", error}});
  }
  Log(Severity::kError, "config not applied; the one before stays in force",
      {{"errors", problems.errors().size()}});
  return false;
}

int CheckConfig(const Options& options, Problems& problems) {
  if (options.http_certificates.has_value()) {
    WarnOfExpiry(*options.http_certificates, "http.tls", absl::Now(), problems);
  }
  if (options.grpc_security.certificates.has_value()) {
    WarnOfExpiry(*options.grpc_security.certificates, "grpc.tls", absl::Now(), problems);
  }
  Print(problems);
  if (!problems.ok()) return kBadConfig;
  std::cout << "config is right: " << options.sources.size() << " source(s)";
  if (!problems.warnings().empty())
    std::cout << ", " << problems.warnings().size() << " warning(s)";
  std::cout << "\n";
  return EXIT_SUCCESS;
}

int VerifyAndReport(const std::string& data_dir) {
  const absl::StatusOr<VerifyReport> report =
      VerifyEventLog({.data_dir = data_dir, .progress = [](absl::string_view what) {
                        std::cerr << "hookgated: " << what << std::endl;
                      }});
  if (!report.ok()) return Fail(kNotSound, report.status());
  std::cout << ReportText(*report);
  return report->total_findings == 0 ? EXIT_SUCCESS : kNotSound;
}

int RestoreAndReport(const std::string& file, const LogToWorkOn& log) {
  const absl::StatusOr<RestoreReport> report = RestoreLog({.file = FromWhereTyped(file),
                                                           .data_dir = log.data_dir,
                                                           .force = absl::GetFlag(FLAGS_force),
                                                           .cluster = log.cluster,
                                                           .now = SystemClock().WallNow(),
                                                           .progress = [](absl::string_view what) {
                                                             std::cerr << "hookgated: " << what
                                                                       << std::endl;
                                                           }});
  if (!report.ok()) return Fail(kNotRestored, report.status());
  std::cout << ReportText(*report);
  return EXIT_SUCCESS;
}

// What is done with a log instead of serving it. It needs no secret: only where the log is.
int WorkOnLog(const absl::optional<std::string>& restore) {
  Problems problems;
  const absl::optional<LogToWorkOn> log = LogFromFlags(problems);
  if (!log.has_value()) {
    Print(problems);
    return kBadConfig;
  }
  if (!restore.has_value()) return VerifyAndReport(log->data_dir);
  return RestoreAndReport(*restore, *log);
}

absl::Status CheckFlagsOfRestore(const absl::optional<std::string>& restore) {
  if (!restore.has_value()) {
    if (!absl::GetFlag(FLAGS_force)) return absl::OkStatus();
    return absl::InvalidArgumentError("--force belongs to --restore FILE, which is missing");
  }
  if (restore->empty()) {
    return absl::InvalidArgumentError("--restore needs the file of a backup: --restore FILE");
  }
  // It puts a log out of the way: of a folder that was meant.
  if (absl::GetFlag(FLAGS_data_dir).empty() && absl::GetFlag(FLAGS_config).empty()) {
    return absl::InvalidArgumentError(
        "--restore needs the folder whose log it replaces: --data_dir DIR, or the --config FILE "
        "that "
        "names it");
  }
  if (absl::GetFlag(FLAGS_verify) || absl::GetFlag(FLAGS_check_config)) {
    return absl::InvalidArgumentError(
        "--restore does not go with --verify or --check_config: run one after the other");
  }
  return absl::OkStatus();
}

// Ends at once, and says why: what was answered is on the disk, and what was not is sent again.
// There may be no memory left for a line of the log, so this one is as it is.
[[noreturn]] void EndWithoutMemory() {
  constexpr char kLine[] =
      "hookgated: out of memory; give it more, or lower http.max_connections, http.max_body_bytes "
      "or storage.max_queued_bytes\n";
  if (write(STDERR_FILENO, kLine, sizeof(kLine) - 1) < 0) _exit(128 + SIGABRT);
  std::abort();
}

// A thread cannot be started without memory for its stack, which operator new does not hear of.
[[noreturn]] void EndAfterException() {
  try {
    if (const std::exception_ptr exception = std::current_exception()) {
      std::rethrow_exception(exception);
    }
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again) EndWithoutMemory();
    std::cerr << "hookgated: " << error.what() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "hookgated: " << error.what() << std::endl;
  } catch (...) {
    std::cerr << "hookgated: an unknown exception" << std::endl;
  }
  std::abort();
}

int Main() {
  const absl::optional<std::string> restore = absl::GetFlag(FLAGS_restore).path;
  const absl::Status flags = CheckFlagsOfRestore(restore);
  if (!flags.ok()) return Fail(kBadConfig, flags);
  if (restore.has_value() || (absl::GetFlag(FLAGS_verify) && !absl::GetFlag(FLAGS_check_config))) {
    return WorkOnLog(restore);
  }
  Problems problems;
  const absl::optional<Options> options = [&problems] {
    const PatienceForAll patience(kFilePatience);
    return OptionsFromFlags(problems);
  }();
  if (absl::GetFlag(FLAGS_check_config)) return CheckConfig(options.value_or(Options()), problems);
  if (!problems.ok()) {
    Print(problems);
    return kBadConfig;
  }
  if (options->config.whole.allow_core_dumps()) AllowCoreDumps();
  InitLogging(options->logging);
  Log(Severity::kInfo, "hookgated started", {{"version", Version()}, {"pid", getpid()}});
  LogWarnings(problems);
  BlockSignals();
  absl::StatusOr<std::unique_ptr<Gateway>> gateway = Gateway::Create(*options, SystemClock());
  if (!gateway.ok()) return Fail(kCouldNotStart, gateway.status());
  // For whoever started it with port 0.
  const std::string addresses =
      absl::StrCat("http=", (*gateway)->http_address(), " grpc=", (*gateway)->grpc_address(),
                   " admin=", (*gateway)->admin_address());
  std::cout << "ready " << addresses << std::endl;
  const ServiceManager manager(GetEnvironment("NOTIFY_SOCKET").value_or(""));
  manager.TellReady(absl::StrCat("Serving ", addresses));
  while (WaitForSignal() == SignalRequest::kReload) {
    manager.TellReloading();
    const bool applied = Reload(**gateway);
    manager.TellReady(absl::StrCat("Serving ", addresses,
                                   applied ? "" : "; the last reload was refused, see the log"));
  }
  manager.TellStopping();
  // All that was answered is on the disk, so whoever holds a connection need not be waited for.
  const bool all_ended = (*gateway)->Drain();
  if (all_ended) gateway->reset();
  FlushLog();
  if (!all_ended) _exit(EXIT_SUCCESS);
  return EXIT_SUCCESS;
}

// Nothing if the command line is right; otherwise the exit code after all has been said.
absl::optional<int> ReadCommandLine(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (AsksForHelp(words)) {
    std::cout << HelpText(kThisFile);
    return EXIT_SUCCESS;
  }
  if (AsksForVersion(words)) {
    std::cout << "hookgated " << Version() << "\n";
    return EXIT_SUCCESS;
  }
  Problems problems;
  CheckCommandLine(words, kThisFile, problems);
  if (!problems.ok()) {
    Print(problems);
    return kBadConfig;
  }
  absl::ParseCommandLine(argc, argv);
  return absl::nullopt;
}

}  // namespace
}  // namespace hookgate

HOOKGATE_RESERVE_STANDARD_DESCRIPTORS

int main(int argc, char** argv) {
  // What is wrong with a message is told to its sender. The library would also print it, a line for
  // each message that a stranger sends.
  google::protobuf::SetLogHandler(nullptr);
  hookgate::HideProcess();
  // Where a file may not become longer (ulimit -f) that is an error of the write, as a full disk
  // is.
  signal(SIGXFSZ, SIG_IGN);
#ifdef NDEBUG
  // Debian builds Abseil so that each lock is looked up in a graph of all locks, under one more
  // lock. Builds without -c opt, which tests use, keep it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  std::set_new_handler(hookgate::EndWithoutMemory);
  std::set_terminate(hookgate::EndAfterException);
  const absl::optional<int> end = hookgate::ReadCommandLine(argc, argv);
  return end.has_value() ? *end : hookgate::Main();
}
