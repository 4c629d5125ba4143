// The address of a gateway's gRPC port, as people type it. Pure.
#ifndef HOOKGATE_CLIENT_TARGET_H_
#define HOOKGATE_CLIENT_TARGET_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hookgate {

// OK if `target` is HOST:PORT, where HOST is a name, an IPv4 address or an IPv6 address in
// brackets, and PORT is from 1 to 65535; or one of gRPC's own names: "dns:///HOST:PORT",
// "unix:PATH", "unix:///PATH", "unix-abstract:NAME", "ipv4:ADDRESS:PORT", "ipv6:[ADDRESS]:PORT".
// INVALID_ARGUMENT otherwise, with what is wrong and what would be right. gRPC itself takes
// anything for a name to look up, guesses port 443, and says of a wrong one only that it was not
// found.
absl::Status CheckTarget(absl::string_view target);

// Whether a call to `target` stays on this machine, as far as its host tells by number or name:
// what another name resolves to may change between looking and calling.
bool IsLoopback(absl::string_view target);

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_TARGET_H_
