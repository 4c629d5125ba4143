// What answers the requests of an HttpServer.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_HANDLER_H_
#define HOOKGATE_SERVER_HTTP_HTTP_HANDLER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

// The first part of a request, before its body. All views live as long as the call they came with.
class HttpHead {
 public:
  virtual ~HttpHead() = default;

  virtual absl::string_view method() const = 0;
  // Path and query: "/webhooks/openai?x=y". Of an absolute-form target, "http://HOST/PATH", the
  // part behind HOST (RFC 9112, section 3.2.2); otherwise as received.
  virtual absl::string_view target() const = 0;
  // The IP address at the other end of the connection, which may be a proxy's: "192.0.2.1",
  // "2001:db8::1". "" if it had gone before it could be asked.
  virtual absl::string_view peer() const = 0;
  // Visits the header fields, not those of a trailer. Repeats are visited each, one after the other
  // in the order received. Names have the sender's case.
  virtual void ForEachField(
      absl::FunctionRef<void(absl::string_view name, absl::string_view value)> visit) const = 0;
};

// Follows one answer on its way out; destroyed once it has gone, or its connection has.
class AnswerWatch {
 public:
  virtual ~AnswerWatch() = default;
  // The answer begins to be written. `closer` makes a function that closes its connection, whether
  // it is written or not; that may be called on any thread, and kept, and does nothing once the
  // connection has ended. On the connection's thread: must not block.
  using Closer = absl::FunctionRef<std::function<void()>()>;
  virtual void OnBegin(Closer /*closer*/) {}
  // All of the answer was written, so long after the head of its request had been read, or had
  // turned out not to be one. Not called for a connection that was refused before, and for an
  // answer that could not be written. On the connection's thread: must not block.
  virtual void OnWritten(absl::Duration since_head) = 0;
};

struct HttpResponse {
  int status = 200;
  absl::string_view content_type = "application/json";  // of static storage
  std::string body;
  // Further fields; Date, Content-Type, Content-Length and Connection are the server's.
  std::vector<std::pair<std::string, std::string>> fields;
  std::shared_ptr<AnswerWatch> watch;  // null: nobody follows it
};

// What the connection layer refuses on its own.
enum class HttpRefusal {
  kMalformed,           // 400: not HTTP, or HTTP that is ambiguous (both lengths given, bad chunk)
  kHeaderTooLarge,      // 431
  kBodyTooLarge,        // 413
  kHeaderTimeout,       // 408; a connection that sent nothing at all is closed without an answer
  kBodyTimeout,         // 408
  kTooManyConnections,  // 503
  kTooManyBodies,       // 503: there is no memory for the body (HttpServerOptions)
  kDraining,            // 503: the server goes down, and the request was not whole in time
};

// Calls are made from the server's threads, many at a time.
class HttpHandler {
 public:
  using Respond = absl::AnyInvocable<void(HttpResponse) &&>;

  virtual ~HttpHandler() = default;

  // The head has arrived, the body has not. A response refuses the request without its body being
  // read, and closes the connection; nullopt goes on.
  virtual absl::optional<HttpResponse> CheckHead(const HttpHead& head) = 0;

  // The whole request has arrived; `receive_time` is the wall time at which it had. `head` lives
  // until this returns. Calls `respond` once, now or later, on any thread; if it is destroyed
  // uncalled, the connection is closed without an answer.
  virtual void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
                      Respond respond) = 0;

  // The answer to a request that never reached Handle, so that all errors of an edge look alike.
  // `detail` says what was wrong with it. Of `head` only the peer is sure: it may be malformed, in
  // part or not at all there.
  virtual HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail,
                              const HttpHead& head) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_HANDLER_H_
