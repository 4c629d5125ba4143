#include "server/gateway/options.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "server/base/host_port.h"
#include "server/base/proto_time.h"
#include "server/base/small_file.h"
#include "server/base/status.h"
#include "server/gateway/config_values.h"
#include "server/gateway/file_permissions.h"
#include "server/operator_events/operator_news.h"
#include "server/signature/pasted_secret.h"

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using hookgate::config::v1::Config;

constexpr char kDefaultSecretVariable[] = "OPENAI_WEBHOOK_SECRET";
constexpr size_t kMaxSecretFileBytes = 4096;
// Far more than a config has. The parser takes as much of the stack as the text is deep.
constexpr int kMaxConfigDepth = 100;
constexpr int64_t kMaxBodyBytes = 64 << 20;
constexpr int64_t kMaxRememberedRefusals = 10'000;
// A webhook that is queued, or delivered, is its raw body, and its event, which may hold each byte
// of the body thrice.
constexpr int64_t kQueuedBytesPerBodyByte = 4;
// Below this a log is mostly what it needs besides events: pages of ids, indexes, free pages.
constexpr int64_t kMinMaxBytes = 64 << 20;
constexpr int64_t kMinHistoryRows = 1'000;
constexpr int64_t kMaxHistoryRows = 100'000'000;
constexpr absl::Duration kForever = absl::Hours(24 * 365 * 100);

void AddFieldNames(const Descriptor& message, std::set<const Descriptor*>& seen,
                   std::set<std::string>& names) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    names.insert(message.field(i)->name());
    if (message.field(i)->message_type() != nullptr) {
      AddFieldNames(*message.field(i)->message_type(), seen, names);
    }
  }
}

// Of all messages in a config.
std::set<std::string> FieldNames() {
  std::set<const Descriptor*> seen;
  std::set<std::string> names;
  AddFieldNames(*Config::descriptor(), seen, names);
  return names;
}

// Whether `edits` single-byte inserts, deletes and replacements or fewer make `a` to `b`.
bool IsNear(absl::string_view a, absl::string_view b, size_t edits) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back() <= edits;
}

// Whether the parser may quote `text`: it is a type of the config's, a field's name, perhaps
// mistyped, or a word that is too short for a secret. Anything else may be one that stands there
// alone.
bool IsHarmlessQuote(const std::string& text) {
  constexpr size_t kLongest = 64;
  if (text.size() > kLongest) return false;
  if (text.size() == 1) return true;  // what the parser expected, such as ':'
  if (DescriptorPool::generated_pool()->FindMessageTypeByName(text) != nullptr) return true;
  if (text.size() < kLeastKeyBytes && std::all_of(text.begin(), text.end(), absl::ascii_islower)) {
    return true;
  }
  const size_t edits = std::max<size_t>(1, text.size() / 3);
  const std::set<std::string> names = FieldNames();
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return IsNear(text, name, std::min(edits, name.size() / 2));
  });
}

// What the parser says, without the text that it stumbled over: that may be a secret which lacks
// its quotes, or its field.
std::string WithoutQuotes(absl::string_view message) {
  for (absl::string_view quote : {", got: ", ", found \"", " Value: \"", " ("}) {
    message = message.substr(0, message.find(quote));
  }
  if (absl::StrContains(message, "whsec_")) {
    return "a secret is in the wrong place; write it as inline: \"...\"";
  }
  // What is between quotes is every second part.
  std::vector<std::string> parts = absl::StrSplit(message, '"');
  std::string said = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    if (i % 2 == 0) {
      absl::StrAppend(&said, parts[i]);
    } else if (IsHarmlessQuote(parts[i])) {
      absl::StrAppend(&said, "\"", parts[i], "\"");
    } else {
      absl::StrAppend(&said, "(not shown, because it may be a secret)");
    }
  }
  return said;
}

// Adds what the text format parser reports, each with its place.
class ParserProblems : public google::protobuf::io::ErrorCollector {
 public:
  ParserProblems(const std::string& path, Problems& problems) : path_(path), problems_(problems) {}

  // After one of these the parser goes on only within what it is in.
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    // The parser counts from 0, editors from 1.
    problems_.AddError(absl::StrCat(path_, ":", line + 1, ":", column + 1), WithoutQuotes(message));
  }
  // A field that there is not: the parser skips it, so that all of them are found.
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    AddError(line, column, message);
  }

 private:
  const std::string& path_;
  Problems& problems_;
};

absl::Status SetAddress(const std::string& value, absl::string_view key,
                        absl::string_view default_value, std::string& option) {
  option = value.empty() ? std::string(default_value) : value;
  if (ParseHostPort(option).has_value()) return absl::OkStatus();
  return InvalidField(key, absl::StrCat("\"", option, "\" is not a HOST:PORT; use for example ",
                                        default_value, ", or [::1]:8080 for IPv6"));
}

// Otherwise the start would fail, and say only that an address is in use.
void CheckPortsDiffer(const Options& options, Problems& problems) {
  std::vector<std::pair<absl::string_view, const std::string*>> all = {
      {"http.address", &options.http.address},
      {"grpc.address", &options.rpc.transport.address},
      {"admin.address", &options.admin.address}};
  if (options.cluster.has_value() && options.cluster->peers.has_value()) {
    all.emplace_back("cluster.peers.listen_address", &options.cluster->peers->listen_address);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const auto one = ParseHostPort(*all[i].second);
      const auto other = ParseHostPort(*all[j].second);
      if (!one.has_value() || !other.has_value() || !Collide(*one, *other)) continue;
      problems.AddError(all[i].first, absl::StrCat("\"", *all[i].second, "\" has the port of ",
                                                   all[j].first, ", which is \"", *all[j].second,
                                                   "\"; each needs a port of its own"));
    }
  }
}

std::vector<Network> ResolveNetworks(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                     const std::string& key, Problems& problems) {
  std::vector<Network> networks;
  for (int i = 0; i < texts.size(); ++i) {
    absl::StatusOr<Network> network = Network::Parse(texts[i]);
    if (network.ok()) {
      networks.push_back(*network);
    } else {
      problems.AddError(absl::StrCat(key, "[", i, "]"), network.status().message());
    }
  }
  return networks;
}

bool IsEverybody(const Network& network) {
  for (const auto& [first, last] : {std::pair("0.0.0.0", "255.255.255.255"),
                                    std::pair("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}) {
    if (network.Contains(*IpAddress::Parse(first)) && network.Contains(*IpAddress::Parse(last))) {
      return true;
    }
  }
  return false;
}

// Each sender would be a proxy then, and be believed.
void WarnOfTrustInEverybody(const std::vector<Network>& trusted_proxies, Problems& problems) {
  for (size_t i = 0; i < trusted_proxies.size(); ++i) {
    if (!IsEverybody(trusted_proxies[i])) continue;
    problems.AddWarning(
        absl::StrCat("http.trusted_proxies[", i, "]"),
        "covers every address, so any sender can choose the address that allowed_networks, "
        "max_connections_per_address and log lines use; name the proxies' own networks");
  }
}

void ResolveHttpTls(const Config& config, Options& options, Problems& problems) {
  if (!config.http().has_tls()) return;
  if (!config.http().tls().client_ca_file().empty()) {
    problems.AddError("http.tls.client_ca_file",
                      "means nothing: senders are known by their signatures; leave it out");
  }
  if (config.http().tls().client_ca_required()) {
    problems.AddError("http.tls.client_ca_required",
                      "means nothing: senders are known by their signatures; leave it out");
  }
  options.http_certificates = ResolveTls(config.http().tls(), "http.tls", problems);
}

void ResolveHttp(const Config& config, Options& options, Problems& problems) {
  const auto& http = config.http();
  problems.AddError(
      SetAddress(http.address(), "http.address", "127.0.0.1:8080", options.http.address));
  problems.AddError(SetNumber(http.max_body_bytes(), "http.max_body_bytes", kMaxBodyBytes,
                              options.http.max_body_bytes));
  problems.AddError(SetNumber(http.max_connections(), "http.max_connections", 1'000'000,
                              options.http.max_connections));
  problems.AddError(SetNumber(http.max_connections_per_address(),
                              "http.max_connections_per_address", 1'000'000,
                              options.http.max_connections_per_address));
  problems.AddError(SetNumber(http.max_unverified_bytes(), "http.max_unverified_bytes",
                              std::numeric_limits<int64_t>::max(),
                              options.http.max_unverified_bytes));
  problems.AddError(SetNumber(http.max_handshakes_per_second(), "http.max_handshakes_per_second",
                              1'000'000, options.http.max_handshakes_per_second));
  problems.AddError(SetNumber(http.max_handshakes_per_second_per_address(),
                              "http.max_handshakes_per_second_per_address", 1'000'000,
                              options.http.max_handshakes_per_second_per_address));
  if (options.http.max_unverified_bytes < options.http.max_body_bytes) {
    problems.AddError("http.max_unverified_bytes",
                      absl::StrCat("is ", options.http.max_unverified_bytes,
                                   "; it must be at least http.max_body_bytes, which is ",
                                   options.http.max_body_bytes,
                                   ", or the largest webhooks would never be taken"));
  }
  problems.AddError(SetDuration(http.has_header_timeout(), http.header_timeout(),
                                "http.header_timeout", absl::Milliseconds(1), absl::Hours(1),
                                options.http.header_timeout));
  problems.AddError(SetDuration(http.has_body_timeout(), http.body_timeout(), "http.body_timeout",
                                absl::Milliseconds(1), absl::Hours(1), options.http.body_timeout));
  problems.AddError(SetDuration(http.has_idle_timeout(), http.idle_timeout(), "http.idle_timeout",
                                absl::Milliseconds(1), absl::Hours(24), options.http.idle_timeout));
  if (http.has_max_remembered_refusals()) {
    const int64_t number = http.max_remembered_refusals();
    if (number < 0 || number > kMaxRememberedRefusals) {
      problems.AddError("http.max_remembered_refusals",
                        absl::StrCat("is ", number, "; it must be from 0 (remember none) to ",
                                     kMaxRememberedRefusals));
    }
    options.max_remembered_refusals = static_cast<size_t>(std::max<int64_t>(number, 0));
  }
  ResolveHttpTls(config, options, problems);
  options.trusted_proxies =
      ResolveNetworks(http.trusted_proxies(), "http.trusted_proxies", problems);
  WarnOfTrustInEverybody(options.trusted_proxies, problems);
}

// How many clients may come, and with what.
void ResolveGrpcSizes(const Config& config, Options& options, Problems& problems) {
  const auto& limits = config.grpc().limits();
  GrpcServerOptions& grpc = options.rpc.transport;
  constexpr int64_t kMany = 1'000'000;
  const auto set = [&problems](int64_t min, int64_t value, absl::string_view key, int64_t max,
                               auto& option) {
    problems.AddError(SetNumberFrom(min, value, absl::StrCat("grpc.limits.", key), max, option));
  };
  set(1, limits.max_connections(), "max_connections", kMany, grpc.max_connections);
  set(1, limits.max_connections_per_address(), "max_connections_per_address", kMany,
      grpc.max_connections_per_address);
  set(1, limits.max_unidentified_connections(), "max_unidentified_connections", kMany,
      grpc.max_unidentified_connections);
  set(1, limits.max_handshakes_per_second(), "max_handshakes_per_second", kMany,
      grpc.max_handshakes_per_second);
  set(1, limits.max_handshakes_per_second_per_address(), "max_handshakes_per_second_per_address",
      kMany, grpc.max_handshakes_per_second_per_address);
  set(1, limits.max_calls_per_connection(), "max_calls_per_connection", kMany,
      grpc.max_calls_per_connection);
  grpc.max_calls_per_unidentified_connection =
      std::min(grpc.max_calls_per_unidentified_connection, grpc.max_calls_per_connection);
  set(1, limits.max_calls_per_unidentified_connection(), "max_calls_per_unidentified_connection",
      grpc.max_calls_per_connection, grpc.max_calls_per_unidentified_connection);
  const auto max_streams = static_cast<int64_t>(options.rpc.max_streams);
  grpc.max_calls = static_cast<int>(std::max<int64_t>(grpc.max_calls, 2 * max_streams));
  set(max_streams, limits.max_calls(), "max_calls", 2 * kMany, grpc.max_calls);
  set(4 << 10, limits.max_header_list_bytes(), "max_header_list_bytes", 64 << 10,
      grpc.max_header_list_bytes);
  set(64 << 10, limits.max_message_bytes(), "max_message_bytes", 64 << 20, grpc.max_message_bytes);
  const auto message = static_cast<int64_t>(grpc.max_message_bytes);
  grpc.max_inbound_bytes_per_connection =
      std::max(grpc.max_inbound_bytes_per_connection, grpc.max_message_bytes);
  set(message, limits.max_inbound_bytes_per_connection(), "max_inbound_bytes_per_connection",
      std::numeric_limits<int64_t>::max(), grpc.max_inbound_bytes_per_connection);
  grpc.max_inbound_bytes = std::max(grpc.max_inbound_bytes, grpc.max_inbound_bytes_per_connection);
  set(static_cast<int64_t>(grpc.max_inbound_bytes_per_connection), limits.max_inbound_bytes(),
      "max_inbound_bytes", std::numeric_limits<int64_t>::max(), grpc.max_inbound_bytes);
  set(1 << 20, limits.max_outbound_bytes_per_connection(), "max_outbound_bytes_per_connection",
      std::numeric_limits<int64_t>::max(), grpc.max_outbound_bytes_per_connection);
  // Whatever was stored can be sent, with its raw body.
  const int64_t largest = kQueuedBytesPerBodyByte * options.http.max_body_bytes + (1 << 20);
  grpc.max_outbound_bytes =
      std::max({grpc.max_outbound_bytes, grpc.max_outbound_bytes_per_connection,
                static_cast<size_t>(largest)});
  set(static_cast<int64_t>(grpc.max_outbound_bytes_per_connection), limits.max_outbound_bytes(),
      "max_outbound_bytes", std::numeric_limits<int64_t>::max(), grpc.max_outbound_bytes);
  grpc.max_stream_bytes = std::max(grpc.max_stream_bytes, static_cast<size_t>(largest));
  set(1 << 20, limits.max_stream_bytes(), "max_stream_bytes", std::numeric_limits<int64_t>::max(),
      grpc.max_stream_bytes);
  set(1, limits.empty_frames_burst(), "empty_frames_burst", kMany, grpc.empty_frames_burst);
  set(1, limits.empty_frames_per_second(), "empty_frames_per_second", kMany,
      grpc.empty_frames_per_second);
  set(1, limits.resets_burst(), "resets_burst", kMany, grpc.resets_burst);
  set(1, limits.resets_per_second(), "resets_per_second", kMany, grpc.resets_per_second);
}

// How long clients may take.
void ResolveGrpcTimes(const Config& config, Options& options, Problems& problems) {
  const auto& limits = config.grpc().limits();
  GrpcServerOptions& grpc = options.rpc.transport;
  const auto set = [&problems](bool is_set, const google::protobuf::Duration& value,
                               absl::string_view key, absl::Duration max, absl::Duration& option) {
    problems.AddError(SetDuration(is_set, value, absl::StrCat("grpc.limits.", key),
                                  absl::Milliseconds(1), max, option));
  };
  const absl::Duration hour = absl::Hours(1);
  const absl::Duration day = absl::Hours(24);
  set(limits.has_handshake_timeout(), limits.handshake_timeout(), "handshake_timeout", hour,
      grpc.handshake_timeout);
  set(limits.has_header_timeout(), limits.header_timeout(), "header_timeout", hour,
      grpc.header_timeout);
  set(limits.has_message_timeout(), limits.message_timeout(), "message_timeout", hour,
      grpc.message_timeout);
  set(limits.has_write_timeout(), limits.write_timeout(), "write_timeout", hour,
      grpc.write_timeout);
  set(limits.has_idle_timeout(), limits.idle_timeout(), "idle_timeout", day, grpc.idle_timeout);
  set(limits.has_unidentified_idle_timeout(), limits.unidentified_idle_timeout(),
      "unidentified_idle_timeout", day, grpc.unidentified_idle_timeout);
  set(limits.has_max_connection_age(), limits.max_connection_age(), "max_connection_age", kForever,
      grpc.max_connection_age);
  set(limits.has_max_connection_age_grace(), limits.max_connection_age_grace(),
      "max_connection_age_grace", day, grpc.max_connection_age_grace);
  set(limits.has_keepalive_interval(), limits.keepalive_interval(), "keepalive_interval", day,
      grpc.keepalive_interval);
  set(limits.has_keepalive_timeout(), limits.keepalive_timeout(), "keepalive_timeout", hour,
      grpc.keepalive_timeout);
}

void ResolveRpc(const Config& config, Options& options, Problems& problems) {
  std::string& address = options.rpc.transport.address;
  problems.AddError(
      SetAddress(config.grpc().address(), "grpc.address", "127.0.0.1:50051", address));
  const absl::optional<HostPort> host_port = ParseHostPort(address);
  const bool is_loopback = host_port.has_value() && host_port->is_loopback();
  options.grpc_security = ResolveGrpcSecurity(config, address, !is_loopback, problems);
  options.rpc.transport.client_ca_required = config.grpc().tls().client_ca_required();
  problems.AddError(SetNumber(config.grpc().max_streams(), "grpc.max_streams", 1'000'000,
                              options.rpc.max_streams));
  ResolveGrpcSizes(config, options, problems);
  ResolveGrpcTimes(config, options, problems);
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

void ResolveStorage(const Config& config, Options& options, Problems& problems) {
  const auto& storage = config.storage();
  options.log.data_dir = DataDirOf(config);
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

void ResolveTracing(const Config& config, Options& options, Problems& problems) {
  if (!config.tracing().has_sample_ratio()) return;
  const double ratio = config.tracing().sample_ratio();
  if (!(ratio >= 0 && ratio <= 1)) {
    return problems.AddError("tracing.sample_ratio",
                             absl::StrCat("is ", ratio, "; it must be from 0 to 1"));
  }
  options.trace_sample_ratio = ratio;
}

void ResolveOperatorEvents(const Config& config, Options& options, Problems& problems) {
  const auto& events = config.operator_events();
  OperatorLimits& limits = options.operator_events;
  for (int i = 0; i < events.types_size(); ++i) {
    const absl::StatusOr<std::set<OperatorEventType>> types =
        MatchOperatorEventTypes(events.types(i));
    if (types.ok()) {
      limits.types.insert(types->begin(), types->end());
    } else {
      problems.AddError(
          absl::StrCat("operator_events.types[", i, "]"),
          absl::StrCat("\"", events.types(i), "\" ", std::string(types.status().message())));
    }
  }
  const auto set = [&](bool is_set, const google::protobuf::Duration& value, absl::string_view key,
                       absl::Duration least, absl::Duration& to) {
    problems.AddError(
        SetDuration(is_set, value, absl::StrCat("operator_events.", key), least, kForever, to));
  };
  set(events.has_min_interval(), events.min_interval(), "min_interval", absl::Seconds(1),
      limits.min_interval);
  set(events.has_stuck_after(), events.stuck_after(), "stuck_after", absl::Seconds(1),
      limits.stuck_after);
  set(events.has_failing_window(), events.failing_window(), "failing_window", absl::Seconds(10),
      limits.failing_window);
  problems.AddError(SetNumber(events.failing_least(), "operator_events.failing_least",
                              std::numeric_limits<int64_t>::max(), limits.failing_least));
  if (!events.has_failing_share()) return;
  limits.failing_share = events.failing_share();
  if (limits.failing_share >= 0 && limits.failing_share < 1) return;
  problems.AddError("operator_events.failing_share",
                    absl::StrCat("is ", limits.failing_share, "; it must be from 0 to below 1"));
}

// The names and times of sources that have to do with operator events.
void CheckSourcesOfOperatorEvents(const Options& options, Problems& problems) {
  const std::set<OperatorEventType>& types = options.operator_events.types;
  bool may_be_silent = true;
  for (size_t i = 0; i < options.sources.size(); ++i) {
    if (options.sources[i].silent_after.has_value()) may_be_silent = false;
    if (options.sources[i].name != kOperatorSource) continue;
    const std::string key = absl::StrCat("sources[", i, "].name");
    if (types.empty()) {
      problems.AddWarning(key, absl::StrCat("\"", kOperatorSource,
                                            "\" is the gateway's own source, so operator_events "
                                            "cannot be switched on; give this one another name"));
    } else {
      problems.AddError(key, absl::StrCat("\"", kOperatorSource,
                                          "\" is the gateway's own source, of operator_events; "
                                          "give this one another name"));
    }
  }
  if (may_be_silent && types.count(OperatorEventType::kSilent) > 0) {
    problems.AddWarning("operator_events.types",
                        absl::StrCat(NameOf(OperatorEventType::kSilent),
                                     " is on, but no source has silent_after, so it never occurs"));
  }
}

void ResolveMetrics(const Config& config, Options& options, Problems& problems) {
  const auto& metrics = config.metrics();
  if (metrics.has_subscription_histograms()) {
    options.subscription_metrics.histograms = metrics.subscription_histograms();
  }
  problems.AddError(SetNumber(metrics.max_subscriptions(), "metrics.max_subscriptions", 10'000,
                              options.subscription_metrics.max_subscriptions));
}

void ResolveLogging(const Config& config, Options& options, Problems& problems) {
  const absl::StatusOr<LogFormat> format = ParseLogFormat(config.logging().format());
  if (format.ok()) {
    options.logging.format = *format;
  } else {
    problems.AddError("logging.format", format.status().message());
  }
  if (config.logging().level().empty()) return;
  const absl::StatusOr<Severity> level = ParseSeverity(config.logging().level());
  if (level.ok()) {
    options.logging.least_severity = *level;
  } else {
    problems.AddError("logging.level", level.status().message());
  }
}

// What is not a usual name is not repeated: it may be the secret itself.
std::string NoVariable(const std::string& name) {
  const bool usual = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '_';
  });
  if (usual) return absl::StrCat("the environment variable ", name, " is not set");
  return "no environment variable has this name, which is not shown because it may itself "
         "be a secret: give the name of a variable";
}

// The text of a secret, from wherever the config says it is.
absl::StatusOr<std::string> SecretText(const hookgate::config::v1::Secret& secret,
                                       const std::string& key, Environment environment) {
  switch (secret.value_case()) {
    case hookgate::config::v1::Secret::kInline:
      return secret.inline_();
    case hookgate::config::v1::Secret::kFile: {
      absl::StatusOr<std::string> text = ReadSmallFile(secret.file(), kMaxSecretFileBytes);
      if (!text.ok()) return InvalidField(absl::StrCat(key, ".file"), text.status().message());
      return text;
    }
    case hookgate::config::v1::Secret::kEnvironment: {
      absl::optional<std::string> text = environment(secret.environment());
      if (!text.has_value()) {
        return InvalidField(absl::StrCat(key, ".environment"), NoVariable(secret.environment()));
      }
      return *std::move(text);
    }
    case hookgate::config::v1::Secret::VALUE_NOT_SET:
      break;
  }
  return InvalidField(key, "has no value: set inline, file or environment");
}

bool HoldsASecret(const std::string& name) {
  return absl::StrContains(name, "whsec_") || absl::StrContains(name, "whsk_");
}

// Adds the secret to `source`, or a problem.
//   ask_for_raw  how an error says that raw text may be asked for
void ResolveSecret(const hookgate::config::v1::Secret& secret, const std::string& key,
                   absl::string_view ask_for_raw, Environment environment, WebhookSource& source,
                   Problems& problems) {
  if (secret.name().empty()) {
    problems.AddError(absl::StrCat(key, ".name"), "is empty; logs need a name to call it by");
  } else if (HoldsASecret(secret.name())) {
    return problems.AddError(absl::StrCat(key, ".name"),
                             "holds a secret, and logs would show it; give a name to call it by");
  }
  const absl::StatusOr<std::string> text = SecretText(secret, key, environment);
  if (!text.ok()) return problems.AddError(text.status());
  absl::StatusOr<PastedSecret> read = ReadPastedSecret(
      secret.name(), *text, {.raw = secret.raw(), .how_to_ask_for_raw = ask_for_raw});
  if (!read.ok()) return problems.AddError(key, read.status().message());
  for (const std::string& warning : read->warnings) problems.AddWarning(key, warning);
  if (secret.has_file()) {
    CheckPermissions(secret.file(), FileUse::kSecret, absl::StrCat(key, ".file"), problems);
  }
  source.secrets.push_back(std::move(read->secret));
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

absl::Status SetRateLimit(const hookgate::config::v1::RateLimit& limit, const std::string& key,
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

WebhookSource ResolveSource(const hookgate::config::v1::Source& config, const std::string& key,
                            Environment environment, Problems& problems) {
  problems.AddError(CheckSourceName(config.name(), key));
  WebhookSource source;
  source.name = config.name();
  if (config.secrets().empty()) {
    problems.AddError(absl::StrCat(key, ".secrets"),
                      "is empty: without a secret no webhook can be verified");
  }
  std::set<std::string> names;
  for (int i = 0; i < config.secrets_size(); ++i) {
    const hookgate::config::v1::Secret& secret = config.secrets(i);
    const std::string secret_key = absl::StrCat(key, ".secrets[", i, "]");
    if (!secret.name().empty() && !names.insert(secret.name()).second) {
      problems.AddError(
          absl::StrCat(secret_key, ".name"),
          absl::StrCat("\"", secret.name(), "\" is there twice; each secret needs its own name"));
    }
    ResolveSecret(secret, secret_key, "set raw: true beside it", environment, source, problems);
  }
  problems.AddError(SetDuration(config.has_timestamp_tolerance(), config.timestamp_tolerance(),
                                absl::StrCat(key, ".timestamp_tolerance"), absl::Seconds(1),
                                absl::Hours(24), source.timestamp_tolerance));
  if (config.has_silent_after()) {
    source.silent_after.emplace();
    problems.AddError(SetDuration(true, config.silent_after(), absl::StrCat(key, ".silent_after"),
                                  absl::Seconds(1), kForever, *source.silent_after));
  }
  if (config.has_rate_limit()) problems.AddError(SetRateLimit(config.rate_limit(), key, source));
  source.allowed_networks =
      ResolveNetworks(config.allowed_networks(), absl::StrCat(key, ".allowed_networks"), problems);
  return source;
}

// What `sources` stands for when the config names none.
WebhookSource ResolveDefaultSource(Environment environment, Problems& problems) {
  WebhookSource source;
  source.name = kDefaultSource;
  if (!environment(kDefaultSecretVariable).has_value()) {
    problems.AddError(
        "sources", absl::StrCat("there is no signing secret, so no webhook could be verified: set "
                                "the environment variable ",
                                kDefaultSecretVariable,
                                " to the secret that OpenAI showed when the webhook endpoint was "
                                "made, or name sources in --config FILE"));
    return source;
  }
  hookgate::config::v1::Secret secret;
  secret.set_name("default");
  secret.set_environment(kDefaultSecretVariable);
  ResolveSecret(secret, kDefaultSecretVariable, "name its source in --config FILE, with raw: true",
                environment, source, problems);
  return source;
}

void ResolveSources(const Config& config, Environment environment, Options& options,
                    Problems& problems) {
  if (config.sources().empty()) {
    options.sources.push_back(ResolveDefaultSource(environment, problems));
    return;
  }
  std::set<std::string> names;
  for (int i = 0; i < config.sources_size(); ++i) {
    const std::string key = absl::StrCat("sources[", i, "]");
    WebhookSource source = ResolveSource(config.sources(i), key, environment, problems);
    if (!source.name.empty() && !names.insert(source.name).second) {
      problems.AddError(
          absl::StrCat(key, ".name"),
          absl::StrCat("\"", source.name, "\" is there twice; each source needs its own name"));
    }
    options.sources.push_back(std::move(source));
  }
}

bool HoldsSecrets(const Config& config) {
  for (const auto& source : config.sources()) {
    for (const auto& secret : source.secrets()) {
      if (!secret.inline_().empty()) return true;
    }
  }
  return false;
}

}  // namespace

std::string DataDirOf(const Config& config) {
  const std::string& data_dir = config.storage().data_dir();
  return data_dir.empty() ? "./hookgate-data" : data_dir;
}

absl::optional<Config> LoadConfig(const std::string& path, Problems& problems) {
  constexpr size_t kMaxConfigBytes = 4 << 20;
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxConfigBytes);
  if (!text.ok()) {
    problems.AddError("config", text.status().message());
    return absl::nullopt;
  }
  if (absl::StripAsciiWhitespace(*text).empty()) {
    problems.AddWarning("config", absl::StrCat(path,
                                               " is empty, so everything has its default; leave "
                                               "--config out if that is meant"));
  }
  ParserProblems parser_problems(path, problems);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&parser_problems);
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kMaxConfigDepth);
  Config config;
  if (!parser.ParseFromString(*text, &config)) return absl::nullopt;
  CheckPermissions(path, HoldsSecrets(config) ? FileUse::kSecret : FileUse::kTrust, "config",
                   problems);
  return config;
}

Options ResolveOptions(const Config& config, Environment environment, Problems& problems) {
  Options options;
  options.config = {config, config};
  ResolveLogging(config, options, problems);
  ResolveHttp(config, options, problems);
  ResolveRpc(config, options, problems);
  problems.AddError(SetAddress(config.admin().address(), "admin.address", "127.0.0.1:9090",
                               options.admin.address));
  ResolveStorage(config, options, problems);
  ResolveMetrics(config, options, problems);
  problems.AddError(SetDuration(config.has_drain_timeout(), config.drain_timeout(), "drain_timeout",
                                absl::ZeroDuration(), absl::Minutes(10), options.drain_timeout));
  ResolveTracing(config, options, problems);
  ResolveOperatorEvents(config, options, problems);
  ResolveSources(config, environment, options, problems);
  CheckSourcesOfOperatorEvents(options, problems);
  options.cluster = ResolveCluster(config, options.http.max_body_bytes, problems);
  CheckPortsDiffer(options, problems);
  return options;
}

}  // namespace hookgate
