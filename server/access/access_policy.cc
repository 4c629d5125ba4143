#include "server/access/access_policy.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

absl::Status Unauthenticated(absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated, message);
}

absl::Status MissingRight(const Principal& principal, Right right, absl::string_view what) {
  absl::Status status = ErrorWithReason(
      absl::StatusCode::kPermissionDenied, reason::kMissingRight,
      absl::StrCat("principal \"", principal.name, "\" lacks the right ", NameOf(right), what));
  SetMetadata(status, "principal", principal.name);
  SetMetadata(status, "right", NameOf(right));
  return status;
}

// Of a right that extends to names.
const NameSet& NamesOf(const Principal& principal, Right right) {
  switch (right) {
    case Right::kSubscribe:
      return principal.subscribe;
    case Right::kQuery:
      return principal.query;
    case Right::kConsume:
    case Right::kAdmin:
      break;
  }
  return principal.consume;
}

bool IsSame(const TokenDigest& one, const TokenDigest& other) {
  return CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

bool HasToken(const Principal& principal, const TokenDigest& token) {
  bool found = false;
  for (const TokenDigest& own : principal.tokens) found |= IsSame(own, token);
  return found;
}

// A name that the caller chose, as much of it as a message repeats.
absl::string_view Shown(absl::string_view name) { return name.substr(0, 100); }

}  // namespace

TokenDigest DigestOf(absl::string_view token) {
  TokenDigest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

bool operator==(const Credentials& one, const Credentials& other) {
  if (one.token.has_value() != other.token.has_value()) return false;
  if (one.token.has_value() && !IsSame(*one.token, *other.token)) return false;
  return one.certificate_names == other.certificate_names && one.problem == other.problem;
}

absl::string_view NameOf(Right right) {
  switch (right) {
    case Right::kSubscribe:
      return "subscribe";
    case Right::kQuery:
      return "query";
    case Right::kConsume:
      return "consume";
    case Right::kAdmin:
      break;
  }
  return "admin";
}

NameSet::NameSet(absl::Span<const std::string> names) {
  for (const std::string& name : names) {
    if (name == "*") {
      all_ = true;
    } else if (absl::EndsWith(name, ".*")) {
      prefixes_.push_back(name.substr(0, name.size() - 1));
    } else {
      names_.insert(name);
    }
  }
}

bool NameSet::Contains(absl::string_view name) const {
  return all_ || names_.find(name) != names_.end() ||
         std::any_of(prefixes_.begin(), prefixes_.end(),
                     [name](const std::string& prefix) { return absl::StartsWith(name, prefix); });
}

std::string NameSet::ToString() const {
  if (all_) return "*";
  std::vector<std::string> all(names_.begin(), names_.end());
  for (const std::string& prefix : prefixes_) all.push_back(absl::StrCat(prefix, "*"));
  return absl::StrJoin(all, ", ");
}

absl::StatusOr<const Principal*> AccessPolicy::Identify(const Credentials& credentials) const {
  if (!credentials.problem.empty()) return Unauthenticated(credentials.problem);
  const Principal* found = nullptr;
  if (credentials.token.has_value()) {
    // All are looked at: the time says nothing about which one it was.
    for (const Principal& principal : principals_) {
      if (HasToken(principal, *credentials.token)) found = &principal;
    }
    if (found == nullptr) return Unauthenticated("the token is not known here");
    return found;
  }
  for (const Principal& principal : principals_) {
    for (const CertificateName& name : credentials.certificate_names) {
      if (principal.certificate_names.count(name) == 0) continue;
      if (found != nullptr && found != &principal) {
        return Unauthenticated("the names in the client certificate are those of two principals");
      }
      found = &principal;
    }
  }
  if (found != nullptr) return found;
  if (credentials.certificate_names.empty()) {
    return Unauthenticated(
        "this gateway needs to know the caller: send \"authorization: Bearer TOKEN\", or a client "
        "certificate if it verifies them");
  }
  return Unauthenticated(absl::StrCat(
      "no principal has a name of the client certificate: ",
      absl::StrJoin(credentials.certificate_names, ", ",
                    [](std::string* out, const auto& name) { out->append(name.ToString()); })));
}

absl::Status AccessPolicy::CheckAny(const Credentials& credentials, Right right) const {
  if (open()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Principal* principal, Identify(credentials));
  const bool has = right == Right::kAdmin ? principal->admin : !NamesOf(*principal, right).empty();
  return has ? absl::OkStatus() : MissingRight(*principal, right, "");
}

absl::Status AccessPolicy::CheckSources(const Credentials& credentials, Right right,
                                        absl::Span<const std::string> sources) const {
  if (open()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Principal* principal, Identify(credentials));
  const NameSet& allowed = NamesOf(*principal, right);
  if (sources.empty() && !allowed.all()) {
    return MissingRight(*principal, right,
                        allowed.empty() ? ""
                                        : absl::StrCat(" for all sources, which a filter without "
                                                       "sources requests: name some of ",
                                                       allowed.ToString(), " in filter.sources"));
  }
  for (const std::string& source : sources) {
    if (!allowed.Contains(source)) {
      return MissingRight(*principal, right,
                          absl::StrCat(" for the source \"", Shown(source), "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status AccessPolicy::CheckConsume(const Credentials& credentials,
                                        absl::string_view subscription) const {
  if (open()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Principal* principal, Identify(credentials));
  if (principal->consume.Contains(subscription)) return absl::OkStatus();
  return MissingRight(*principal, Right::kConsume,
                      absl::StrCat(" for the subscription \"", Shown(subscription), "\""));
}

absl::Status AccessPolicy::CheckAdmin(const Credentials& credentials) const {
  return CheckAny(credentials, Right::kAdmin);
}

absl::Status AccessPolicy::CheckAllSubscriptions(const Credentials& credentials) const {
  if (open()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Principal* principal, Identify(credentials));
  if (principal->admin || principal->consume.all()) return absl::OkStatus();
  return MissingRight(*principal, Right::kConsume,
                      " for all subscriptions (\"*\"), and the right admin");
}

std::string AccessPolicy::NameOfCaller(const Credentials& credentials) const {
  const absl::StatusOr<const Principal*> principal = Identify(credentials);
  return principal.ok() ? (*principal)->name : "";
}

}  // namespace hookgate
