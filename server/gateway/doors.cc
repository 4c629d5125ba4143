#include "server/gateway/doors.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

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

absl::StatusOr<NameSet> ResolveNames(const google::protobuf::RepeatedPtrField<std::string>& names,
                                     const std::string& key, bool prefixes = false) {
  for (int i = 0; i < names.size(); ++i) {
    const std::string problem = ProblemOf(names[i], prefixes);
    if (!problem.empty()) return InvalidField(absl::StrCat(key, "[", i, "]"), problem);
  }
  const std::vector<std::string> all(names.begin(), names.end());
  return NameSet(all);
}

absl::StatusOr<Principal> ResolvePrincipal(const hookgate::config::v1::Principal& config,
                                           const std::string& key, bool verifies_clients) {
  Principal principal;
  principal.name = config.name();
  if (principal.name.empty() || principal.name.size() > kMaxNameBytes ||
      !std::all_of(principal.name.begin(), principal.name.end(), absl::ascii_isgraph)) {
    return InvalidField(absl::StrCat(key, ".name"),
                        absl::StrCat("must be 1 to ", kMaxNameBytes,
                                     " printable characters without spaces; errors and the log "
                                     "call it by that"));
  }
  if (!config.certificate_names().empty() && !verifies_clients) {
    return InvalidField(
        absl::StrCat(key, ".certificate_names"),
        "needs grpc.tls.client_ca_file, which says whose certificates are believed");
  }
  for (int i = 0; i < config.certificate_names_size(); ++i) {
    if (config.certificate_names(i).empty()) {
      return InvalidField(absl::StrCat(key, ".certificate_names[", i, "]"), "is empty");
    }
    principal.certificate_names.insert(config.certificate_names(i));
  }
  for (int i = 0; i < config.token_sha256_size(); ++i) {
    ASSIGN_OR_RETURN(
        const TokenDigest digest,
        ParseDigest(config.token_sha256(i), absl::StrCat(key, ".token_sha256[", i, "]")));
    principal.tokens.push_back(digest);
  }
  if (principal.tokens.empty() && principal.certificate_names.empty()) {
    return InvalidField(key,
                        "can never be known: give token_sha256, or certificate_names with "
                        "grpc.tls.client_ca_file");
  }
  const auto& rights = config.rights();
  const std::string under = absl::StrCat(key, ".rights.");
  ASSIGN_OR_RETURN(principal.subscribe, ResolveNames(rights.subscribe(), under + "subscribe"));
  ASSIGN_OR_RETURN(principal.query, ResolveNames(rights.query(), under + "query"));
  ASSIGN_OR_RETURN(principal.consume, ResolveNames(rights.consume(), under + "consume", true));
  principal.admin = rights.admin();
  return principal;
}

// What identifies one principal must not identify another.
absl::Status CheckUnique(const std::vector<Principal>& principals) {
  std::set<std::string> names;
  std::map<std::string, size_t> certificate_names;
  std::map<TokenDigest, size_t> tokens;
  for (size_t i = 0; i < principals.size(); ++i) {
    const std::string key = absl::StrCat("principals[", i, "]");
    if (!names.insert(principals[i].name).second) {
      return InvalidField(absl::StrCat(key, ".name"),
                          absl::StrCat("\"", principals[i].name,
                                       "\" is there twice; each principal needs its own name"));
    }
    for (const std::string& name : principals[i].certificate_names) {
      if (certificate_names.emplace(name, i).second) continue;
      return InvalidField(absl::StrCat(key, ".certificate_names"),
                          absl::StrCat("\"", name, "\" belongs to another principal already"));
    }
    for (const TokenDigest& token : principals[i].tokens) {
      if (tokens.emplace(token, i).first->second == i) continue;
      return InvalidField(absl::StrCat(key, ".token_sha256"),
                          "holds a token that belongs to another principal already");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertificateFiles> ResolveTls(const hookgate::config::v1::Tls& tls,
                                            const std::string& key) {
  CertificateFiles files = {tls.certificate_file(), tls.key_file(), tls.client_ca_file()};
  if (files.certificate.empty() || files.key.empty()) {
    return InvalidField(
        absl::StrCat(key, files.certificate.empty() ? ".certificate_file" : ".key_file"),
        "is missing: TLS needs a certificate and its key, each in a PEM file");
  }
  const absl::Status loaded = LoadCertificates(files).status();
  if (!loaded.ok()) return InvalidField(key, loaded.message());
  return files;
}

absl::StatusOr<Doors> ResolveDoors(const Config& config, bool exposed) {
  Doors doors;
  if (config.grpc().has_tls()) {
    ASSIGN_OR_RETURN(doors.certificates, ResolveTls(config.grpc().tls(), "grpc.tls"));
  }
  const bool verifies_clients =
      doors.certificates.has_value() && !doors.certificates->client_ca.empty();
  for (int i = 0; i < config.principals_size(); ++i) {
    ASSIGN_OR_RETURN(Principal principal,
                     ResolvePrincipal(config.principals(i), absl::StrCat("principals[", i, "]"),
                                      verifies_clients));
    doors.principals.push_back(std::move(principal));
  }
  RETURN_IF_ERROR(CheckUnique(doors.principals));
  if (!exposed || config.grpc().allow_insecure()) return doors;
  const char* missing = nullptr;
  if (!doors.certificates.has_value()) missing = "without TLS: set grpc.tls";
  if (doors.principals.empty()) missing = "to everybody: name principals";
  if (!doors.certificates.has_value() && doors.principals.empty()) {
    missing = "without TLS and to everybody: set grpc.tls and name principals";
  }
  if (missing == nullptr) return doors;
  return InvalidField(
      "grpc.address",
      absl::StrCat("can be reached from other machines, and gRPC would be served ", missing,
                   ", use a loopback address, or set grpc.allow_insecure (--allow_insecure_grpc) "
                   "if the network itself is trusted"));
}

}  // namespace hookgate
