#include "server/grpc_server/grpc_socket.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/grpc_server/certificate_names.h"

namespace hookgate {
namespace {

constexpr size_t kMaxPieces = 256;
constexpr size_t kMaxRecord = 16 << 10;  // RFC 8446, section 5.1

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

// OpenSSL's own way to a socket uses write(), which ends the process by SIGPIPE where that is not
// ignored.
int FdOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int WriteBio(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = send(FdOf(bio), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && WouldBlock(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int ReadBio(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = recv(FdOf(bio), to, static_cast<size_t>(size), 0);
  if (count < 0 && WouldBlock(errno)) BIO_set_retry_read(bio);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(count);
}

long ControlBio(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default:
      return 0;
  }
}

int CreateBio(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* SocketMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOCKET, "socket without SIGPIPE");
    BIO_meth_set_write(made, WriteBio);
    BIO_meth_set_read(made, ReadBio);
    BIO_meth_set_ctrl(made, ControlBio);
    BIO_meth_set_create(made, CreateBio);
    return made;
  }();
  return method;
}

}  // namespace

void GrpcSocket::FreeTls::operator()(ssl_st* tls) const { SSL_free(tls); }

GrpcSocket::GrpcSocket(NetSocket socket, std::shared_ptr<ssl_ctx_st> context)
    : socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  if (context == nullptr) return;
  tls_.reset(SSL_new(context.get()));  // It holds the context.
  BIO* const bio = BIO_new(SocketMethod());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket_.native_handle())));
  SSL_set_bio(tls_.get(), bio, bio);
  // A record that the socket did not take is given again from another place, with more behind it.
  SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  // Otherwise one read handles whatever comes that holds no bytes of ours: a peer that sends one
  // update of the keys after the other would have the thread for itself.
  SSL_clear_mode(tls_.get(), SSL_MODE_AUTO_RETRY);
  SSL_set_msg_callback(tls_.get(), OnTlsMessage);
  SSL_set_msg_callback_arg(tls_.get(), this);
  SSL_set_accept_state(tls_.get());
}

GrpcSocket::~GrpcSocket() = default;

void GrpcSocket::OnTlsMessage(int is_sent, int, int type, const void* bytes, size_t size, ssl_st*,
                              void* self) {
  if (is_sent == 0 && type == SSL3_RT_HANDSHAKE && size > 0 &&
      *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE) {
    static_cast<GrpcSocket*>(self)->key_updated_ = true;
  }
}

GrpcSocket::Result GrpcSocket::ResultOf(int returned) {
  const int saved = errno;
  switch (SSL_get_error(tls_.get(), returned)) {
    case SSL_ERROR_NONE:
      return Result::kOk;
    case SSL_ERROR_WANT_READ:
      return Result::kWaitToRead;
    case SSL_ERROR_WANT_WRITE:
      return Result::kWaitToWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kEnd;
    default:
      break;
  }
  tls_broken_ = true;
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  error_ = reason != nullptr ? reason : saved != 0 ? std::strerror(saved) : "connection closed";
  ERR_clear_error();
  return Result::kError;
}

GrpcSocket::Result GrpcSocket::Handshake() {
  ERR_clear_error();
  errno = 0;
  return ResultOf(SSL_do_handshake(tls_.get()));
}

std::vector<CertificateName> GrpcSocket::certificate_names() const {
  if (tls_ == nullptr || SSL_get_verify_result(tls_.get()) != X509_V_OK) return {};
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(tls_.get()), X509_free);
  if (certificate == nullptr) return {};
  return NamesInCertificate(*certificate);
}

GrpcSocket::Result GrpcSocket::Read(char* to, size_t max_bytes, size_t& count) {
  count = 0;
  errno = 0;
  if (tls_ != nullptr) {
    ERR_clear_error();
    return ResultOf(SSL_read_ex(tls_.get(), to, max_bytes, &count));
  }
  const ssize_t got = recv(socket_.native_handle(), to, max_bytes, 0);
  if (got > 0) {
    count = static_cast<size_t>(got);
    return Result::kOk;
  }
  if (got == 0) return Result::kEnd;
  if (WouldBlock(errno)) return Result::kWaitToRead;
  error_ = std::strerror(errno);
  return Result::kError;
}

bool GrpcSocket::has_pending() const { return tls_ != nullptr && SSL_has_pending(tls_.get()) != 0; }

GrpcSocket::Result GrpcSocket::Write(OutBuffer& bytes, char* room, size_t room_bytes) {
  if (tls_ == nullptr) return WritePlain(bytes);
  while (!bytes.empty()) {
    const size_t size = bytes.Copy(room, std::min(room_bytes, kMaxRecord));
    size_t sent = 0;
    errno = 0;
    ERR_clear_error();
    const Result result = ResultOf(SSL_write_ex(tls_.get(), room, size, &sent));
    if (result != Result::kOk) return result;
    bytes.Sent(sent);
  }
  return Result::kOk;
}

GrpcSocket::Result GrpcSocket::WritePlain(OutBuffer& bytes) {
  while (!bytes.empty()) {
    std::array<iovec, kMaxPieces> pieces;
    msghdr message = {};
    message.msg_iov = pieces.data();
    message.msg_iovlen = bytes.Gather(absl::MakeSpan(pieces));
    const ssize_t sent = sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (WouldBlock(errno)) return Result::kWaitToWrite;
      error_ = std::strerror(errno);
      return Result::kError;
    }
    bytes.Sent(static_cast<size_t>(sent));
  }
  return Result::kOk;
}

void GrpcSocket::ShutdownWrite() {
  if (tls_ != nullptr && !tls_broken_ && SSL_is_init_finished(tls_.get())) {
    ERR_clear_error();
    SSL_shutdown(
        tls_.get());  // If the socket does not take it, the peer sees the end all the same.
    ERR_clear_error();
  }
  boost::system::error_code ignored;
  socket_.shutdown(NetSocket::shutdown_send, ignored);
}

void GrpcSocket::Close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace hookgate
