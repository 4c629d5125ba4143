#include "server/gateway/options.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

constexpr char kDefaultSource[] = "openai";
constexpr char kDefaultSecretVariable[] = "OPENAI_WEBHOOK_SECRET";
constexpr size_t kMaxSecretFileBytes = 4096;
constexpr int64_t kMaxBodyBytes = 64 << 20;
// A queued webhook is its raw body, and its event, which may hold each byte of the body thrice.
constexpr int64_t kQueuedBytesPerBodyByte = 4;
// Below this a log is mostly what it needs besides events: pages of ids, indexes, free pages.
constexpr int64_t kMinMaxBytes = 64 << 20;
constexpr absl::Duration kForever = absl::Hours(24 * 365 * 100);

// What the parser says, without the text that it stumbled over: that may be a secret which lacks
// its quotes.
std::string WithoutQuotes(absl::string_view message) {
  for (absl::string_view quote : {", got: ", ", found \"", " Value: \""}) {
    message = message.substr(0, message.find(quote));
  }
  if (absl::StrContains(message, "whsec_")) {
    return "a secret stands where none is expected; write it as inline: \"...\"";
  }
  return std::string(message);
}

// Keeps the first error that the text format parser reports, with its place.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    // The parser counts from 0, editors from 1.
    if (!text_.empty()) return;
    text_ = absl::StrCat(line + 1, ":", column + 1, ": ", WithoutQuotes(message));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  std::ifstream file(path, std::ios::binary);
  std::string content(max_bytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad() || (!file.is_open()) || (file.gcount() == 0 && !file.eof())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  content.resize(static_cast<size_t>(file.gcount()));
  if (content.size() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", max_bytes, " bytes"));
  }
  return content;
}

// Each of these takes a config value (0 or unset: keep the default) and says which key is wrong.

absl::Status SetNumber(int64_t value, absl::string_view key, int64_t max, auto& option) {
  if (value == 0) return absl::OkStatus();
  if (value < 0 || value > max) {
    return InvalidField(key, absl::StrCat("is ", value, "; it must be from 1 to ", max));
  }
  option = static_cast<std::remove_reference_t<decltype(option)>>(value);
  return absl::OkStatus();
}

absl::Status SetDuration(bool is_set, const google::protobuf::Duration& value,
                         absl::string_view key, absl::Duration min, absl::Duration max,
                         absl::Duration& option) {
  if (!is_set) return absl::OkStatus();
  ASSIGN_OR_RETURN(const absl::Duration duration, FromProto(value, key));
  if (duration < min || duration > max) {
    return InvalidField(key,
                        absl::StrCat("is ", absl::FormatDuration(duration), "; it must be from ",
                                     absl::FormatDuration(min), " to ", absl::FormatDuration(max)));
  }
  option = duration;
  return absl::OkStatus();
}

// The HOST of "HOST:PORT", with the brackets that IPv6 is written in; nullopt if it is no such
// text.
absl::optional<std::string> HostOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return absl::nullopt;
  const absl::string_view host = address.substr(0, colon);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  const absl::string_view name = bracketed ? host.substr(1, host.size() - 2) : host;
  if (name.empty() || name.find_first_of(bracketed ? "[]" : ":[]") != absl::string_view::npos) {
    return absl::nullopt;
  }
  const absl::string_view digits = address.substr(colon + 1);
  int port = 0;
  if (!std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return absl::nullopt;
  }
  return std::string(host);
}

absl::Status SetAddress(const std::string& value, absl::string_view key,
                        absl::string_view default_value, std::string& option) {
  option = value.empty() ? std::string(default_value) : value;
  if (HostOf(option).has_value()) return absl::OkStatus();
  return InvalidField(key, absl::StrCat("\"", option, "\" is no HOST:PORT; write for example ",
                                        default_value, ", or [::1]:8080 for IPv6"));
}

// By number, not by look: 127.example.com may be anywhere.
bool IsLoopback(const std::string& address) {
  const absl::optional<std::string> host = HostOf(address);
  if (!host.has_value()) return false;
  in_addr v4;
  const bool is_v4 = inet_pton(AF_INET, host->c_str(), &v4) == 1;
  return *host == "localhost" || *host == "[::1]" ||
         (is_v4 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

absl::StatusOr<std::vector<Network>> ResolveNetworks(
    const google::protobuf::RepeatedPtrField<std::string>& texts, const std::string& key) {
  std::vector<Network> networks;
  for (int i = 0; i < texts.size(); ++i) {
    absl::StatusOr<Network> network = Network::Parse(texts[i]);
    if (!network.ok()) {
      return InvalidField(absl::StrCat(key, "[", i, "]"), network.status().message());
    }
    networks.push_back(*network);
  }
  return networks;
}

absl::Status ResolveHttpTls(const Config& config, Options& options) {
  if (!config.http().has_tls()) return absl::OkStatus();
  if (!config.http().tls().client_ca_file().empty()) {
    return InvalidField("http.tls.client_ca_file",
                        "means nothing: senders are known by their signatures; leave it out");
  }
  ASSIGN_OR_RETURN(options.http_certificates, ResolveTls(config.http().tls(), "http.tls"));
  return absl::OkStatus();
}

absl::Status ResolveHttp(const Config& config, Options& options) {
  const auto& http = config.http();
  RETURN_IF_ERROR(
      SetAddress(http.address(), "http.address", "127.0.0.1:8080", options.http.address));
  RETURN_IF_ERROR(SetNumber(http.max_body_bytes(), "http.max_body_bytes", kMaxBodyBytes,
                            options.http.max_body_bytes));
  RETURN_IF_ERROR(SetNumber(http.max_connections(), "http.max_connections", 1'000'000,
                            options.http.max_connections));
  RETURN_IF_ERROR(SetNumber(http.max_connections_per_address(), "http.max_connections_per_address",
                            1'000'000, options.http.max_connections_per_address));
  RETURN_IF_ERROR(SetNumber(http.max_unverified_bytes(), "http.max_unverified_bytes",
                            std::numeric_limits<int64_t>::max(),
                            options.http.max_unverified_bytes));
  if (options.http.max_unverified_bytes < options.http.max_body_bytes) {
    return InvalidField("http.max_unverified_bytes",
                        absl::StrCat("is ", options.http.max_unverified_bytes,
                                     "; it must be at least http.max_body_bytes, which is ",
                                     options.http.max_body_bytes,
                                     ", or the largest webhooks would never be taken"));
  }
  RETURN_IF_ERROR(SetDuration(http.has_header_timeout(), http.header_timeout(),
                              "http.header_timeout", absl::Milliseconds(1), absl::Hours(1),
                              options.http.header_timeout));
  RETURN_IF_ERROR(SetDuration(http.has_body_timeout(), http.body_timeout(), "http.body_timeout",
                              absl::Milliseconds(1), absl::Hours(1), options.http.body_timeout));
  RETURN_IF_ERROR(ResolveHttpTls(config, options));
  ASSIGN_OR_RETURN(options.trusted_proxies,
                   ResolveNetworks(http.trusted_proxies(), "http.trusted_proxies"));
  return SetDuration(http.has_idle_timeout(), http.idle_timeout(), "http.idle_timeout",
                     absl::Milliseconds(1), absl::Hours(24), options.http.idle_timeout);
}

absl::Status ResolveRpc(const Config& config, Options& options) {
  RETURN_IF_ERROR(
      SetAddress(config.grpc().address(), "grpc.address", "127.0.0.1:50051", options.rpc.address));
  ASSIGN_OR_RETURN(options.doors, ResolveDoors(config, !IsLoopback(options.rpc.address)));
  return SetNumber(config.grpc().max_streams(), "grpc.max_streams", 1'000'000,
                   options.rpc.max_streams);
}

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

absl::Status ResolveStorage(const Config& config, Options& options) {
  const auto& storage = config.storage();
  options.log.data_dir = storage.data_dir().empty() ? "./hookgate-data" : storage.data_dir();
  RETURN_IF_ERROR(SetDuration(storage.has_retention(), storage.retention(), "storage.retention",
                              kMinEventAge, kForever, options.retention.max_event_age));
  options.retention.max_unsettled_age =
      std::max(options.retention.max_unsettled_age, options.retention.max_event_age);
  RETURN_IF_ERROR(SetDuration(storage.has_max_unsettled_age(), storage.max_unsettled_age(),
                              "storage.max_unsettled_age", options.retention.max_event_age,
                              kForever, options.retention.max_unsettled_age));
  RETURN_IF_ERROR(SetMaxBytes(storage.max_bytes(), options.retention.max_bytes));
  const auto& quarantine = storage.quarantine();
  RETURN_IF_ERROR(SetDuration(quarantine.has_max_age(), quarantine.max_age(),
                              "storage.quarantine.max_age", absl::Hours(1), kForever,
                              options.retention.max_quarantine_age));
  RETURN_IF_ERROR(SetNumber(quarantine.max_entries(), "storage.quarantine.max_entries", 1'000'000,
                            options.retention.max_quarantine_entries));
  RETURN_IF_ERROR(SetNumber(storage.max_queued_webhooks(), "storage.max_queued_webhooks", 1'000'000,
                            options.log.limits.max_queued));
  RETURN_IF_ERROR(SetNumber(storage.max_queued_bytes(), "storage.max_queued_bytes",
                            std::numeric_limits<int64_t>::max(),
                            options.log.limits.max_queued_bytes));
  const int64_t needed = kQueuedBytesPerBodyByte * options.http.max_body_bytes;
  if (options.log.limits.max_queued_bytes >= needed) return absl::OkStatus();
  return InvalidField("storage.max_queued_bytes",
                      absl::StrCat("is ", options.log.limits.max_queued_bytes,
                                   "; with this http.max_body_bytes it must be at least ", needed,
                                   ", or the largest webhooks would never be taken"));
}

absl::Status ResolveLogging(const Config& config, Options& options) {
  absl::StatusOr<LogFormat> format = ParseLogFormat(config.logging().format());
  if (!format.ok()) return InvalidField("logging.format", format.status().message());
  options.logging.format = *format;
  if (config.logging().level().empty()) return absl::OkStatus();
  absl::StatusOr<Severity> level = ParseSeverity(config.logging().level());
  if (!level.ok()) return InvalidField("logging.level", level.status().message());
  options.logging.least_severity = *level;
  return absl::OkStatus();
}

// The text of a secret, from wherever the config says it is.
absl::StatusOr<std::string> SecretText(const hookgate::config::v1::Secret& secret,
                                       const std::string& key, Environment environment) {
  switch (secret.value_case()) {
    case hookgate::config::v1::Secret::kInline:
      return secret.inline_();
    case hookgate::config::v1::Secret::kFile: {
      absl::StatusOr<std::string> text = ReadFile(secret.file(), kMaxSecretFileBytes);
      if (!text.ok()) return InvalidField(absl::StrCat(key, ".file"), text.status().message());
      return text;
    }
    case hookgate::config::v1::Secret::kEnvironment: {
      absl::optional<std::string> text = environment(secret.environment());
      if (!text.has_value()) {
        return InvalidField(
            absl::StrCat(key, ".environment"),
            absl::StrCat("the environment variable ", secret.environment(), " is not set"));
      }
      return *std::move(text);
    }
    case hookgate::config::v1::Secret::VALUE_NOT_SET:
      break;
  }
  return InvalidField(key, "has no value: set inline, file or environment");
}

absl::StatusOr<Secret> ResolveSecret(const hookgate::config::v1::Secret& secret,
                                     const std::string& key, Environment environment) {
  if (secret.name().empty()) {
    return InvalidField(absl::StrCat(key, ".name"), "is empty; logs need a name to call it by");
  }
  ASSIGN_OR_RETURN(const std::string text, SecretText(secret, key, environment));
  absl::StatusOr<Secret> parsed = Secret::Parse(secret.name(), absl::StripAsciiWhitespace(text));
  if (!parsed.ok()) return InvalidField(key, parsed.status().message());
  return parsed;
}

absl::Status CheckSourceName(const std::string& name, const std::string& key) {
  constexpr size_t kMaxBytes = 64;
  const bool allowed =
      !name.empty() && name.size() <= kMaxBytes &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
      });
  if (allowed) return absl::OkStatus();
  return InvalidField(
      absl::StrCat(key, ".name"),
      absl::StrCat("must be 1 to ", kMaxBytes, " lower-case letters, digits, '-' or '_'"));
}

absl::Status ResolveRateLimit(const hookgate::config::v1::RateLimit& limit, const std::string& key,
                              WebhookSource& source) {
  if (!(limit.webhooks_per_second() > 0) || limit.webhooks_per_second() > 1e9) {
    return InvalidField(absl::StrCat(key, ".rate_limit.webhooks_per_second"),
                        "must be more than 0 and at most 1000000000");
  }
  if (limit.burst() < 0) {
    return InvalidField(absl::StrCat(key, ".rate_limit.burst"),
                        absl::StrCat("is ", limit.burst(), "; it must be 1 or more"));
  }
  const double burst = limit.burst() > 0 ? limit.burst() : limit.webhooks_per_second();
  source.rate_limit =
      RateLimit{.per_second = limit.webhooks_per_second(), .burst = std::max(burst, 1.0)};
  return absl::OkStatus();
}

absl::StatusOr<WebhookSource> ResolveSource(const hookgate::config::v1::Source& config,
                                            const std::string& key, Environment environment) {
  RETURN_IF_ERROR(CheckSourceName(config.name(), key));
  WebhookSource source;
  source.name = config.name();
  if (config.secrets().empty()) {
    return InvalidField(absl::StrCat(key, ".secrets"),
                        "is empty: without a secret no webhook can be verified");
  }
  std::set<std::string> names;
  for (int i = 0; i < config.secrets_size(); ++i) {
    const std::string secret_key = absl::StrCat(key, ".secrets[", i, "]");
    if (!names.insert(config.secrets(i).name()).second) {
      return InvalidField(absl::StrCat(secret_key, ".name"),
                          absl::StrCat("\"", config.secrets(i).name(),
                                       "\" is there twice; each secret needs its own name"));
    }
    ASSIGN_OR_RETURN(Secret secret, ResolveSecret(config.secrets(i), secret_key, environment));
    source.secrets.push_back(std::move(secret));
  }
  RETURN_IF_ERROR(SetDuration(config.has_timestamp_tolerance(), config.timestamp_tolerance(),
                              absl::StrCat(key, ".timestamp_tolerance"), absl::Seconds(1),
                              absl::Hours(24), source.timestamp_tolerance));
  if (config.has_rate_limit()) {
    RETURN_IF_ERROR(ResolveRateLimit(config.rate_limit(), key, source));
  }
  ASSIGN_OR_RETURN(
      source.allowed_networks,
      ResolveNetworks(config.allowed_networks(), absl::StrCat(key, ".allowed_networks")));
  return source;
}

// What `sources` stands for when the config names none.
absl::StatusOr<hookgate::config::v1::Source> DefaultSource(Environment environment) {
  if (!environment(kDefaultSecretVariable).has_value()) {
    return InvalidField(
        "sources", absl::StrCat("there is no signing secret, so no webhook could be verified: set "
                                "the environment variable ",
                                kDefaultSecretVariable,
                                " to the secret that OpenAI showed when the webhook endpoint was "
                                "made, or name sources in --config FILE"));
  }
  hookgate::config::v1::Source source;
  source.set_name(kDefaultSource);
  auto* secret = source.add_secrets();
  secret->set_name("default");
  secret->set_environment(kDefaultSecretVariable);
  return source;
}

absl::Status ResolveSources(const Config& config, Environment environment, Options& options) {
  if (config.sources().empty()) {
    ASSIGN_OR_RETURN(const auto source, DefaultSource(environment));
    absl::StatusOr<WebhookSource> resolved = ResolveSource(source, "sources[0]", environment);
    if (!resolved.ok()) return Annotate(resolved.status(), kDefaultSecretVariable);
    options.sources.push_back(*std::move(resolved));
    return absl::OkStatus();
  }
  std::set<std::string> names;
  for (int i = 0; i < config.sources_size(); ++i) {
    const std::string key = absl::StrCat("sources[", i, "]");
    ASSIGN_OR_RETURN(WebhookSource source, ResolveSource(config.sources(i), key, environment));
    if (!names.insert(source.name).second) {
      return InvalidField(
          absl::StrCat(key, ".name"),
          absl::StrCat("\"", source.name, "\" is there twice; each source needs its own name"));
    }
    options.sources.push_back(std::move(source));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Config> LoadConfig(const std::string& path) {
  constexpr size_t kMaxConfigBytes = 4 << 20;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  Config config;
  if (!parser.ParseFromString(text, &config)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", error.text()));
  }
  return config;
}

absl::StatusOr<Options> ResolveOptions(const Config& config, Environment environment) {
  Options options;
  options.config = config;
  RETURN_IF_ERROR(ResolveLogging(config, options));
  RETURN_IF_ERROR(ResolveHttp(config, options));
  RETURN_IF_ERROR(ResolveRpc(config, options));
  RETURN_IF_ERROR(SetAddress(config.admin().address(), "admin.address", "127.0.0.1:9090",
                             options.admin.address));
  RETURN_IF_ERROR(ResolveStorage(config, options));
  RETURN_IF_ERROR(SetDuration(config.has_drain_timeout(), config.drain_timeout(), "drain_timeout",
                              absl::ZeroDuration(), absl::Minutes(10), options.drain_timeout));
  RETURN_IF_ERROR(ResolveSources(config, environment, options));
  return options;
}

}  // namespace hookgate
