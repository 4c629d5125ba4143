// One connection of an attacker: sends the bytes that it is told to, right or wrong, in plain text
// or through TLS, and never waits.
#ifndef HOOKGATE_TESTS_HOSTILE_RAW_PEER_H_
#define HOOKGATE_TESTS_HOSTILE_RAW_PEER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct ssl_st;

namespace hookgate {

// Not thread-safe.
class RawPeer {
 public:
  struct Options {
    std::string address;             // HOST:PORT, an IPv4 address
    std::string from = "127.0.0.1";  // the address it comes from
    bool tls = false;                // believes any certificate, and offers h2
    int max_tls_version = 0;         // OpenSSL's number; 0: the newest
    int receive_buffer = 0;          // of its socket, in bytes; 0: the system's default
  };
  // Begins to connect.
  explicit RawPeer(const Options& options);
  ~RawPeer();
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // To be sent when the other side takes it.
  void Send(absl::string_view bytes) { unsent_.append(bytes.data(), bytes.size()); }

  // Sends and receives what can be, but at most some 100 KiB of each, so that others have their
  // turn.
  //   reads  whether it takes what the other side has sent
  void Pump(bool reads);
  // Takes at most `max_bytes` of what the other side has sent.
  void Read(size_t max_bytes);

  // Of poll(2): its descriptor, and what it waits for.
  int fd() const { return fd_; }
  int16_t Events(bool reads) const;

  // The connection is over, or never came.
  bool ended() const { return ended_; }
  // Connected, after TLS's handshake if there is one.
  bool connected() const { return connected_; }
  bool has_unsent() const { return !unsent_.empty(); }
  int64_t sent_bytes() const { return sent_bytes_; }
  int64_t received_bytes() const { return received_bytes_; }

  // HTTP/2 frames that have come, by type.
  int64_t frames(uint8_t type) const;
  // Those of kRstStream with that code.
  int64_t resets(uint32_t code) const;
  // The code of the last GOAWAY; -1: none.
  int64_t go_away() const { return go_away_; }
  // What WINDOW_UPDATE has added to the window of `stream`, or of the connection, which is 0.
  int64_t granted(uint32_t stream) const;

  // Null in plain text.
  ssl_st* ssl() const { return ssl_; }

 private:
  bool FinishConnecting();
  // At most one write. False if nothing could be sent.
  bool Write();
  // How many bytes have come; 0: none now, or the end.
  size_t ReadOnce(char* bytes, size_t size);
  // Whether it is to go on later; ended_ otherwise.
  bool MayRetry(int result);
  void ParseFrames(absl::string_view bytes);
  void OnFrame();

  const int fd_;
  ssl_st* ssl_ = nullptr;
  bool socket_connected_ = false;
  bool connected_ = false;
  bool ended_ = false;
  bool wants_write_ = false;  // TLS cannot go on otherwise
  std::string unsent_;
  size_t unsent_begin_ = 0;  // of unsent_; the rest of it is gone
  int64_t sent_bytes_ = 0;
  int64_t received_bytes_ = 0;

  // Of the frame that is arriving.
  std::string head_;     // its 9 bytes
  std::string payload_;  // its first bytes
  size_t left_ = 0;      // of its payload

  std::map<uint8_t, int64_t> frames_;
  std::map<uint32_t, int64_t> resets_;
  std::map<uint32_t, int64_t> granted_;
  int64_t go_away_ = -1;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_RAW_PEER_H_
