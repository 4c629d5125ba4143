#include "client/cli/commands/status_command.h"

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/page_text.h"
#include "client/cli/printable.h"
#include "client/cli/table.h"
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

std::string WebhooksText(const Response::Ingest& ingest, const Reader& reader) {
  const std::string since = ingest.has_since_time() ? When(true, ingest.since_time(), reader).local
                                                    : "the start";  // The gateway is older.
  return absl::StrCat(ingest.stored(), " stored, ", ingest.duplicates(), " duplicates, ",
                      ingest.conflicts(), " conflicts, ", ingest.quarantined(), " quarantined, ",
                      ingest.refused(), " refused, since ", since);
}

// For what reasons.
std::string RefusedText(const Response::Ingest& ingest) {
  return absl::StrJoin(ingest.refusals(), ", ",
                       [](std::string* text, const Response::Ingest::Refusal& refusal) {
                         absl::StrAppend(text, refusal.count(), " ", refusal.reason());
                       });
}

std::string QuarantineText(const Response::Quarantine& quarantine) {
  std::string text = absl::StrCat(quarantine.entries(), " held");
  if (quarantine.removed_by_limits() > 0) {
    absl::StrAppend(&text, ", ", quarantine.removed_by_limits(), " removed by its limits");
  }
  return text;
}

// Since then the start has read the config again: the reload says nothing of the one in force.
bool IsBeforeTheStart(const Response& status) {
  const auto parts = [](const google::protobuf::Timestamp& time) {
    return std::make_pair(time.seconds(), time.nanos());
  };
  return parts(status.last_reload().time()) < parts(status.start_time());
}

// Of the last SIGHUP.
std::string ReloadText(const Response& status, const Reader& reader) {
  const Response::Reload& reload = status.last_reload();
  const std::string when = WhenLine(reload.has_time(), reload.time(), reader);
  const std::string outcome = absl::StrCat(reload.applied() ? "applied " : "REFUSED ", when);
  if (IsBeforeTheStart(status)) {
    return absl::StrCat(outcome, "; the start has read the config since then");
  }
  return reload.applied() ? outcome : absl::StrCat(outcome, "; the config before stays in force");
}

// One line for each error and warning of the config.
std::string ConfigText(const Response& status) {
  std::string text;
  const Response::Reload& reload = status.last_reload();
  const absl::string_view label =
      IsBeforeTheStart(status) ? "config error before the start: " : "config error: ";
  for (const std::string& error : reload.errors()) {
    absl::StrAppend(&text, label, Printable(error), "\n");
  }
  for (const std::string& warning : status.config_warnings()) {
    absl::StrAppend(&text, "config warning: ", Printable(warning), "\n");
  }
  return text;
}

Table SourceTable(const Response& status, const Reader& reader) {
  Table table({{"SOURCE"}, {"SIGNED WEBHOOKS", /*right_aligned=*/true}, {"LAST CAME"}});
  for (const Response::Source& source : status.sources()) {
    table.AddRow(
        {{source.name()},
         {absl::StrCat(source.webhooks())},
         {source.has_last_webhook_time() ? When(true, source.last_webhook_time(), reader).age
                                         : "never",
          source.has_last_webhook_time() ? Look::kPlain : Look::kFaint}});
  }
  return table;
}

std::string Webhooks(int64_t count) {
  return count == 1 ? "1 webhook" : absl::StrCat(count, " webhooks");
}

Table::Cell CanGo(const Response::Secret& secret, const Reader& reader) {
  const std::string came = Webhooks(secret.webhooks_since_needed());
  // What they have not needed, or not been verified by.
  const std::string since =
      secret.has_last_needed_time()
          ? When(true, secret.last_needed_time(), reader).age
          : When(secret.has_first_configured_time(), secret.first_configured_time(), reader).age;
  switch (secret.use()) {
    case Response::Secret::USE_ONLY_SECRET:
      return {"no: the source has no other"};
    case Response::Secret::USE_NEEDED:
      return {"no: the last webhook needed it"};
    case Response::Secret::USE_WAIT:
      return {absl::StrCat(
          "not yet: ", came, " did not need it (since ", since, "); wait for webhooks after ",
          When(secret.has_wait_until_time(), secret.wait_until_time(), reader).local)};
    case Response::Secret::USE_NOT_NEEDED:
      return {absl::StrCat("YES: ", came, " did not need it (since ", since, ")"), Look::kGood};
    case Response::Secret::USE_NEVER_VERIFIED:
      return {absl::StrCat("it verified none of ", came, " since it was configured (", since,
                           "): have the sender sign with it")};
    case Response::Secret::USE_NO_WEBHOOKS:
      return {"not known: no webhook came since it was configured", Look::kFaint};
    default:
      return {"not told by this gateway", Look::kFaint};
  }
}

Table SecretTable(const Response& status, const Reader& reader) {
  Table table({{"SOURCE"}, {"SECRET"}, {"SCHEME"}, {"LAST VERIFIED"}, {"CAN IT GO?"}});
  for (const Response::Source& source : status.sources()) {
    for (const Response::Secret& secret : source.secrets()) {
      const bool used = secret.has_last_verified_time();
      table.AddRow({{source.name()},
                    {secret.name()},
                    {secret.scheme()},
                    {used ? When(used, secret.last_verified_time(), reader).age : "never",
                     used ? Look::kPlain : Look::kFaint},
                    CanGo(secret, reader)});
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
    fields.push_back(
        {"last reload", ReloadText(status, reader),
         status.last_reload().applied() || IsBeforeTheStart(status) ? Look::kPlain : Look::kBad});
  }
  fields.insert(fields.end(), {{"log", LogText(status)},
                               {"storage", StorageText(status),
                                IsAboveItsLimit(status.storage()) ? Look::kBad : Look::kPlain},
                               {"open streams", absl::StrCat(status.open_streams())},
                               {"webhooks", WebhooksText(status.ingest(), reader)}});
  if (!status.ingest().refusals().empty()) {
    fields.push_back({"refused for", RefusedText(status.ingest())});
  }
  fields.push_back({"quarantine", QuarantineText(status.quarantine())});
  std::ostringstream page;
  page << FieldLines(fields, reader.style);
  page << "\n";
  const std::string config = ConfigText(status);
  if (!config.empty()) page << config << "\n";
  if (status.ingest().has_since_time()) {
    SourceTable(status, reader).Print(reader.style, page);
    page << "\n";
  }
  SecretTable(status, reader).Print(reader.style, page);
  return page.str();
}

int Run(const Flags& flags, Environment& environment) {
  GatewayClient gateway(flags, environment);
  Response status;
  const int exit_code = gateway.Call(&v1::AdminService::StubInterface::GetStatus,
                                     v1::GetStatusRequest(), "get the status", status);
  if (exit_code != kSuccess) return exit_code;
  if (IsJson(flags)) {
    environment.out << MessageJson(status) << "\n";
  } else {
    environment.out << PageOf(status, ReaderOf(flags, environment));
  }
  return status.ready() ? kSuccess : kFailed;
}

}  // namespace

Command StatusCommand() {
  return {
      .name = "status",
      .summary = "Tell how the gateway is",
      .description =
          "Tells whether the gateway takes webhooks, and if not, why; since when it runs and has "
          "its config, whether the last reload (SIGHUP) was applied, and if not, why; what its log "
          "holds; what became of webhooks, and when each source last sent one; and for each secret "
          "when it last verified one, and whether it can go. Counts and times outlive a "
          "restart.\n\n"
          "While a secret is being rotated: the old one can go from the config once webhooks have "
          "come for 72 hours, as long as senders repeat one, and none needed it. A webhook that "
          "both have signed needs only the one that was configured last, and both if they were "
          "configured at once.",
      .flags = CallFlags("How long the call may take."),
      .examples = {{"hookgate status", "Is it well? Which secrets are in use?"},
                   {"hookgate status --output json | jq .quarantine.entries",
                    "One number, for a script."}},
      .exits = {{kSuccess, "The gateway is ready."},
                {kFailed, "It is not ready, or it refused to tell."},
                {kWrongUsage, "The command line is wrong."},
                {kUnreachable, "No gateway answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
