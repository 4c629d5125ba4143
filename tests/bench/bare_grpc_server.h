// What gRPC alone costs: a server that sends one ready frame again and again to every caller.
#ifndef HOOKGATE_TESTS_BENCH_BARE_GRPC_SERVER_H_
#define HOOKGATE_TESTS_BENCH_BARE_GRPC_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

namespace hookgate {

// Serves from its construction to its destruction.
class BareGrpcServer {
 public:
  // To each call of whatever method: `events` events, in frames of `events_per_frame` like those of
  // Subscribe, as fast as the caller takes them.
  BareGrpcServer(int64_t events, int64_t events_per_frame);
  // To each call: a frame of one event, whose receive_time is when it was sent, so many times a
  // second.
  explicit BareGrpcServer(double events_per_second);
  // To each call: one empty message and OK, once its own message has come.
  BareGrpcServer();
  ~BareGrpcServer();

  const std::string& address() const { return address_; }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  std::string address_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_BARE_GRPC_SERVER_H_
