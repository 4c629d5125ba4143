// The bytes of one connection, as they are or through TLS, without waiting.
//
// OpenSSL works on the socket itself, and not through Asio's stream, which holds 34 KiB of buffers
// for each connection: most of ten thousand connections rest.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_SOCKET_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_SOCKET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/access/certificate_name.h"
#include "server/grpc_server/out_buffer.h"
#include "server/net/listener.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // and SSL

namespace hookgate {

// On one thread.
class GrpcSocket {
 public:
  enum class Result {
    kOk,
    kWaitToRead,   // again when the socket is readable
    kWaitToWrite,  // again when it is writable
    kEnd,          // the peer has ended its side
    kError,
  };

  // `context` is null for plain text.
  GrpcSocket(NetSocket socket, std::shared_ptr<ssl_ctx_st> context);
  ~GrpcSocket();
  GrpcSocket(const GrpcSocket&) = delete;
  GrpcSocket& operator=(const GrpcSocket&) = delete;

  bool has_tls() const { return tls_ != nullptr; }
  // Only with TLS; until it returns kOk.
  Result Handshake();
  // After the handshake.
  std::vector<CertificateName> certificate_names() const;

  // `count` is how many bytes it has read; more than 0 with kOk.
  Result Read(char* to, size_t max_bytes, size_t& count);
  // Whether the peer has updated its keys of TLS 1.3 since it was last asked; a Read takes one
  // update at most. It costs the peer a few bytes, and the thread the making of a key.
  bool TakeKeyUpdate() { return std::exchange(key_updated_, false); }
  // Whether TLS holds bytes that it has read from the socket already.
  bool has_pending() const;
  // Sends and takes out of `bytes` what it can: all of it with kOk. `room` is a buffer of the
  // thread.
  Result Write(OutBuffer& bytes, char* room, size_t room_bytes);
  // No more is sent; the peer is told.
  void ShutdownWrite();
  void Close();

  // What went wrong with kError, for a log line.
  const std::string& error() const { return error_; }

  // To wait on.
  NetSocket& socket() { return socket_; }

 private:
  struct FreeTls {
    void operator()(ssl_st* tls) const;
  };

  // What OpenSSL calls for each message of TLS; `self` is the socket.
  static void OnTlsMessage(int is_sent, int version, int type, const void* bytes, size_t size,
                           ssl_st* tls, void* self);
  Result ResultOf(int returned);
  Result WritePlain(OutBuffer& bytes);

  NetSocket socket_;
  std::unique_ptr<ssl_st, FreeTls> tls_;  // null: plain text
  bool tls_broken_ = false;               // no more may be sent over it
  bool key_updated_ = false;
  std::string error_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_SOCKET_H_
