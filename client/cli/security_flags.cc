#include "client/cli/security_flags.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/base/small_file.h"
#include "server/base/status.h"

namespace hookgate::cli {
namespace {

constexpr char kTlsCa[] = "tls-ca";
constexpr char kTokenVariable[] = "HOOKGATE_TOKEN";
constexpr size_t kMaxFileBytes = 1 << 20;

// The file that the flag names; "" if it names none.
absl::StatusOr<std::string> FileOf(const Flags& flags, const std::string& flag) {
  if (!flags.Has(flag)) return std::string();
  const std::string& path = flags.Text(flag);
  absl::StatusOr<std::string> content = ReadSmallFile(path, kMaxFileBytes);
  if (!content.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, ": ", std::string(content.status().message())));
  }
  if (content->empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", ShownPath(path), " is empty"));
  }
  return content;
}

}  // namespace

FlagSpec TlsCaFlag() {
  return {
      .name = kTlsCa,
      .value = "FILE",
      .help =
          "The CA certificates that may have signed the gateway's, in PEM; those that the system "
          "trusts, if not given.",
      .variable = "HOOKGATE_TLS_CA",
      .any_bytes = true};
}

std::vector<std::string> SecretVariables() { return {kTokenVariable, kSigningSecretVariable}; }

absl::StatusOr<std::string> TlsCaOf(const Flags& flags) { return FileOf(flags, kTlsCa); }

std::vector<FlagSpec> SecurityFlags() {
  return {{.name = "tls",
           .kind = FlagKind::kBool,
           .help = "The gateway speaks TLS. So does any of --tls-ca and --tls-cert."},
          TlsCaFlag(),
          {.name = "tls-cert",
           .value = "FILE",
           .help = "The client's certificate in PEM, for a gateway that identifies callers by it.",
           .variable = "HOOKGATE_TLS_CERT",
           .any_bytes = true},
          {.name = "tls-key",
           .value = "FILE",
           .help = "Its key in PEM.",
           .variable = "HOOKGATE_TLS_KEY",
           .any_bytes = true},
          {.name = "token-file",
           .value = "FILE",
           .help = "The token by which the gateway knows the caller; read again for every call. Or "
                   "set $HOOKGATE_TOKEN to the token itself.",
           .variable = "HOOKGATE_TOKEN_FILE",
           .any_bytes = true}};
}

absl::StatusOr<ConnectionSecurity> SecurityOf(const Flags& flags, const GetVariable& get_variable) {
  ConnectionSecurity security;
  ASSIGN_OR_RETURN(security.ca, TlsCaOf(flags));
  ASSIGN_OR_RETURN(security.certificate, FileOf(flags, "tls-cert"));
  ASSIGN_OR_RETURN(security.key, FileOf(flags, "tls-key"));
  ASSIGN_OR_RETURN(const std::string token, FileOf(flags, "token-file"));
  security.token = std::string(absl::StripAsciiWhitespace(
      flags.Has("token-file") ? token : get_variable(kTokenVariable).value_or("")));
  if (flags.Has("token-file")) security.token_file = flags.Text("token-file");
  security.tls = flags.Bool("tls") || !security.ca.empty() || !security.certificate.empty();
  RETURN_IF_ERROR(CheckSecurity(flags.Text("grpc"), security));
  return security;
}

}  // namespace hookgate::cli
