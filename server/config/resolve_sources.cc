#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/printable.h"
#include "server/base/small_file.h"
#include "server/base/status.h"
#include "server/config/config_values.h"
#include "server/config/file_permissions.h"
#include "server/config/grpc_security.h"
#include "server/config/resolve_parts.h"
#include "server/signature/pasted_secret.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

constexpr char kDefaultSecretVariable[] = "OPENAI_WEBHOOK_SECRET";
constexpr size_t kMaxSecretFileBytes = 4096;
constexpr size_t kMaxSecretNameBytes = 100;

// What is not a usual name is not repeated: it may be the secret itself.
std::string NoVariable(const std::string& name) {
  if (name.empty()) return "is empty: give the name of a variable";
  const bool usual = std::all_of(name.begin(), name.end(), [](unsigned char c) {
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
  } else if (secret.name().size() > kMaxSecretNameBytes ||
             Printable(secret.name()) != secret.name()) {
    return problems.AddError(
        absl::StrCat(key, ".name"),
        absl::StrCat("must be 1 to ", kMaxSecretNameBytes,
                     " bytes of text without line breaks and characters that cannot be seen; logs, "
                     "\"hookgate status\" and every event that it verifies show it"));
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
  // Senders are told after how many seconds to come again.
  if (!(limit.webhooks_per_second() >= 0.001) || limit.webhooks_per_second() > 1e9) {
    return InvalidField(absl::StrCat(key, ".rate_limit.webhooks_per_second"),
                        "must be from 0.001 to 1000000000");
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

// Within a source one of them is of no use, as of a rotation that put in the old one again. Between
// two sources a webhook that was sent to one may be sent to the other by whoever has seen it.
void WarnOfEqualSecrets(const Options& options, Problems& problems) {
  std::map<absl::string_view, std::string> first;  // by the key
  for (size_t i = 0; i < options.sources.size(); ++i) {
    const std::vector<Secret>& secrets = options.sources[i].secrets;
    for (size_t j = 0; j < secrets.size(); ++j) {
      if (secrets[j].public_key() != nullptr) continue;
      const std::string where =
          absl::StrCat("sources[", i, "], secret \"", secrets[j].name(), "\"");
      const auto [same, is_first] = first.emplace(secrets[j].key(), where);
      if (is_first) continue;
      problems.AddWarning(where, absl::StrCat("is the same as that of ", same->second,
                                              "; give each the one that its sender shows"));
    }
  }
}

}  // namespace

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
  WarnOfEqualSecrets(options, problems);
}

}  // namespace hookgate
