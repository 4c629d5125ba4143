// The bytes of one HTTP connection: as they are, or through TLS.
//
// An AsyncReadStream and AsyncWriteStream of Asio and Beast. Which of the two it is, is asked at
// each operation: far cheaper than a system call, and it spares a second copy of all that is
// instantiated over the stream.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_STREAM_H_
#define HOOKGATE_SERVER_HTTP_HTTP_STREAM_H_

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <utility>

#include "server/net/listener.h"

namespace hookgate {

using HttpExecutor = NetExecutor;
using HttpSocket = NetSocket;

// All calls on the thread that runs the socket's io_context. Handlers are plain functions.
class HttpStream {
 public:
  using executor_type = HttpExecutor;

  // `tls` is null for plain text.
  HttpStream(HttpSocket socket, std::shared_ptr<boost::asio::ssl::context> tls)
      : socket_(std::move(socket)), tls_context_(std::move(tls)) {
    if (tls_context_ != nullptr) tls_ = std::make_unique<Tls>(socket_, *tls_context_);
  }

  // TLS holds on to the place of the socket.
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  // The connection below.
  HttpSocket& socket() { return socket_; }
  bool has_tls() const { return tls_ != nullptr; }

  // Only with TLS, and before anything is read or written.
  template <typename Handler>
  void async_handshake(Handler&& handler) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::forward<Handler>(handler));
  }
  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_ != nullptr) return tls_->async_read_some(buffers, std::forward<Handler>(handler));
    socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers, typename Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_ != nullptr) return tls_->async_write_some(buffers, std::forward<Handler>(handler));
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  using Tls = boost::asio::ssl::stream<HttpSocket&>;

  HttpSocket socket_;
  const std::shared_ptr<boost::asio::ssl::context> tls_context_;  // outlives tls_
  std::unique_ptr<Tls> tls_;                                      // null: plain text
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_STREAM_H_
