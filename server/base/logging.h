// What the gateway tells its operator: one line an occurrence, with named fields.
//
//   Log(Severity::kWarning, "webhook refused", {{"source", source}, {"reason", reason}});
//
// Text on a terminal, one JSON object a line otherwise; always to stderr. A line says what
// happened, to what, and why; it never holds a secret, a signature or a body. Values may come from
// strangers: what could move a cursor, end a line or reorder text is escaped (printable.h), and a
// value of more than 4096 bytes is cut, with its length. Thread-safe.
#ifndef HOOKGATE_SERVER_BASE_LOGGING_H_
#define HOOKGATE_SERVER_BASE_LOGGING_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hookgate {

enum class Severity { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// "debug", "info", "warning" or "error". INVALID_ARGUMENT for anything else.
absl::StatusOr<Severity> ParseSeverity(absl::string_view text);
// "text" or "json"; "" chooses by whether stderr is a terminal. INVALID_ARGUMENT for anything else.
absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text);

struct LoggingOptions {
  LogFormat format = LogFormat::kText;
  Severity least_severity = Severity::kInfo;
};

// Called once, before other threads log. Until then text at kInfo and above is written. From then
// on a thread of its own writes the lines, so that nobody who logs waits for standard error's
// reader: log_output.h.
void InitLogging(const LoggingOptions& options);
// At any time.
void SetLeastSeverity(Severity severity);

// One named value. A number stays a number in JSON.
struct LogField {
  LogField(absl::string_view name, absl::string_view value);
  LogField(absl::string_view name, const char* value);
  LogField(absl::string_view name, const std::string& value);
  LogField(absl::string_view name, int64_t value);
  LogField(absl::string_view name, int value);
  LogField(absl::string_view name, size_t value);

  absl::string_view name;
  absl::string_view text;
  int64_t number = 0;
  bool is_number = false;
};

// Writes a line if `severity` is high enough.
void Log(Severity severity, absl::string_view message, std::initializer_list<LogField> fields = {});

// The same, for fields that were put together.
void LogFields(Severity severity, absl::string_view message, const std::vector<LogField>& fields);

// The line that Log writes, without time; for tests.
std::string FormatLogLine(LogFormat format, absl::string_view message,
                          std::initializer_list<LogField> fields);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_LOGGING_H_
