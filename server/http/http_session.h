// One HTTP connection: reads a request, has it handled, writes the answer, and so on.
//
//   handshake  TLS, where there is any                           header_timeout
//   rest       nothing has come yet, or since the last answer    idle_timeout
//   head       a request's first byte has come                   header_timeout
//   body       its head has been accepted                        body_timeout
//   handling   the handler has it                                no limit: it always answers
//   answering  the answer is being sent                          write_timeout
//   lingering  an answer was sent before all had been read: what still comes is thrown away for a
//              moment, since closing at once would reset the connection and destroy the answer
#ifndef HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_
#define HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>

#include "server/base/clock.h"
#include "server/http/answer_queue.h"
#include "server/http/http_handler.h"
#include "server/http/http_options.h"
#include "server/http/http_stream.h"

namespace hookgate {

// All work runs on the one thread that runs the socket's io_context. Lives as long as an operation
// is pending or the handler owes an answer.
class HttpSession final : public AnswerRecipient, public std::enable_shared_from_this<HttpSession> {
 public:
  using Fields = boost::beast::http::basic_fields<std::pmr::polymorphic_allocator<char>>;
  using Head = boost::beast::http::request_header<Fields>;

  // `tls` is null for plain text. The references outlive the session; `answers` is of the socket's
  // io_context. `on_end` runs once, at the very end of its destruction: nothing of the session uses
  // its io_context afterwards.
  HttpSession(HttpSocket socket, std::shared_ptr<boost::asio::ssl::context> tls,
              const HttpServerOptions& options, HttpHandler& handler, const Clock& clock,
              AnswerQueue& answers, std::function<void()> on_end);

  // One of these, once; any thread.
  void Start();
  void StartRefusing();

  // Closes if no request is under way; otherwise after its answer. Any thread.
  void Drain();
  // Closes now. Any thread.
  void Close();

  // What the handler owed.
  void TakeAnswer(const HttpResponse& response) override;

 private:
  using Parser =
      boost::beast::http::request_parser<boost::beast::http::string_body, Fields::allocator_type>;
  using SteadyClock = std::chrono::steady_clock;
  enum class Phase { kHandshake, kRest, kHead, kBody, kHandling, kAnswering, kLingering };
  class AnswerDue;
  struct AtEnd {
    ~AtEnd() { run(); }
    const std::function<void()> run;
  };

  // Goes on with `next` once the peer is connected, through TLS where there is any.
  void Connect(void (HttpSession::*next)());
  void RefuseConnection();
  void ReadRequest();
  void ReadHead();
  void ParseHead();
  void OnHead(boost::system::error_code error);
  void SendContinue();
  void ReadBody();
  void OnBody(boost::system::error_code error);
  void Handle();
  void Refuse(HttpRefusal refusal, absl::string_view detail);
  // Sends `response`; `then_close`: nothing more is read from this connection.
  void Answer(const HttpResponse& response, bool then_close);
  void OnAnswered(boost::system::error_code error);
  void Linger();
  void ReadAndDiscard();
  void CloseNow();

  void SetPhase(Phase phase, absl::Duration limit);
  void WatchDeadline();

  // Constant after construction.
  const AtEnd at_end_;  // first, since the first member is destroyed last
  const HttpServerOptions& options_;
  HttpHandler& handler_;
  const Clock& clock_;
  AnswerQueue& answers_;

  // Touched only on the io_context's thread.
  HttpStream stream_;
  HttpSocket& socket_;  // of stream_
  std::string peer_;
  boost::asio::basic_waitable_timer<SteadyClock, boost::asio::wait_traits<SteadyClock>,
                                    HttpExecutor>
      timer_;
  SteadyClock::time_point deadline_ = SteadyClock::time_point::max();
  Phase phase_ = Phase::kHandshake;
  SteadyClock::time_point timer_expiry_ = SteadyClock::time_point::max();  // max: it is not set
  bool timed_out_ = false;  // it was the deadline that cancelled the operation under way
  bool draining_ = false;
  bool close_after_answer_ = false;
  bool head_request_ = false;  // HEAD: the answer has no body
  boost::beast::flat_buffer buffer_;
  // Of the fields of the head that is being read; a longer one takes the rest from the heap.
  std::array<std::byte, 1024> fields_room_;
  std::pmr::monotonic_buffer_resource fields_memory_{fields_room_.data(), fields_room_.size()};
  std::optional<Parser> parser_;  // a new one for each request
  size_t head_bytes_ = 0;         // of the head that is being read, as far as it is parsed
  // A chunked request's head as it came: Beast adds the trailer's fields to the parser's.
  std::optional<Head> head_before_trailer_;
  std::string answer_;  // Asio's while it is being sent
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_
