// Flags about TLS and tokens, which every command has that calls a gateway.
#ifndef HOOKGATE_CLIENT_CLI_SECURITY_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_SECURITY_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/flags.h"
#include "client/connection_security.h"

namespace hookgate::cli {

// --tls, --tls-ca, --tls-cert, --tls-key, --token-file.
std::vector<FlagSpec> SecurityFlags();

// Environment variables that hold secrets themselves, as HOOKGATE_TOKEN does, or that hookgate
// takes for one unless told otherwise: programs that hookgate runs do not get them. Those that name
// a file are not among them.
std::vector<std::string> SecretVariables();
// Where `send` finds the secret to sign with, unless told otherwise.
inline constexpr char kSigningSecretVariable[] = "OPENAI_WEBHOOK_SECRET";

// --tls-ca alone, for commands that call a gateway by HTTP.
FlagSpec TlsCaFlag();
// The file that it names; "" if it names none. INVALID_ARGUMENT.
absl::StatusOr<std::string> TlsCaOf(const Flags& flags);

// What they say, with the files read, towards the gateway that --grpc names. The token may stand in
// the variable HOOKGATE_TOKEN instead of a file; there is no flag for it, for others could read it
// in the list of processes.
// INVALID_ARGUMENT that names the flag, and never shows the token.
absl::StatusOr<ConnectionSecurity> SecurityOf(const Flags& flags, const GetVariable& get_variable);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_SECURITY_FLAGS_H_
