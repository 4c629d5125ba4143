// A server that does nothing for anybody, to be attacked in the place of a gateway: what webhooks
// suffer meanwhile is the machine's doing, which carries both ends of each connection, and not the
// gateway's.
#ifndef HOOKGATE_TESTS_HOSTILE_DECOY_H_
#define HOOKGATE_TESTS_HOSTILE_DECOY_H_

#include <cstddef>
#include <deque>
#include <string>
#include <thread>

namespace hookgate {

// Takes what it is sent and throws it away. As a gateway does, it closes a connection after 64 KiB,
// and the oldest one if there are more than 256.
class Decoy {
 public:
  // Listens on a free port of 127.0.0.1, and serves it by a thread of its own.
  Decoy();
  ~Decoy();
  Decoy(const Decoy&) = delete;
  Decoy& operator=(const Decoy&) = delete;

  // HOST:PORT.
  const std::string& address() const { return address_; }

 private:
  struct Connection {
    int fd;
    size_t received = 0;
  };

  void Serve();
  void Accept();
  // False: it is over.
  bool Read(Connection& connection);

  const int listener_;
  const int epoll_;
  const int stop_;  // an eventfd
  std::string address_;
  std::deque<Connection> connections_;  // the thread's, in the order of their beginning
  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_DECOY_H_
