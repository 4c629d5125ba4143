#include "server/eventlog/status_statements.h"

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kSetHead[] = R"sql(
INSERT INTO status (id, salt, since_us, last_reload) VALUES (1, ?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET salt = ?1, since_us = ?2, last_reload = ?3)sql";
constexpr char kSetCounter[] = R"sql(
INSERT INTO status_counters (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = ?2)sql";
constexpr char kSetSource[] = R"sql(
INSERT INTO source_status (source, webhooks, last_webhook_us, absent_us) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (source) DO UPDATE SET webhooks = ?2, last_webhook_us = ?3, absent_us = ?4)sql";
constexpr char kSetSecret[] = R"sql(
INSERT INTO secret_status (source, name, tag, generation, first_configured_us, last_verified_us,
                           last_needed_us, webhooks_then, absent_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (source, name, tag) DO UPDATE SET
  generation = ?4, first_configured_us = ?5, last_verified_us = ?6, last_needed_us = ?7,
  webhooks_then = ?8, absent_us = ?9)sql";
constexpr char kDeleteSource[] = "DELETE FROM source_status WHERE source = ?1";
constexpr char kDeleteSecret[] =
    "DELETE FROM secret_status WHERE source = ?1 AND name = ?2 AND tag = ?3";

int64_t ToMicros(const absl::optional<absl::Time>& time) {
  return time.has_value() ? absl::ToUnixMicros(*time) : 0;
}

}  // namespace

absl::StatusOr<StatusStatements> StatusStatements::Prepare(Database& database) {
  ASSIGN_OR_RETURN(Statement set_head, database.Prepare(kSetHead));
  ASSIGN_OR_RETURN(Statement set_counter, database.Prepare(kSetCounter));
  ASSIGN_OR_RETURN(Statement set_source, database.Prepare(kSetSource));
  ASSIGN_OR_RETURN(Statement set_secret, database.Prepare(kSetSecret));
  ASSIGN_OR_RETURN(Statement delete_source, database.Prepare(kDeleteSource));
  ASSIGN_OR_RETURN(Statement delete_secret, database.Prepare(kDeleteSecret));
  return StatusStatements(std::move(set_head), std::move(set_counter), std::move(set_source),
                          std::move(set_secret), std::move(delete_source),
                          std::move(delete_secret));
}

StatusStatements::StatusStatements(Statement set_head, Statement set_counter, Statement set_source,
                                   Statement set_secret, Statement delete_source,
                                   Statement delete_secret)
    : set_head_(std::move(set_head)),
      set_counter_(std::move(set_counter)),
      set_source_(std::move(set_source)),
      set_secret_(std::move(set_secret)),
      delete_source_(std::move(delete_source)),
      delete_secret_(std::move(delete_secret)) {}

absl::Status StatusStatements::Write(const StatusChanges& changes) {
  if (changes.head.has_value()) RETURN_IF_ERROR(SetHead(*changes.head));
  for (const auto& [name, value] : changes.counters) {
    set_counter_.BindText(1, name);
    set_counter_.BindInt(2, value);
    RETURN_IF_ERROR(set_counter_.Run());
  }
  for (const auto& [name, status] : changes.sources) RETURN_IF_ERROR(SetSource(name, status));
  for (const auto& [id, status] : changes.secrets) RETURN_IF_ERROR(SetSecret(id, status));
  for (const std::string& name : changes.removed_sources) {
    delete_source_.BindText(1, name);
    RETURN_IF_ERROR(delete_source_.Run());
  }
  for (const SecretId& id : changes.removed_secrets) {
    delete_secret_.BindText(1, id.source);
    delete_secret_.BindText(2, id.name);
    delete_secret_.BindInt(3, id.tag);
    RETURN_IF_ERROR(delete_secret_.Run());
  }
  return absl::OkStatus();
}

absl::Status StatusStatements::SetHead(const StatusHead& head) {
  set_head_.BindBlob(1, head.salt);
  set_head_.BindInt(2, absl::ToUnixMicros(head.since));
  set_head_.BindBlob(3, head.last_reload);
  return set_head_.Run();
}

absl::Status StatusStatements::SetSource(const std::string& name, const SourceStatus& status) {
  set_source_.BindText(1, name);
  set_source_.BindInt(2, status.webhooks);
  set_source_.BindInt(3, ToMicros(status.last_webhook));
  set_source_.BindInt(4, absl::ToInt64Microseconds(status.absent));
  return set_source_.Run();
}

absl::Status StatusStatements::SetSecret(const SecretId& id, const SecretStatus& status) {
  set_secret_.BindText(1, id.source);
  set_secret_.BindText(2, id.name);
  set_secret_.BindInt(3, id.tag);
  set_secret_.BindInt(4, status.generation);
  set_secret_.BindInt(5, absl::ToUnixMicros(status.first_configured));
  set_secret_.BindInt(6, ToMicros(status.last_verified));
  set_secret_.BindInt(7, ToMicros(status.last_needed));
  set_secret_.BindInt(8, status.webhooks_then);
  set_secret_.BindInt(9, absl::ToInt64Microseconds(status.absent));
  return set_secret_.Run();
}

}  // namespace hookgate
