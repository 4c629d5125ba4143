// One HTTP connection: reads a request, has it handled, writes the answer, and so on.
//
//   connecting until the first byte of the first request, with   header_timeout
//              the TLS handshake where there is one
//   rest       since the last answer                             idle_timeout
//   head       a request's first byte has come                   header_timeout
//   body       its head has been accepted                        body_timeout
//   handling   the handler has it                                no limit: it always answers
//   answering  the answer is being sent                          write_timeout
//   lingering  an answer was sent before all had been read: what still comes is thrown away for a
//              moment, since closing at once would reset the connection and destroy the answer
//
// While the server drains, and when the place of the connection is needed, less: see Drain and
// MakeRoom.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_
#define HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/http/answer_queue.h"
#include "server/http/http_handler.h"
#include "server/http/http_options.h"
#include "server/http/http_stream.h"
#include "server/http/request_parser.h"
#include "server/http/session_deadline.h"
#include "server/net/body_budget.h"
#include "server/net/connection_table.h"

namespace hookgate {

// All work runs on the one thread that runs the socket's io_context. Lives as long as an operation
// is pending or the handler owes an answer.
class HttpSession final : public AnswerRecipient,
                          public TrackedConnection,
                          public BodyHolder,
                          public std::enable_shared_from_this<HttpSession> {
 public:
  // What all sessions of a server share, and what outlives them.
  struct Shared {
    const HttpServerOptions& options;
    HttpHandler& handler;
    const Clock& clock;
    BodyBudget& bodies;
  };

  // `peer` is the address at the other end, `origin` whom its bodies count with. `tls` is null for
  // plain text. `answers` is of the socket's io_context, and outlives the session. `on_end` runs
  // once, at the very end of its destruction: nothing of the session uses its io_context
  // afterwards.
  HttpSession(HttpSocket socket, std::string peer, const BodyOrigin& origin,
              std::shared_ptr<boost::asio::ssl::context> tls, const Shared& shared,
              AnswerQueue& answers, std::function<void()> on_end);

  // One of these, once; any thread.
  void Start();
  // Answers 503 with `detail` instead of reading a request.
  void StartRefusing(std::string detail);

  // Closes if no request is under way. A request that is still arriving has drain_patience, then it
  // is answered 503; one that the handler has is answered, and then the connection closes. A peer
  // that takes its answer slowly has drain_patience too, unless its request was accepted. Any
  // thread.
  void Drain();
  // Closes now. Any thread.
  void Close();
  void MakeRoom() override;
  void GiveUpBody() override;

  // What the handler owed.
  void TakeAnswer(const HttpResponse& response) override;
  void GoOn() override;

 private:
  enum class Phase { kConnecting, kRest, kHead, kBody, kHandling, kAnswering, kLingering };
  class PendingResponse;
  struct AtEnd {
    ~AtEnd() { run(); }
    const std::function<void()> run;
  };

  // Goes on with `next` once the peer is connected, through TLS where there is any.
  void Connect(void (HttpSession::*next)());
  void RefuseConnection();
  void ReadRequest();
  void AwaitRequest();
  void ParseHead();
  void LookForFold(absl::string_view bytes);
  void OnHead(boost::system::error_code error);
  // Why a head that Beast takes is refused, or "".
  std::string ProblemOfHead() const;
  void SendContinue();
  void ReadBody();
  void ParseBody();
  void ReadMoreOfBody();
  void OnBody(boost::system::error_code error);
  void Handle();
  void Refuse(HttpRefusal refusal, absl::string_view detail);
  // Because the server drains, or `otherwise`.
  void RefuseLate(HttpRefusal otherwise, absl::string_view detail);
  void FreeBody();
  // Sends `response` and goes on; `then_close`: nothing more is read from this connection.
  void Answer(const HttpResponse& response, bool then_close);
  // Begins to send `response`. Whether all of it has been written, so that OnAnswered is left to
  // the caller; otherwise it follows by itself.
  bool BeginAnswer(const HttpResponse& response, bool then_close);
  void OnAnswered(boost::system::error_code error);
  void Linger();
  void ReadAndDiscard();
  void CloseNow();

  bool IsIdle() const { return phase_ == Phase::kConnecting || phase_ == Phase::kRest; }
  bool IsArriving() const { return phase_ == Phase::kHead || phase_ == Phase::kBody; }
  void SetPhase(Phase phase, absl::Duration limit);
  void ShortenPhase(absl::Duration limit);
  void SetTimer(absl::Duration now);
  absl::Duration LimitWhileDraining(absl::Duration limit) const;

  // Constant after construction.
  const AtEnd at_end_;  // first, since the first member is destroyed last
  const HttpServerOptions& options_;
  HttpHandler& handler_;
  const Clock& clock_;
  BodyBudget& bodies_;
  AnswerQueue& answers_;
  const std::string peer_;
  const BodyOrigin origin_;

  // Touched only on the io_context's thread.
  std::string refusal_;  // of the connection as such
  HttpStream stream_;
  HttpSocket& socket_;  // of stream_
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    HttpExecutor>
      timer_;  // only wakes: what time it is, clock_ says
  SessionDeadline deadline_;
  Phase phase_ = Phase::kConnecting;
  absl::Duration arriving_since_;  // the request that is in kHead or kBody
  bool draining_ = false;
  bool leaving_ = false;         // its place is needed
  bool proven_ = false;          // a request on it was answered 2xx
  bool answer_accepts_ = false;  // the answer that is being sent is a 2xx
  bool body_given_up_ = false;   // others need the memory of the body that is being read
  bool close_after_answer_ = false;
  bool answer_written_ = false;  // OnAnswered is due for it
  bool head_request_ = false;    // HEAD: the answer has no body
  boost::beast::flat_buffer buffer_;
  // Of the head that is being read; a longer one takes the rest from the heap.
  std::array<std::byte, 1024> head_room_;
  std::pmr::monotonic_buffer_resource head_memory_{head_room_.data(), head_room_.size()};
  std::optional<RequestParser> parser_;  // a new one for each request
  size_t head_bytes_ = 0;                // of the head that is being read, as far as it is parsed
  bool after_line_ = false;              // the last of these was a line feed
  bool folded_ = false;                  // a line of the head goes on in the next one
  // Of the body that is being read. Made in Connect, since it refers to the session.
  std::optional<BodyBudget::Share> share_;
  std::string answer_;                  // Asio's while it is being sent
  std::shared_ptr<AnswerWatch> watch_;  // of the same
  // Of the request, on the monotonic clock: when its head had been read, or what came of it.
  absl::optional<absl::Duration> head_read_at_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_SESSION_H_
