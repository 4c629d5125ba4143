// What HTTP alone costs: Boost.Beast answering the same bytes to every request, with no work done.
#ifndef HOOKGATE_TESTS_BENCH_BARE_HTTP_SERVER_H_
#define HOOKGATE_TESTS_BENCH_BARE_HTTP_SERVER_H_

#include <memory>
#include <string>

namespace hookgate {

// Serves from its construction to its destruction, by one thread: on one core more are slower.
class BareHttpServer {
 public:
  // Answers at once.
  BareHttpServer();
  // Answers once a GroupCommitter in `folder` has committed an entry for the request: HTTP and
  // durability, and nothing else.
  explicit BareHttpServer(const std::string& folder);
  ~BareHttpServer();

  const std::string& address() const { return address_; }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  std::string address_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_BARE_HTTP_SERVER_H_
