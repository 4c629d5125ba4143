#include "server/config/grpc_security.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/status.h"
#include "server/config/config_values.h"
#include "server/config/resolve_tls.h"
#include "server/delivery/subscription_settings.h"
#include "server/operator_events/operator_news.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

constexpr size_t kMaxNameBytes = 100;

// Abseil's HexStringToBytes is deprecated from Debian 13 on; Debian 12 has no other.
int HexValue(char digit) {
  return absl::ascii_isdigit(digit) ? digit - '0' : absl::ascii_tolower(digit) - 'a' + 10;
}

// A message never repeats the value: it may be a token in the wrong place.
absl::StatusOr<TokenDigest> ParseDigest(const std::string& hex, const std::string& key) {
  TokenDigest digest;
  if (hex.size() != 2 * digest.size() ||
      !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
    return InvalidField(key,
                        "must be the SHA-256 of a token, 64 hexadecimal digits: tr -d '\\n' < "
                        "TOKEN_FILE | sha256sum");
  }
  for (size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<unsigned char>(16 * HexValue(hex[2 * i]) + HexValue(hex[2 * i + 1]));
  }
  if (digest == DigestOf("")) return InvalidField(key, "is the SHA-256 of an empty token");
  return digest;
}

// "" or what is wrong with a name in a list of rights.
std::string ProblemOf(const std::string& name, bool prefixes) {
  if (name.empty()) return "is empty; write \"*\" for all";
  if (name == "*") return "";
  const bool is_prefix = prefixes && name.size() > 2 && absl::EndsWith(name, ".*");
  const std::string plain = is_prefix ? name.substr(0, name.size() - 2) : name;
  if (!absl::StrContains(plain, '*')) return "";
  return absl::StrCat("\"", name, "\" has a '*' where it means nothing; write \"*\" for all",
                      prefixes ? ", or \"mail.*\" for all that begin with \"mail.\"" : "");
}

NameSet ResolveNames(const google::protobuf::RepeatedPtrField<std::string>& names,
                     const std::string& key, Problems& problems, bool prefixes = false) {
  for (int i = 0; i < names.size(); ++i) {
    const std::string problem = ProblemOf(names[i], prefixes);
    if (!problem.empty()) problems.AddError(absl::StrCat(key, "[", i, "]"), problem);
  }
  const std::vector<std::string> all(names.begin(), names.end());
  return NameSet(all);
}

// Each entry of `names` that no subscription can have, or begin with. The right is of no use then,
// but does no harm either.
void WarnOfNoSubscription(const google::protobuf::RepeatedPtrField<std::string>& names,
                          const std::string& key, Problems& problems) {
  for (int i = 0; i < names.size(); ++i) {
    if (!ProblemOf(names[i], /*prefixes=*/true).empty() || names[i] == "*") continue;
    absl::string_view name = names[i];
    absl::ConsumeSuffix(&name, "*");  // "mail." is a name itself.
    const std::string item = absl::StrCat(key, "[", i, "]");
    const absl::Status valid = CheckSubscriptionName(name, item);
    if (valid.ok()) continue;
    problems.AddWarning(item, absl::StrCat(absl::StripPrefix(valid.message(), item + ": "),
                                           ", so it matches no subscription"));
  }
}

void ResolveCertificateNames(const hookgate::config::v1::Principal& config, const std::string& key,
                             bool verifies_clients, Principal& principal, Problems& problems) {
  if (!config.certificate_names().empty() && !verifies_clients) {
    problems.AddError(absl::StrCat(key, ".certificate_names"),
                      "needs grpc.tls.client_ca_file, the CA whose certificates are trusted");
  }
  for (int i = 0; i < config.certificate_names_size(); ++i) {
    const auto name = ParseCertificateName(config.certificate_names(i));
    if (name.ok()) {
      principal.certificate_names.insert(*name);
    } else {
      problems.AddError(absl::StrCat(key, ".certificate_names[", i, "]"), name.status().message());
    }
  }
}

Principal ResolvePrincipal(const hookgate::config::v1::Principal& config, const std::string& key,
                           bool verifies_clients, Problems& problems) {
  Principal principal;
  principal.name = config.name();
  if (principal.name.empty() || principal.name.size() > kMaxNameBytes ||
      !std::all_of(principal.name.begin(), principal.name.end(), absl::ascii_isgraph)) {
    problems.AddError(absl::StrCat(key, ".name"),
                      absl::StrCat("must be 1 to ", kMaxNameBytes,
                                   " printable characters without spaces; errors and the log "
                                   "call it by that"));
  }
  ResolveCertificateNames(config, key, verifies_clients, principal, problems);
  for (int i = 0; i < config.token_sha256_size(); ++i) {
    const auto digest =
        ParseDigest(config.token_sha256(i), absl::StrCat(key, ".token_sha256[", i, "]"));
    if (digest.ok()) {
      principal.tokens.push_back(*digest);
    } else {
      problems.AddError(digest.status());
    }
  }
  if (config.token_sha256().empty() && config.certificate_names().empty()) {
    problems.AddError(key,
                      "can never be known: give token_sha256, or certificate_names with "
                      "grpc.tls.client_ca_file");
  }
  const auto& rights = config.rights();
  const std::string under = absl::StrCat(key, ".rights.");
  principal.subscribe = ResolveNames(rights.subscribe(), under + "subscribe", problems);
  principal.query = ResolveNames(rights.query(), under + "query", problems);
  principal.consume = ResolveNames(rights.consume(), under + "consume", problems, true);
  WarnOfNoSubscription(rights.consume(), under + "consume", problems);
  principal.admin = rights.admin();
  if (principal.subscribe.empty() && principal.query.empty() && principal.consume.empty() &&
      !principal.admin) {
    problems.AddWarning(absl::StrCat(key, ".rights"),
                        "are empty, so every call of this principal is refused; give it subscribe, "
                        "query, consume or admin");
  }
  return principal;
}

// What identifies one principal must not identify another.
void CheckUnique(const std::vector<Principal>& principals, Problems& problems) {
  std::set<std::string> names;
  std::map<CertificateName, size_t> certificate_names;
  std::map<TokenDigest, size_t> tokens;
  for (size_t i = 0; i < principals.size(); ++i) {
    const std::string key = absl::StrCat("principals[", i, "]");
    if (!principals[i].name.empty() && !names.insert(principals[i].name).second) {
      problems.AddError(absl::StrCat(key, ".name"),
                        absl::StrCat("\"", principals[i].name,
                                     "\" is there twice; each principal needs its own name"));
    }
    for (const CertificateName& name : principals[i].certificate_names) {
      if (certificate_names.emplace(name, i).second) continue;
      problems.AddError(absl::StrCat(key, ".certificate_names"),
                        absl::StrCat("\"", name.text, "\" belongs to another principal already"));
    }
    for (const TokenDigest& token : principals[i].tokens) {
      if (tokens.emplace(token, i).first->second == i) continue;
      problems.AddError(absl::StrCat(key, ".token_sha256"),
                        "holds a token that belongs to another principal already");
    }
  }
}

// A source may be gone from the config while its events are still there, so this is no error.
void WarnOfUnknownSources(const Config& config, Problems& problems) {
  std::vector<std::string> sources;
  for (const auto& source : config.sources()) sources.push_back(source.name());
  if (sources.empty()) sources.push_back(kDefaultSource);
  sources.push_back(kOperatorSource);
  const auto check = [&](const google::protobuf::RepeatedPtrField<std::string>& names,
                         const std::string& key) {
    for (int i = 0; i < names.size(); ++i) {
      if (names[i].empty()) continue;  // an error
      if (names[i] == "*" || std::find(sources.begin(), sources.end(), names[i]) != sources.end()) {
        continue;
      }
      problems.AddWarning(
          absl::StrCat(key, "[", i, "]"),
          absl::StrCat("there is no source \"", names[i],
                       "\" in this config; there are: ", absl::StrJoin(sources, ", ")));
    }
  };
  for (int i = 0; i < config.principals_size(); ++i) {
    const std::string under = absl::StrCat("principals[", i, "].rights.");
    check(config.principals(i).rights().subscribe(), under + "subscribe");
    check(config.principals(i).rights().query(), under + "query");
  }
}

// Says what is open, as an error unless it is allowed, or reached from this machine alone.
void CheckOpenToAll(const Config& config, bool has_tls, const std::string& address, bool exposed,
                    Problems& problems) {
  const bool open = config.principals().empty();
  if (exposed && (open || !has_tls) && !config.grpc().allow_insecure()) {
    const char* missing = "without TLS: set grpc.tls";
    if (open) missing = "to everybody: name principals";
    if (open && !has_tls)
      missing = "without TLS and to everybody: set grpc.tls and name principals";
    problems.AddError(
        "grpc.address",
        absl::StrCat("can be reached from other machines, and gRPC would be served ", missing,
                     ", use a loopback address, or set grpc.allow_insecure "
                     "(--allow_insecure_grpc) if the network itself is trusted"));
    return;
  }
  if (open) {
    problems.AddWarning(
        "principals",
        absl::StrCat(
            "is empty, so gRPC is open: ",
            exposed ? "everyone in the network" : "every user of this machine", " who can reach ",
            address,
            " can read all events and change subscriptions; configure principals to close it"));
  }
  if (exposed && !has_tls) {
    problems.AddWarning(
        "grpc.allow_insecure",
        absl::StrCat("gRPC is served without TLS on ", address,
                     ", which other machines can reach: tokens and events can be read "
                     "in transit; set grpc.tls"));
  }
}

}  // namespace

GrpcSecurity ResolveGrpcSecurity(const Config& config, const std::string& address, bool exposed,
                                 Problems& problems) {
  GrpcSecurity grpc_security;
  const bool has_tls = config.grpc().has_tls();
  if (has_tls) grpc_security.certificates = ResolveTls(config.grpc().tls(), "grpc.tls", problems);
  if (config.grpc().tls().client_ca_required() && config.grpc().tls().client_ca_file().empty()) {
    problems.AddError("grpc.tls.client_ca_required",
                      "needs grpc.tls.client_ca_file, the CA whose certificates are trusted");
  }
  const bool verifies_clients = has_tls && !config.grpc().tls().client_ca_file().empty();
  for (int i = 0; i < config.principals_size(); ++i) {
    grpc_security.principals.push_back(ResolvePrincipal(
        config.principals(i), absl::StrCat("principals[", i, "]"), verifies_clients, problems));
  }
  CheckUnique(grpc_security.principals, problems);
  WarnOfUnknownSources(config, problems);
  CheckOpenToAll(config, has_tls, address, exposed, problems);
  return grpc_security;
}

}  // namespace hookgate
