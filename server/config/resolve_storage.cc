#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/config/config_values.h"
#include "server/config/resolve_parts.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

// Below this a log is mostly what it needs besides events: pages of ids, indexes, free pages.
constexpr int64_t kMinMaxBytes = 64 << 20;
constexpr int64_t kMinHistoryRows = 1'000;
constexpr int64_t kMaxHistoryRows = 100'000'000;

absl::Status SetMaxBytes(int64_t value, int64_t& max_bytes) {
  if (value == 0) return absl::OkStatus();
  if (value < kMinMaxBytes) {
    return InvalidField("storage.max_bytes",
                        absl::StrCat("is ", value, "; it must be at least ", kMinMaxBytes,
                                     " (64 MiB), or left out for no limit"));
  }
  max_bytes = value;
  return absl::OkStatus();
}

absl::Status SetHistoryRows(int64_t value, int64_t& max_rows) {
  if (value == 0) return absl::OkStatus();
  if (value < kMinHistoryRows || value > kMaxHistoryRows) {
    return InvalidField("storage.history.max_rows",
                        absl::StrCat("is ", value, "; it must be from ", kMinHistoryRows, " to ",
                                     kMaxHistoryRows, ", or left out for the default"));
  }
  max_rows = value;
  return absl::OkStatus();
}

// What the folder would be made in, or is, has to be one. Whether it can be made or written, only
// the user can tell who starts hookgated: whoever checks a config may be another one.
absl::Status CheckDataDir(const std::string& path, Problems& problems) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::path at = fs::absolute(path, error); !error; at = at.parent_path()) {
    const fs::file_status status = fs::status(at, error);
    if (fs::is_directory(status)) {
      if (::access(at.c_str(), W_OK | X_OK) != 0) {
        problems.AddWarning("storage.data_dir",
                            absl::StrCat("is ", path, ", but ", at.string(),
                                         " cannot be written by this user: ", std::strerror(errno),
                                         "; the one that runs hookgated has to"));
      }
      return absl::OkStatus();
    }
    if (fs::exists(status)) {
      return InvalidField("storage.data_dir",
                          absl::StrCat("is ", path, ", but ", at.string(),
                                       " is a file; name a folder, or one that can be made"));
    }
    if (!at.has_relative_path()) break;
    error.clear();
  }
  return absl::OkStatus();
}

void ResolveConflicts(const Config& config, Options& options, Problems& problems) {
  const auto& conflicts = config.storage().conflicts();
  RetentionLimits& limits = options.retention;
  problems.AddError(SetDuration(conflicts.has_max_age(), conflicts.max_age(),
                                "storage.conflicts.max_age", absl::Hours(1), kForever,
                                limits.max_conflict_age));
  problems.AddError(SetNumber(conflicts.max_entries(), "storage.conflicts.max_entries", 1'000'000,
                              limits.max_conflict_entries));
  // What came first and last of one event must find room.
  const int64_t needed = 2 * options.http.max_body_bytes;
  limits.max_conflict_bytes = std::max(limits.max_conflict_bytes, needed);
  problems.AddError(SetNumberFrom(needed, conflicts.max_bytes(), "storage.conflicts.max_bytes",
                                  std::numeric_limits<int64_t>::max(), limits.max_conflict_bytes));
}

}  // namespace

std::string DataDirOf(const Config& config) {
  const std::string& data_dir = config.storage().data_dir();
  return data_dir.empty() ? "./hookgate-data" : data_dir;
}

void ResolveStorage(const Config& config, Options& options, Problems& problems) {
  const auto& storage = config.storage();
  options.log.data_dir = DataDirOf(config);
  problems.AddError(CheckDataDir(options.log.data_dir, problems));
  problems.AddError(SetDuration(storage.has_retention(), storage.retention(), "storage.retention",
                                kMinEventAge, kForever, options.retention.max_event_age));
  options.retention.max_unsettled_age =
      std::max(options.retention.max_unsettled_age, options.retention.max_event_age);
  problems.AddError(SetDuration(storage.has_max_unsettled_age(), storage.max_unsettled_age(),
                                "storage.max_unsettled_age", options.retention.max_event_age,
                                kForever, options.retention.max_unsettled_age));
  problems.AddError(SetMaxBytes(storage.max_bytes(), options.retention.max_bytes));
  const auto& quarantine = storage.quarantine();
  problems.AddError(SetDuration(quarantine.has_max_age(), quarantine.max_age(),
                                "storage.quarantine.max_age", absl::Hours(1), kForever,
                                options.retention.max_quarantine_age));
  problems.AddError(SetNumber(quarantine.max_entries(), "storage.quarantine.max_entries", 1'000'000,
                              options.retention.max_quarantine_entries));
  problems.AddError(SetDuration(storage.history().has_max_age(), storage.history().max_age(),
                                "storage.history.max_age", absl::Hours(1), kForever,
                                options.retention.max_history_age));
  problems.AddError(
      SetHistoryRows(storage.history().max_rows(), options.retention.max_history_rows));
  ResolveConflicts(config, options, problems);
  problems.AddError(SetNumber(storage.max_queued_webhooks(), "storage.max_queued_webhooks",
                              1'000'000, options.log.limits.max_queued));
  problems.AddError(SetNumber(storage.max_queued_bytes(), "storage.max_queued_bytes",
                              std::numeric_limits<int64_t>::max(),
                              options.log.limits.max_queued_bytes));
  const int64_t needed = kQueuedBytesPerBodyByte * options.http.max_body_bytes;
  if (options.log.limits.max_queued_bytes >= needed) return;
  problems.AddError("storage.max_queued_bytes",
                    absl::StrCat("is ", options.log.limits.max_queued_bytes,
                                 "; with this http.max_body_bytes it must be at least ", needed,
                                 ", or the largest webhooks would never be taken"));
}

}  // namespace hookgate
