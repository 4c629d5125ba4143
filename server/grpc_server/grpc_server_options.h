// The address and limits of a GrpcServer. What exceeds one is refused, counted and logged at a
// bounded rate (grpc_refusal.h).
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_OPTIONS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

struct GrpcServerOptions {
  std::string address = "127.0.0.1:0";  // HOST:PORT, [HOST]:PORT for IPv6; port 0 takes a free one
  int threads = 0;  // 0: one for each core that the process may run on, at most 4

  // Connections. When there are more, the one that is idle for longest leaves, first those on which
  // no caller has been identified (net/connection_table.h).
  int max_connections = 12'000;
  int max_connections_per_address = 0;  // 0: a quarter of max_connections, but not below 64
  // Connections on which no caller has been identified. When there are so many, and none of them is
  // older than a second, new ones wait in the kernel's queue.
  int max_unidentified_connections = 512;
  // Of the time of each thread, in percent: what is read from connections on which no caller has
  // been identified takes no more. What they send beyond that waits in the kernel, handshakes of
  // TLS apart.
  int max_unidentified_time_percent = 25;
  // TLS: connections beyond that wait in the kernel's queue; those of an address are closed before
  // they begin. After a quiet second, twice as many at once (net/handshake_limiter.h).
  int max_handshakes_per_second = 1'000;
  int max_handshakes_per_second_per_address = 0;  // 0: a quarter of that, but at least 1
  bool client_ca_required = false;                // TLS: clients without a certificate are refused

  // Calls.
  int max_calls_per_connection = 1'000;
  // On a connection on which no caller has been identified; those beyond are refused.
  int max_calls_per_unidentified_connection = 100;
  int max_calls = 20'000;

  // Bytes that clients send.
  size_t max_header_list_bytes = 16 << 10;  // of one call: names, values and 32 for each of them
  size_t max_message_bytes = 1 << 20;
  size_t max_inbound_bytes_per_connection = 8 << 20;  // what messages hold that are not whole yet
  // The memory that they take, of all connections, but for 16 KiB of each.
  size_t max_inbound_bytes = 12 << 20;

  // Bytes of answers of unary calls that wait for clients which take them slowly, or not at all.
  size_t max_outbound_bytes_per_connection = 16 << 20;
  size_t max_outbound_bytes = 32 << 20;  // the same, of all connections
  // Bytes of messages of streams that clients have taken a part of: each counts once, however many
  // streams share it. When there are more, streams of whoever holds most are reset.
  size_t max_stream_bytes = 256 << 20;

  // Frames that carry nothing: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty or padded DATA; and
  // updates of TLS keys. A connection may send `burst` at once and then `per_second`, and more for
  // each call and frame it is served.
  int empty_frames_burst = 10'000;
  int empty_frames_per_second = 1'000;
  // Calls that were cancelled, or reset because of an error of the client.
  int resets_burst = 1'000;
  int resets_per_second = 100;
  // Frames that wait for a peer that takes no bytes, other than messages: above it nothing more is
  // read of what it sends.
  int max_outbound_frames = 100;

  // Time-outs.
  absl::Duration handshake_timeout = absl::Seconds(10);  // connection to first SETTINGS, with TLS
  absl::Duration header_timeout = absl::Seconds(10);     // first to last byte of a header block
  // From the headers to the end of the request where the client sends one message; first to last
  // byte of a message that was asked for where it sends a stream.
  absl::Duration message_timeout = absl::Seconds(30);
  absl::Duration write_timeout = absl::Seconds(60);  // in which the peer takes no byte
  absl::Duration idle_timeout = absl::Minutes(10);   // without a call
  absl::Duration unidentified_idle_timeout = absl::Minutes(1);
  absl::Duration max_connection_age = absl::InfiniteDuration();  // up to a tenth less
  absl::Duration max_connection_age_grace = absl::Seconds(30);   // for calls to end after it
  absl::Duration keepalive_interval = absl::Seconds(60);  // without a byte: the peer is pinged
  absl::Duration keepalive_timeout = absl::Seconds(20);   // for it to answer
  // How long an upload whose answer is out may go on, so that proxies pass the answer on.
  absl::Duration upload_patience = absl::Seconds(5);
  // While draining: how long requests that are still arriving are waited for.
  absl::Duration drain_patience = absl::Milliseconds(500);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_OPTIONS_H_
