// Binds an address and accepts connections.
//
// Somebody who can connect can use up the file descriptors: then new connections wait in the
// kernel's queue, and accepting is tried again every 100 ms, for ever.
#ifndef HOOKGATE_SERVER_NET_LISTENER_H_
#define HOOKGATE_SERVER_NET_LISTENER_H_

#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace hookgate {

// Without asio's any_io_executor, which costs an allocation here and there.
using NetExecutor = boost::asio::io_context::executor_type;
using NetSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, NetExecutor>;
using NetTimer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, NetExecutor>;

// Who is at the other end of a connection.
struct NetPeer {
  std::string address;  // "192.0.2.1" or "2001:db8::1"; of IPv4 also where it came mapped
  int port = 0;
  std::array<uint8_t, 16> bytes = {};  // of the address; of IPv4 mapped into IPv6
};
// Nothing if it has gone again.
std::optional<NetPeer> PeerOf(const NetSocket& socket);

// Ends a connection with nothing left of it, neither here nor in the kernel.
void Reset(NetSocket socket);

// How many cores this process may run on, which in a container may be fewer than there are.
int UsableCores();

class Listener {
 public:
  struct Uses {
    // For which io_context the next connection is.
    std::function<boost::asio::io_context&()> next_loop;
    std::function<void(NetSocket socket)> on_accepted;
    // Null, or whether to accept one more now; asked again every 20 ms while not.
    std::function<bool()> may_accept;
  };

  // Runs on the thread of `io`, where the functions are called. All of it outlives the listener.
  //   what   "HTTP", for messages
  Listener(boost::asio::io_context& io, const Clock& clock, std::string what, Uses uses);

  // Binds and accepts. Once, before `io` runs. INVALID_ARGUMENT if `address` is not HOST:PORT
  // ([HOST]:PORT for IPv6) or cannot be resolved; UNAVAILABLE if it cannot be bound.
  absl::Status Listen(const std::string& address);

  // HOST:PORT as bound.
  const std::string& address() const { return bound_; }

  // No more connections are accepted; those that wait are refused. Any thread; harmless when
  // repeated.
  void Stop();

 private:
  void Accept();
  void OnAccepted(boost::system::error_code error, NetSocket socket);
  void AcceptAfter(std::chrono::milliseconds pause);
  void NoteFailure(boost::system::error_code error);
  void NoteAcceptingAgain();

  // Constant after Listen.
  const Clock& clock_;
  const std::string what_;
  const Uses uses_;
  std::string bound_;

  // Touched only on the thread of io.
  boost::asio::io_context& io_;
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, NetExecutor> acceptor_;
  NetTimer pause_;
  int64_t failures_ = 0;  // since the last line that said it goes on
  bool failure_logged_ = false;
  absl::Duration next_line_ = -absl::InfiniteDuration();
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_NET_LISTENER_H_
