// Tells the service manager that started the process, such as systemd, what it is doing: whoever
// waits for `systemctl start` or `systemctl reload` is answered when it is done. The protocol is
// that of sd_notify(3), one datagram to the socket that $NOTIFY_SOCKET names; without that variable
// nothing is said. A message that cannot be sent is a warning in the log, and no more.
#ifndef HOOKGATE_SERVER_GATEWAY_SERVICE_MANAGER_H_
#define HOOKGATE_SERVER_GATEWAY_SERVICE_MANAGER_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace hookgate {

// Thread-safe.
class ServiceManager {
 public:
  // `socket` is what $NOTIFY_SOCKET says: the path of a socket, "@" and a name for an abstract one,
  // or "" if there is no service manager to tell.
  explicit ServiceManager(std::string socket) : socket_(std::move(socket)) {}

  // It serves: at the end of a start, and at the end of each reload. `status` is a line for people,
  // which `systemctl status` shows.
  void TellReady(absl::string_view status) const;
  // It reads its config again. TellReady follows, whether the config was applied or refused.
  void TellReloading() const;
  // The graceful shutdown begins.
  void TellStopping() const;

 private:
  void Tell(absl::string_view assignments) const;

  // Constant after construction.
  const std::string socket_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_SERVICE_MANAGER_H_
