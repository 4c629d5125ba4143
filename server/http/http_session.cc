#include "server/http/http_session.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr size_t kFirstRead = 4096;
constexpr absl::Duration kLingerTime = absl::Seconds(2);
constexpr std::chrono::milliseconds kCancelAgain(20);

absl::string_view View(boost::beast::string_view view) { return {view.data(), view.size()}; }

class BeastHead final : public HttpHead {
 public:
  BeastHead(const HttpSession::Head& header, const std::string& peer)
      : header_(header), peer_(peer) {}

  absl::string_view method() const override { return View(header_.method_string()); }
  absl::string_view target() const override { return View(header_.target()); }
  absl::string_view peer() const override { return peer_; }
  void ForEachField(absl::FunctionRef<void(absl::string_view name, absl::string_view value)> visit)
      const override {
    for (const auto& field : header_) visit(View(field.name_string()), View(field.value()));
  }

 private:
  const HttpSession::Head& header_;
  const std::string& peer_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7). Made once a second on each thread.
const std::string& DateText(absl::Time now) {
  thread_local int64_t second = std::numeric_limits<int64_t>::min();
  thread_local std::string text;
  if (absl::ToUnixSeconds(now) != second) {
    second = absl::ToUnixSeconds(now);
    text = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", now, absl::UTCTimeZone());
  }
  return text;
}

// Put together by hand: Beast's serializer costs a quarter of the requests per second. In place of
// what `text` held, so that its memory serves for one answer after another.
void Compose(const HttpResponse& response, absl::Time now, bool keep_alive, bool with_body,
             std::string& text) {
  const auto reason = http::obsolete_reason(http::int_to_status(response.status));
  text.clear();
  absl::StrAppend(&text, "HTTP/1.1 ", response.status, " ", View(reason),
                  "\r\nDate: ", DateText(now), "\r\nContent-Type: ", response.content_type,
                  "\r\nContent-Length: ", response.body.size(),
                  keep_alive ? "\r\n" : "\r\nConnection: close\r\n");
  for (const auto& [name, value] : response.fields) {
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&text, "\r\n");
  if (with_body) absl::StrAppend(&text, response.body);
}

HttpRefusal RefusalOf(const error_code& error) {
  if (error == http::error::body_limit) return HttpRefusal::kBodyTooLarge;
  if (error == http::error::header_limit) return HttpRefusal::kHeaderTooLarge;
  return HttpRefusal::kMalformed;
}

// What was wrong, for people.
std::string DetailOf(const error_code& error, const HttpServerOptions& options) {
  if (error == http::error::body_limit) {
    return absl::StrCat("the body is larger than ", options.max_body_bytes, " bytes");
  }
  if (error == http::error::header_limit) {
    return absl::StrCat("the header is larger than ", options.max_header_bytes, " bytes");
  }
  if (error == http::error::buffer_overflow) return "a chunk's header or the trailer is too large";
  return error.message();
}

// Beast passes over a Transfer-Encoding that it does not know, and may take the body for shorter
// than the sender or a proxy does: the rest would be read as a request (RFC 9112, section 6.1).
bool HasDoubtfulLength(const HttpSession::Head& header) {
  const auto encodings = header.count(http::field::transfer_encoding);
  if (encodings == 0) return false;
  return encodings > 1 || header.version() < 11 ||
         !absl::EqualsIgnoreCase(View(header[http::field::transfer_encoding]), "chunked");
}

// Beast's own errors say that what came is not HTTP; the rest, that the connection is gone.
bool IsParseError(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

}  // namespace

// The answer that a handler owes. Destroyed without having been given, it closes the connection.
class HttpSession::AnswerDue {
 public:
  explicit AnswerDue(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  AnswerDue(AnswerDue&& other) = default;
  ~AnswerDue() {
    if (session_ != nullptr) session_->Close();
  }

  void operator()(HttpResponse response) && {
    AnswerQueue& answers = session_->answers_;
    answers.Push(std::move(session_), std::move(response));
  }

 private:
  std::shared_ptr<HttpSession> session_;
};

HttpSession::HttpSession(HttpSocket socket, std::shared_ptr<asio::ssl::context> tls,
                         const HttpServerOptions& options, HttpHandler& handler, const Clock& clock,
                         AnswerQueue& answers, std::function<void()> on_end)
    : at_end_{std::move(on_end)},
      options_(options),
      handler_(handler),
      clock_(clock),
      answers_(answers),
      stream_(std::move(socket), std::move(tls)),
      socket_(stream_.socket()),
      timer_(socket_.get_executor()),
      // Bounds what Beast collects before it can parse it: a head, a chunk's header, the trailer.
      buffer_(static_cast<size_t>(options.max_header_bytes) + kFirstRead) {}

void HttpSession::Start() { Connect(&HttpSession::ReadRequest); }

void HttpSession::StartRefusing() { Connect(&HttpSession::RefuseConnection); }

void HttpSession::Connect(void (HttpSession::*next)()) {
  asio::post(socket_.get_executor(), [self = shared_from_this(), next] {
    error_code ignored;
    self->socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    const auto endpoint = self->socket_.remote_endpoint(ignored);
    if (!ignored) self->peer_ = endpoint.address().to_string(ignored);
    if (!self->stream_.has_tls()) return (self.get()->*next)();
    self->SetPhase(Phase::kHandshake, self->options_.header_timeout);
    self->stream_.async_handshake([self, next](error_code error) {
      if (error || self->draining_) return self->CloseNow();
      (self.get()->*next)();
    });
  });
}

void HttpSession::RefuseConnection() {
  Refuse(HttpRefusal::kTooManyConnections, "the gateway has as many connections as it takes");
}

void HttpSession::Drain() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->draining_ = true;
    const bool idle = self->phase_ == Phase::kRest || self->phase_ == Phase::kHandshake;
    if (idle) self->CloseNow();
  });
}

void HttpSession::Close() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->CloseNow(); });
}

void HttpSession::ReadRequest() {
  head_request_ = false;
  head_before_trailer_.reset();
  parser_.reset();
  fields_memory_.release();
  parser_.emplace(std::piecewise_construct, std::make_tuple(),
                  std::make_tuple(Fields::allocator_type(&fields_memory_)));
  parser_->header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser_->body_limit(static_cast<uint64_t>(options_.max_body_bytes));
  if (buffer_.size() > 0) {  // A pipelined request.
    ReadHead();
    return;
  }
  SetPhase(Phase::kRest, options_.idle_timeout);
  stream_.async_read_some(buffer_.prepare(kFirstRead),
                          [self = shared_from_this()](error_code error, size_t bytes) {
                            if (error) return self->CloseNow();
                            self->buffer_.commit(bytes);
                            self->ReadHead();
                          });
}

void HttpSession::ReadHead() {
  head_bytes_ = 0;
  ParseHead();
}

// By hand, because Beast measures only what is not parsed yet: of a head that comes field by field,
// it would keep as much as is sent.
void HttpSession::ParseHead() {
  const size_t limit = static_cast<size_t>(options_.max_header_bytes);
  error_code error;
  const size_t parsed = parser_->put(buffer_.data(), error);
  buffer_.consume(parsed);
  head_bytes_ += parsed;
  const bool incomplete = error == http::error::need_more;
  const size_t bytes = head_bytes_ + (incomplete ? buffer_.size() : 0);
  if (bytes > limit) error = http::error::header_limit;
  if (!incomplete || bytes > limit) return OnHead(error);
  // Most heads come whole, and never get here.
  if (phase_ != Phase::kHead) SetPhase(Phase::kHead, options_.header_timeout);
  stream_.async_read_some(buffer_.prepare(kFirstRead),
                          [self = shared_from_this()](error_code read_error, size_t count) {
                            if (read_error) return self->OnHead(read_error);
                            self->buffer_.commit(count);
                            self->ParseHead();
                          });
}

void HttpSession::OnHead(error_code error) {
  if (error) {
    if (timed_out_) return Refuse(HttpRefusal::kHeaderTimeout, "the header came too slowly");
    if (IsParseError(error)) return Refuse(RefusalOf(error), DetailOf(error, options_));
    return CloseNow();
  }
  if (!socket_.is_open()) return;  // Closed while the head was on its way to here.
  const Head& head = parser_->get();
  head_request_ = head.method() == http::verb::head;
  if (HasDoubtfulLength(head)) {
    return Refuse(HttpRefusal::kMalformed, "the only Transfer-Encoding is chunked, in HTTP/1.1");
  }
  absl::optional<HttpResponse> refusal = handler_.CheckHead(BeastHead(head, peer_));
  if (refusal.has_value()) return Answer(*refusal, /*then_close=*/true);
  if (parser_->chunked()) head_before_trailer_ = head;
  if (!parser_->is_done() && head.version() >= 11 &&
      absl::EqualsIgnoreCase(View(head[http::field::expect]), "100-continue")) {
    return SendContinue();
  }
  ReadBody();
}

void HttpSession::SendContinue() {
  SetPhase(Phase::kBody, options_.body_timeout);
  asio::async_write(stream_, asio::buffer(kContinue, sizeof(kContinue) - 1),
                    [self = shared_from_this()](error_code error, size_t) {
                      if (error) return self->CloseNow();
                      self->ReadBody();
                    });
}

void HttpSession::ReadBody() {
  // Most bodies come with their head. Not chunks: of a chunk that is cut, Beast's parser must not
  // be asked twice before there is more.
  if (!parser_->is_done() && !parser_->chunked() && buffer_.size() > 0) {
    error_code error;
    buffer_.consume(parser_->put(buffer_.data(), error));
    if (error) return OnBody(error);
  }
  if (parser_->is_done()) return Handle();
  SetPhase(Phase::kBody, options_.body_timeout);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](error_code error, size_t) { self->OnBody(error); });
}

void HttpSession::OnBody(error_code error) {
  if (!error) return Handle();
  if (timed_out_) return Refuse(HttpRefusal::kBodyTimeout, "the body came too slowly");
  if (IsParseError(error)) return Refuse(RefusalOf(error), DetailOf(error, options_));
  CloseNow();
}

void HttpSession::Handle() {
  if (!socket_.is_open()) return;
  SetPhase(Phase::kHandling, absl::InfiniteDuration());
  auto& request = parser_->get();
  const Head& head = head_before_trailer_.has_value() ? *head_before_trailer_ : request;
  handler_.Handle(BeastHead(head, peer_), std::move(request.body()), clock_.WallNow(),
                  AnswerDue(shared_from_this()));
}

void HttpSession::TakeAnswer(const HttpResponse& response) {
  Answer(response, /*then_close=*/false);
}

void HttpSession::Refuse(HttpRefusal refusal, absl::string_view detail) {
  Answer(handler_.Refuse(refusal, detail), /*then_close=*/true);
}

void HttpSession::Answer(const HttpResponse& response, bool then_close) {
  if (!socket_.is_open()) return;
  // HTTP/1.0 keeps connections only by an agreement that is not made here.
  const bool keep_alive = !then_close && !draining_ && parser_.has_value() &&
                          parser_->get().version() >= 11 && parser_->get().keep_alive();
  close_after_answer_ = !keep_alive;
  Compose(response, clock_.WallNow(), keep_alive, /*with_body=*/!head_request_, answer_);
  SetPhase(Phase::kAnswering, options_.write_timeout);
  asio::async_write(
      stream_, asio::buffer(answer_),
      [self = shared_from_this()](error_code error, size_t) { self->OnAnswered(error); });
}

void HttpSession::OnAnswered(error_code error) {
  if (error) return CloseNow();
  if (close_after_answer_ || draining_) return Linger();
  ReadRequest();
}

void HttpSession::Linger() {
  error_code error;
  socket_.shutdown(HttpSocket::shutdown_send, error);
  if (error) return CloseNow();
  SetPhase(Phase::kLingering, kLingerTime);
  buffer_.consume(buffer_.size());
  ReadAndDiscard();
}

// Below TLS: the peer knows by its length that the answer was whole, and what it still sends is
// read by nobody.
void HttpSession::ReadAndDiscard() {
  socket_.async_read_some(buffer_.prepare(kFirstRead),
                          [self = shared_from_this()](error_code error, size_t) {
                            if (error) return self->CloseNow();
                            self->ReadAndDiscard();
                          });
}

void HttpSession::CloseNow() {
  error_code ignored;
  timer_.cancel();
  socket_.close(ignored);
}

void HttpSession::SetPhase(Phase phase, absl::Duration limit) {
  phase_ = phase;
  timed_out_ = false;
  deadline_ = limit == absl::InfiniteDuration()
                  ? SteadyClock::time_point::max()
                  : SteadyClock::now() + absl::ToChronoNanoseconds(limit);
  // A closed connection has nothing to wait for, and its timer would keep it alive.
  if (socket_.is_open() && deadline_ < timer_expiry_) WatchDeadline();
}

// Moving the timer with each phase would cost more than the request. It is only moved to an earlier
// moment; when it fires too early, it looks how far the deadline has moved meanwhile.
void HttpSession::WatchDeadline() {
  timer_expiry_ = deadline_;
  timer_.expires_at(deadline_);  // Ends the wait before, if there is one, with an error.
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || !self->socket_.is_open()) return;
    self->timer_expiry_ = SteadyClock::time_point::max();
    if (SteadyClock::now() < self->deadline_) {
      if (self->deadline_ != SteadyClock::time_point::max()) self->WatchDeadline();
      return;
    }
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
    // A read that ended just before escapes this, and is followed by the next one of its phase:
    // cancel again until the phase has changed.
    self->deadline_ = SteadyClock::now() + kCancelAgain;
    self->WatchDeadline();
  });
}

}  // namespace hookgate
