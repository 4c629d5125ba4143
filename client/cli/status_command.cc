#include "client/cli/status_command.h"

#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/common_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/gateway_calls.h"
#include "client/cli/message_json.h"
#include "client/cli/page_text.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/connection.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

using Response = v1::GetStatusResponse;

std::string ReadyText(const Response& status) {
  if (status.ready()) return "yes";
  return absl::StrCat("no: ", absl::StrJoin(status.not_ready_reasons(), "; "));
}

std::string LogText(const Response& status) {
  const std::string epoch = absl::StrCat(" (epoch ", status.epoch(), ")");
  if (status.head_sequence() < status.earliest_sequence()) {
    return absl::StrCat("no events are held", epoch);
  }
  return absl::StrCat("events ", status.earliest_sequence(), " to ", status.head_sequence(),
                      " are held", epoch);
}

std::string VersionText(const Response& status) {
  return status.version().empty() ? "not told by this gateway" : status.version();
}

std::string MebibytesText(int64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

bool IsAboveItsLimit(const Response::Storage& storage) {
  return storage.max_bytes() > 0 && storage.used_bytes() > storage.max_bytes();
}

std::string StorageText(const Response& status) {
  if (!status.has_storage()) return "not told by this gateway";  // It is older.
  const Response::Storage& storage = status.storage();
  std::string text = absl::StrCat(MebibytesText(storage.used_bytes()), " used");
  if (storage.max_bytes() == 0) return text;
  absl::StrAppend(&text, " of ", MebibytesText(storage.max_bytes()));
  if (IsAboveItsLimit(storage)) {
    absl::StrAppend(&text, ": above storage.max_bytes until what is young, or not settled, may go");
  }
  return text;
}

std::string WebhooksText(const Response::Ingest& ingest) {
  return absl::StrCat(ingest.stored(), " stored, ", ingest.duplicates(), " duplicates, ",
                      ingest.conflicts(), " conflicts, ", ingest.quarantined(), " quarantined, ",
                      ingest.refused(), " refused, since the start");
}

std::string QuarantineText(const Response::Quarantine& quarantine) {
  std::string text = absl::StrCat(quarantine.entries(), " held");
  if (quarantine.removed_by_limits() > 0) {
    absl::StrAppend(&text, ", ", quarantine.removed_by_limits(), " removed by its limits");
  }
  return text;
}

// Of the last SIGHUP.
std::string ReloadText(const Response& status, const Reader& reader) {
  const Response::Reload& reload = status.last_reload();
  const std::string when = WhenLine(reload.has_time(), reload.time(), reader);
  if (reload.applied()) return absl::StrCat("applied ", when);
  return absl::StrCat("REFUSED ", when, "; the config before stays in force");
}

// One line for each error and warning of the config.
std::string ConfigText(const Response& status) {
  std::string text;
  const Response::Reload& reload = status.last_reload();
  for (const std::string& error : reload.errors()) {
    absl::StrAppend(&text, "config error: ", Printable(error), "\n");
  }
  for (const std::string& warning : status.config_warnings()) {
    absl::StrAppend(&text, "config warning: ", Printable(warning), "\n");
  }
  return text;
}

Table SecretTable(const Response& status, const Reader& reader) {
  Table table({{"SOURCE"}, {"SECRET"}, {"SCHEME"}, {"LAST VERIFIED A WEBHOOK"}});
  for (const Response::Source& source : status.sources()) {
    for (const Response::Secret& secret : source.secrets()) {
      const bool used = secret.has_last_verified_time();
      table.AddRow(
          {{source.name()},
           {secret.name()},
           {secret.scheme()},
           {used ? When(used, secret.last_verified_time(), reader).age : "never since the start",
            used ? Look::kPlain : Look::kFaint}});
    }
  }
  return table;
}

std::string PageOf(const Response& status, const Reader& reader) {
  std::vector<Field> fields = {
      {"ready", ReadyText(status), status.ready() ? Look::kGood : Look::kBad},
      {"version", VersionText(status)},
      {"running since", WhenLine(status.has_start_time(), status.start_time(), reader)},
      {"config applied", WhenLine(status.has_config_time(), status.config_time(), reader)}};
  if (status.has_last_reload()) {
    fields.push_back({"last reload", ReloadText(status, reader),
                      status.last_reload().applied() ? Look::kPlain : Look::kBad});
  }
  fields.insert(fields.end(), {{"log", LogText(status)},
                               {"storage", StorageText(status),
                                IsAboveItsLimit(status.storage()) ? Look::kBad : Look::kPlain},
                               {"open streams", absl::StrCat(status.open_streams())},
                               {"webhooks", WebhooksText(status.ingest())},
                               {"quarantine", QuarantineText(status.quarantine())}});
  std::ostringstream page;
  page << FieldLines(fields, reader.style);
  page << "\n";
  const std::string config = ConfigText(status);
  if (!config.empty()) page << config << "\n";
  SecretTable(status, reader).Print(reader.style, page);
  return page.str();
}

int Run(const Flags& flags, Environment& environment) {
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  Response status;
  const GatewayError error =
      CallGateway(connection->admin(), &v1::AdminService::StubInterface::GetStatus,
                  v1::GetStatusRequest(), flags.Duration("timeout"), status);
  if (!error.status.ok()) {
    return FailedCall(error, "cannot get the status", connection->target(), environment);
  }
  if (IsJson(flags)) {
    environment.out << MessageJson(status) << "\n";
  } else {
    environment.out << PageOf(status, ReaderOf(flags, environment));
  }
  return status.ready() ? kFine : kFailed;
}

}  // namespace

Command StatusCommand() {
  return {
      .name = "status",
      .summary = "Tell how the gateway is",
      .description =
          "Tells whether the gateway takes webhooks, and if not, why; since when it runs and has "
          "its config, whether the last reload (SIGHUP) was applied, and if not, why; what its log "
          "holds; what became of webhooks; and for each secret when it "
          "last verified one.\n\n"
          "While a secret is being rotated: once the new one verifies webhooks and the old one "
          "has not for as long as its sender may retry, the old one can go from the config.",
      .flags = {GrpcFlag(), TimeoutFlag("How long the call may take."), OutputFlag(), ColorFlag()},
      .examples = {{"hookgate status", "Is it well? Which secrets are in use?"},
                   {"hookgate status --output json | jq .quarantine.entries",
                    "One number, for a script."}},
      .exits = {{kFine, "The gateway is ready."},
                {kFailed, "It is not ready, or it refused to tell."},
                {kWrongUsage, "The command line is wrong."},
                {kUnreachable, "No gateway answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
