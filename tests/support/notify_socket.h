// What a service manager has for its services: the socket that $NOTIFY_SOCKET names (sd_notify(3)).
#ifndef HOOKGATE_TESTS_SUPPORT_NOTIFY_SOCKET_H_
#define HOOKGATE_TESTS_SUPPORT_NOTIFY_SOCKET_H_

#include <string>

namespace hookgate {

class NotifySocket {
 public:
  enum Kind { kPath, kAbstract };

  // Fails the test if it cannot be made.
  explicit NotifySocket(Kind kind);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // For $NOTIFY_SOCKET.
  const std::string& name() const { return name_; }

  // The next message. "", and the test has failed, if none comes within 30 s.
  std::string Next();

 private:
  // Constant after construction.
  std::string folder_;  // of a socket with a path; its name has to be short
  std::string name_;
  int fd_ = -1;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_NOTIFY_SOCKET_H_
