#include "server/base/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/log_output.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

// Of one value. Whoever chooses a value must not choose how long a line is.
constexpr size_t kMaxValueBytes = 4096;

LogFormat g_format = LogFormat::kText;
// From InitLogging on. Never destroyed: threads may still log while the process ends.
LogOutput* g_output = nullptr;

spdlog::level::level_enum ToSpdlog(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return spdlog::level::debug;
    case Severity::kInfo:
      return spdlog::level::info;
    case Severity::kWarning:
      return spdlog::level::warn;
    case Severity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

absl::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return "debug";
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

spdlog::logger& Logger() {
  // Never destroyed: threads may still log while the process ends.
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("hookgate", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

// `text`, or its beginning and how long it was.
std::string Bounded(absl::string_view text) {
  if (text.size() <= kMaxValueBytes) return std::string(text);
  return absl::StrCat(text.substr(0, kMaxValueBytes), "... (", text.size(), " bytes)");
}

bool IsPlain(absl::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte >= 0x7f || c == '"' || c == '=' || c == '\\';
  });
}

// Quotes what would otherwise run into its neighbours, or write lines of its own.
std::string TextValue(const LogField& field) {
  if (field.is_number) return absl::StrCat(field.number);
  const std::string value = Bounded(field.text);
  return IsPlain(value) ? value : PrintableJsonString(value);
}

std::string FormatText(absl::string_view message, absl::Span<const LogField> fields) {
  std::string line = Printable(message);
  for (const LogField& field : fields)
    absl::StrAppend(&line, " ", field.name, "=", TextValue(field));
  return line;
}

void AddJsonMember(absl::string_view name, absl::string_view value, std::string& object) {
  absl::StrAppend(&object, object.empty() ? "{" : ",", PrintableJsonString(name), ":", value);
}

// Of a JSON object that `object` begins, or of a new one if it is empty.
void AddJsonFields(absl::string_view message, absl::Span<const LogField> fields,
                   std::string& object) {
  AddJsonMember("message", PrintableJsonString(message), object);
  for (const LogField& field : fields) {
    AddJsonMember(
        field.name,
        field.is_number ? absl::StrCat(field.number) : PrintableJsonString(Bounded(field.text)),
        object);
  }
  object += '}';
}

std::string Line(Severity severity, absl::string_view message, absl::Span<const LogField> fields) {
  // A log line is read by people and machines, not decided upon: the one place that asks the
  // machine's clock directly.
  const absl::Time now = absl::Now();
  if (g_format == LogFormat::kText) {
    return absl::StrCat(absl::FormatTime("%H:%M:%E3S", now, absl::LocalTimeZone()), " ",
                        SeverityName(severity), " ", FormatText(message, fields));
  }
  std::string line;
  AddJsonMember("time",
                PrintableJsonString(absl::FormatTime(absl::RFC3339_full, now, absl::UTCTimeZone())),
                line);
  AddJsonMember("severity", PrintableJsonString(SeverityName(severity)), line);
  AddJsonFields(message, fields, line);
  return line;
}

std::string LostLine(int64_t lines) {
  return Line(Severity::kWarning, "log lines were lost because nothing read standard error",
              {{"lines", lines}});
}

}  // namespace

absl::StatusOr<Severity> ParseSeverity(absl::string_view text) {
  for (Severity severity :
       {Severity::kDebug, Severity::kInfo, Severity::kWarning, Severity::kError}) {
    if (text == SeverityName(severity)) return severity;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not a log level: use debug, info, warning or error"));
}

absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  if (text.empty()) return isatty(STDERR_FILENO) ? LogFormat::kText : LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not a log format: use text or json"));
}

void InitLogging(const LoggingOptions& options) {
  g_format = options.format;
  SetLeastSeverity(options.least_severity);
  if (g_output == nullptr) g_output = new LogOutput(STDERR_FILENO, LostLine);
}

void SetLeastSeverity(Severity severity) { Logger().set_level(ToSpdlog(severity)); }

LogField::LogField(absl::string_view name, absl::string_view value) : name(name), text(value) {}
LogField::LogField(absl::string_view name, const char* value) : name(name), text(value) {}
LogField::LogField(absl::string_view name, const std::string& value) : name(name), text(value) {}
LogField::LogField(absl::string_view name, int64_t value)
    : name(name), number(value), is_number(true) {}
LogField::LogField(absl::string_view name, int value)
    : LogField(name, static_cast<int64_t>(value)) {}
LogField::LogField(absl::string_view name, size_t value)
    : LogField(name, static_cast<int64_t>(value)) {}

// Each webhook comes by with a line that is seldom wanted: its fields are not copied before that is
// known.
void Log(Severity severity, absl::string_view message, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(ToSpdlog(severity))) return;
  LogFields(severity, message, fields);
}

void LogFields(Severity severity, absl::string_view message, const std::vector<LogField>& fields) {
  if (!Logger().should_log(ToSpdlog(severity))) return;
  std::string line = Line(severity, message, fields);
  if (g_output != nullptr) {
    g_output->Write(std::move(line));
  } else {
    Logger().log(ToSpdlog(severity), line);
  }
}

void FlushLog() {
  if (g_output != nullptr) g_output->Flush(absl::Seconds(1));
}

std::string FormatLogLine(LogFormat format, absl::string_view message,
                          std::initializer_list<LogField> fields) {
  if (format == LogFormat::kText) return FormatText(message, fields);
  std::string object;
  AddJsonFields(message, fields, object);
  return object;
}

}  // namespace hookgate
