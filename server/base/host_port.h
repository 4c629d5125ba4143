// HOST:PORT, as addresses are written in the config: a name or a number, with brackets around IPv6.
#ifndef HOOKGATE_SERVER_BASE_HOST_PORT_H_
#define HOOKGATE_SERVER_BASE_HOST_PORT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace hookgate {

struct HostPort {
  std::string host;  // with the brackets that IPv6 is written in
  int port = 0;      // 0 to 65535

  // Without brackets, as a resolver takes it.
  std::string bare_host() const;

  // By number, not by look: 127.example.com may be anywhere.
  bool is_loopback() const;
};

// nullopt: it is not such a text.
absl::optional<HostPort> ParseHostPort(absl::string_view text);

// Whether a listener at one of these addresses keeps one from the other. Port 0 is any free one.
bool Collide(const HostPort& one, const HostPort& other);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_HOST_PORT_H_
