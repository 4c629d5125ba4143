// Who may do what over gRPC. Pure: no clock, no I/O, no gRPC; decides by what it is given.
//
//   credentials --Identify--> Principal --Check...--> OK, or PERMISSION_DENIED that names the
//                                                     missing right
//
// A policy without principals is open: everybody may do everything.
#ifndef HOOKGATE_SERVER_ACCESS_ACCESS_POLICY_H_
#define HOOKGATE_SERVER_ACCESS_ACCESS_POLICY_H_

#include <array>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/access/certificate_name.h"

namespace hookgate {

// SHA-256 of a bearer token: all that is kept of one.
using TokenDigest = std::array<unsigned char, 32>;
TokenDigest DigestOf(absl::string_view token);

enum class Right { kSubscribe, kQuery, kConsume, kAdmin };
// As config.proto calls it: "subscribe".
absl::string_view NameOf(Right right);

// Names to which a right extends. "*" in a list means every one; "orders.*" means every name that
// begins with "orders.".
class NameSet {
 public:
  NameSet() = default;
  explicit NameSet(absl::Span<const std::string> names);

  bool empty() const { return !all_ && names_.empty() && prefixes_.empty(); }
  bool all() const { return all_; }
  bool Contains(absl::string_view name) const;
  // For messages: "a, b, orders.*".
  std::string ToString() const;

 private:
  bool all_ = false;
  std::set<std::string, std::less<>> names_;
  std::vector<std::string> prefixes_;  // with their dot
};

struct Principal {
  std::string name;
  std::set<CertificateName> certificate_names;  // any of them, in a client's certificate
  std::vector<TokenDigest> tokens;              // any of them
  NameSet subscribe;                            // sources
  NameSet query;                                // sources
  NameSet consume;                              // durable subscriptions
  bool admin = false;
};

// What a caller shows. A token counts more than a certificate: whoever sends one means it.
struct Credentials {
  std::vector<CertificateName> certificate_names;  // of a certificate that has been verified
  absl::optional<TokenDigest> token;
  // Not empty: what was shown is malformed, and this says how. It identifies nobody then. A text
  // that lives for ever: each open stream keeps its caller's credentials.
  absl::string_view problem;

  // Whether both show the same; in constant time where they show tokens.
  friend bool operator==(const Credentials& one, const Credentials& other);
};

// Immutable; safe from any thread.
class AccessPolicy {
 public:
  // Open to everybody.
  AccessPolicy() = default;
  // No certificate name and no token belongs to two principals.
  explicit AccessPolicy(std::vector<Principal> principals) : principals_(std::move(principals)) {}

  bool open() const { return principals_.empty(); }

  // Who that is; valid while the policy lives. Compares every token, each in constant time.
  // UNAUTHENTICATED unauthenticated.
  absl::StatusOr<const Principal*> Identify(const Credentials& credentials) const;

  // Each: UNAUTHENTICATED, or PERMISSION_DENIED missing_right that names principal, right, and what
  // it is missing for.
  // Whether the caller has `right` for anything at all.
  absl::Status CheckAny(const Credentials& credentials, Right right) const;
  // kSubscribe or kQuery for each of `sources`. None stands for all sources, those to come
  // included: that needs the right for "*". It is never narrowed to what is allowed, for then a
  // caller would take a part for the whole.
  absl::Status CheckSources(const Credentials& credentials, Right right,
                            absl::Span<const std::string> sources) const;
  absl::Status CheckConsume(const Credentials& credentials, absl::string_view subscription) const;
  absl::Status CheckAdmin(const Credentials& credentials) const;
  // What a call that looks at all durable subscriptions needs: admin, or consume for "*".
  absl::Status CheckAllSubscriptions(const Credentials& credentials) const;

  // For log lines: the principal's name, "" if there is none.
  std::string NameOfCaller(const Credentials& credentials) const;

 private:
  std::vector<Principal> principals_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ACCESS_ACCESS_POLICY_H_
