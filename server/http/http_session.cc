#include "server/http/http_session.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr size_t kFirstRead = 4096;
constexpr size_t kBodyRead = 16 << 10;
// What a resting connection keeps of its buffer for reading, and of the one for its answer.
constexpr size_t kKeptBuffer = 8 << 10;
constexpr absl::Duration kLingerTime = absl::Seconds(2);

constexpr char kNoRoomForBody[] =
    "the gateway has no memory left for bodies that are still arriving: send the webhook again";

absl::string_view View(boost::beast::string_view view) { return {view.data(), view.size()}; }

// What a handler asks for, of whichever form `target` is.
absl::string_view PathOf(absl::string_view target) {
  if (absl::StartsWith(target, "/")) return target;  // almost always
  for (const absl::string_view scheme : {"http://", "https://"}) {
    if (!absl::StartsWithIgnoreCase(target, scheme)) continue;
    const absl::string_view rest = target.substr(scheme.size());
    const size_t path = rest.find_first_of("/?");
    if (path == 0 || rest.empty()) return target;  // It names no host.
    if (path == absl::string_view::npos) return "/";
    return rest[path] == '/' ? rest.substr(path) : target;
  }
  return target;
}

// `head` may be null: nothing has come but the connection.
class ReadHead final : public HttpHead {
 public:
  ReadHead(const HttpRequestHead* head, const std::string& peer) : head_(head), peer_(peer) {}

  absl::string_view method() const override { return head_ == nullptr ? "" : head_->method; }
  absl::string_view target() const override {
    return head_ == nullptr ? "" : PathOf(head_->target);
  }
  absl::string_view peer() const override { return peer_; }
  void ForEachField(absl::FunctionRef<void(absl::string_view name, absl::string_view value)> visit)
      const override {
    if (head_ == nullptr) return;
    for (const HttpRequestHead::Field& field : head_->fields) visit(field.name, field.value);
  }

 private:
  const HttpRequestHead* const head_;
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
bool HasDoubtfulLength(const HttpRequestHead& head) {
  const size_t encodings = head.Count(http::field::transfer_encoding);
  if (encodings == 0) return false;
  return encodings > 1 || head.version < 11 ||
         !absl::EqualsIgnoreCase(head.ValueOf(http::field::transfer_encoding), "chunked");
}

// A proxy in front chooses by Host where a request goes; two of them, none, or one that is none,
// may be read in more than one way (RFC 9112, section 3.2).
bool HasDoubtfulHost(const HttpRequestHead& head) {
  const size_t hosts = head.Count(http::field::host);
  if (hosts != 1) return hosts > 1 || head.version >= 11;
  const absl::string_view host = head.ValueOf(http::field::host);
  constexpr absl::string_view kMarks = "-._~!$&'()*+,;=%:[]";
  return !std::all_of(host.begin(), host.end(), [&kMarks](char byte) {
    return absl::ascii_isalnum(static_cast<unsigned char>(byte)) ||
           kMarks.find(byte) != absl::string_view::npos;
  });
}

// Beast's own errors say that what came is not HTTP; the rest, that the connection is gone.
bool IsParseError(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

}  // namespace

// The answer that a handler owes. Destroyed without having been given, it closes the connection.
class HttpSession::PendingResponse {
 public:
  explicit PendingResponse(std::shared_ptr<HttpSession> session) : session_(std::move(session)) {}
  PendingResponse(PendingResponse&& other) = default;
  ~PendingResponse() {
    if (session_ != nullptr) session_->Close();
  }

  void operator()(HttpResponse response) && {
    AnswerQueue& answers = session_->answers_;
    answers.Push(std::move(session_), std::move(response));
  }

 private:
  std::shared_ptr<HttpSession> session_;
};

HttpSession::HttpSession(HttpSocket socket, std::string peer, const BodyOrigin& origin,
                         std::shared_ptr<asio::ssl::context> tls, const Shared& shared,
                         AnswerQueue& answers, std::function<void()> on_end)
    : at_end_{std::move(on_end)},
      options_(shared.options),
      handler_(shared.handler),
      clock_(shared.clock),
      bodies_(shared.bodies),
      answers_(answers),
      peer_(std::move(peer)),
      origin_(origin),
      stream_(std::move(socket), std::move(tls)),
      socket_(stream_.socket()),
      timer_(socket_.get_executor()),
      // Bounds what Beast collects before it can parse it: a head, a chunk's header, the trailer.
      buffer_(static_cast<size_t>(options_.max_header_bytes) + kFirstRead) {
  SetState(ConnectionState::kIdleUnproven, clock_.MonotonicNow());
}

void HttpSession::Start() { Connect(&HttpSession::ReadRequest); }

void HttpSession::StartRefusing(std::string detail) {
  refusal_ = std::move(detail);
  Connect(&HttpSession::RefuseConnection);
}

void HttpSession::Connect(void (HttpSession::*next)()) {
  asio::post(socket_.get_executor(), [self = shared_from_this(), next] {
    if (self->draining_ || !self->socket_.is_open()) return self->CloseNow();
    error_code ignored;
    self->socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (!self->stream_.has_tls()) self->socket_.non_blocking(true, ignored);
    self->share_.emplace(self->bodies_, self->origin_, self->weak_from_this());
    self->SetPhase(Phase::kConnecting, self->options_.header_timeout);
    if (!self->stream_.has_tls()) return (self.get()->*next)();
    self->stream_.async_handshake([self, next](error_code error) {
      if (error || self->draining_) return self->CloseNow();
      (self.get()->*next)();
    });
  });
}

void HttpSession::RefuseConnection() { Refuse(HttpRefusal::kTooManyConnections, refusal_); }

void HttpSession::Drain() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->draining_ = true;
    if (self->IsIdle()) return self->CloseNow();
    const bool slow_peer = self->phase_ == Phase::kAnswering && !self->answer_accepts_;
    if (self->IsArriving() || slow_peer || self->phase_ == Phase::kLingering) {
      self->ShortenPhase(self->options_.drain_patience);
    }
  });
}

void HttpSession::Close() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->CloseNow(); });
}

void HttpSession::MakeRoom() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->leaving_ = true;
    const bool busy = self->phase_ == Phase::kHandling || self->phase_ == Phase::kAnswering;
    if (!busy) self->CloseNow();
  });
}

void HttpSession::GiveUpBody() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->phase_ != Phase::kBody) return;
    self->body_given_up_ = true;
    self->ShortenPhase(absl::ZeroDuration());
  });
}

void HttpSession::ReadRequest() {
  head_request_ = false;
  body_given_up_ = false;
  head_read_at_.reset();
  parser_.reset();
  head_memory_.release();
  parser_.emplace(&head_memory_, *share_);
  parser_->header_limit(static_cast<uint32_t>(options_.max_header_bytes));
  parser_->body_limit(static_cast<uint64_t>(options_.max_body_bytes));
  head_bytes_ = 0;
  after_line_ = false;
  folded_ = false;
  if (buffer_.size() == 0 && buffer_.capacity() > kKeptBuffer) buffer_.shrink_to_fit();
  // The first request has what is left of the time for connecting.
  if (phase_ != Phase::kConnecting) SetPhase(Phase::kRest, options_.idle_timeout);
  AwaitRequest();
}

// Empty lines before a request are passed over, and are not its beginning: some clients send one
// after a body (RFC 9112, section 2.2).
void HttpSession::AwaitRequest() {
  const auto bytes = [this] {
    return absl::string_view(static_cast<const char*>(buffer_.data().data()), buffer_.size());
  };
  while (absl::StartsWith(bytes(), "\r\n")) {
    buffer_.consume(2);
    head_bytes_ += 2;
  }
  const bool too_many = head_bytes_ > static_cast<size_t>(options_.max_header_bytes);
  if (too_many || (!bytes().empty() && bytes() != "\r")) return ParseHead();
  stream_.async_read_some(buffer_.prepare(kFirstRead),
                          [self = shared_from_this()](error_code error, size_t count) {
                            if (error) return self->CloseNow();
                            self->buffer_.commit(count);
                            self->AwaitRequest();
                          });
}

// By hand, because Beast measures only what is not parsed yet: of a head that comes field by field,
// it would keep as much as is sent. And because it takes a folded line (RFC 9112, section 5.2) for
// one with blanks, where a proxy in front may see two.
void HttpSession::ParseHead() {
  const size_t limit = static_cast<size_t>(options_.max_header_bytes);
  error_code error;
  const size_t parsed = parser_->put(buffer_.data(), error);
  LookForFold({static_cast<const char*>(buffer_.data().data()), parsed});
  buffer_.consume(parsed);
  head_bytes_ += parsed;
  const bool incomplete = error == http::error::need_more;
  const size_t all = head_bytes_ + (incomplete ? buffer_.size() : 0);
  if (all > limit) error = http::error::header_limit;
  if (!incomplete || all > limit) return OnHead(error);
  // Most heads come whole, and never get here.
  if (phase_ != Phase::kHead) SetPhase(Phase::kHead, options_.header_timeout);
  stream_.async_read_some(buffer_.prepare(kFirstRead),
                          [self = shared_from_this()](error_code read_error, size_t count) {
                            if (read_error) return self->OnHead(read_error);
                            self->buffer_.commit(count);
                            self->ParseHead();
                          });
}

// `bytes` are the next ones of the head.
void HttpSession::LookForFold(absl::string_view bytes) {
  const auto is_blank = [bytes](size_t at) {
    return at < bytes.size() && (bytes[at] == ' ' || bytes[at] == '\t');
  };
  folded_ = folded_ || (after_line_ && is_blank(0));
  for (size_t line = bytes.find('\n'); line != absl::string_view::npos;
       line = bytes.find('\n', line + 1)) {
    folded_ = folded_ || is_blank(line + 1);
  }
  if (!bytes.empty()) after_line_ = bytes.back() == '\n';
}

void HttpSession::OnHead(error_code error) {
  head_read_at_ = clock_.MonotonicNow();
  if (error) {
    if (deadline_.expired()) {
      return RefuseLate(HttpRefusal::kHeaderTimeout, "the header came too slowly");
    }
    if (IsParseError(error)) return Refuse(RefusalOf(error), DetailOf(error, options_));
    return CloseNow();
  }
  if (!socket_.is_open()) return;  // Closed while the head was on its way to here.
  const HttpRequestHead& head = parser_->head();
  head_request_ = head.method == "HEAD";
  if (const std::string problem = ProblemOfHead(); !problem.empty()) {
    return Refuse(HttpRefusal::kMalformed, problem);
  }
  absl::optional<HttpResponse> refusal = handler_.CheckHead(ReadHead(&head, peer_));
  if (refusal.has_value()) return Answer(*refusal, /*then_close=*/true);
  // Before any of the body is read, or asked for. Of chunks it is not known how much they will be.
  if (const auto length = parser_->content_length();
      length && !bodies_.HasRoomFor(static_cast<int64_t>(*length), origin_)) {
    return Refuse(HttpRefusal::kTooManyBodies, kNoRoomForBody);
  }
  if (!parser_->is_done() && head.version >= 11 &&
      absl::EqualsIgnoreCase(head.ValueOf(http::field::expect), "100-continue")) {
    return SendContinue();
  }
  ReadBody();
}

std::string HttpSession::ProblemOfHead() const {
  const HttpRequestHead& head = parser_->head();
  if (folded_) return "a header field continues on the next line, which begins with a space";
  if (HasDoubtfulLength(head)) return "the only Transfer-Encoding is chunked, in HTTP/1.1";
  if (HasDoubtfulHost(head)) {
    return head.Count(http::field::host) == 1
               ? "the field Host holds bytes that no name or address of a host has"
               : absl::StrCat("there must be one field Host, not ", head.Count(http::field::host));
  }
  return "";
}

void HttpSession::SendContinue() {
  SetPhase(Phase::kBody, options_.body_timeout);
  asio::async_write(stream_, asio::buffer(kContinue, sizeof(kContinue) - 1),
                    [self = shared_from_this()](error_code error, size_t) {
                      if (error) return self->CloseNow();
                      self->ReadBody();
                    });
}

// Most bodies come with their head.
void HttpSession::ReadBody() {
  if (parser_->is_done()) return Handle();
  parser_->eager(true);
  if (buffer_.size() > 0) return ParseBody();
  ReadMoreOfBody();
}

// Only when there is more than the last time: of a chunk that is cut, Beast's parser must not be
// asked twice about the same bytes.
void HttpSession::ParseBody() {
  error_code error;
  buffer_.consume(parser_->put(buffer_.data(), error));
  if (error && error != http::error::need_more) return OnBody(error);
  if (parser_->is_done()) return Handle();
  ReadMoreOfBody();
}

void HttpSession::ReadMoreOfBody() {
  if (phase_ != Phase::kBody) SetPhase(Phase::kBody, options_.body_timeout);
  const size_t room = buffer_.max_size() - buffer_.size();
  if (room == 0) return OnBody(http::error::buffer_overflow);
  stream_.async_read_some(buffer_.prepare(std::min(kBodyRead, room)),
                          [self = shared_from_this()](error_code error, size_t count) {
                            if (error) return self->OnBody(error);
                            self->buffer_.commit(count);
                            self->ParseBody();
                          });
}

void HttpSession::OnBody(error_code error) {
  const bool no_room = body_given_up_ || parser_->body().no_room();
  if (no_room) return Refuse(HttpRefusal::kTooManyBodies, kNoRoomForBody);
  if (deadline_.expired()) {
    return RefuseLate(HttpRefusal::kBodyTimeout, "the body came too slowly");
  }
  if (IsParseError(error)) return Refuse(RefusalOf(error), DetailOf(error, options_));
  CloseNow();
}

void HttpSession::Handle() {
  if (!socket_.is_open()) return;
  SetPhase(Phase::kHandling, absl::InfiniteDuration());
  handler_.Handle(ReadHead(&parser_->head(), peer_), std::move(parser_->body().text()),
                  clock_.WallNow(), PendingResponse(shared_from_this()));
  FreeBody();
}

void HttpSession::TakeAnswer(const HttpResponse& response) {
  answer_written_ = BeginAnswer(response, /*then_close=*/false);
}

void HttpSession::GoOn() {
  if (std::exchange(answer_written_, false)) OnAnswered({});
}

void HttpSession::Refuse(HttpRefusal refusal, absl::string_view detail) {
  const HttpRequestHead* const head = parser_.has_value() ? &parser_->head() : nullptr;
  FreeBody();
  Answer(handler_.Refuse(refusal, detail, ReadHead(head, peer_)), /*then_close=*/true);
}

void HttpSession::RefuseLate(HttpRefusal otherwise, absl::string_view detail) {
  if (!draining_) return Refuse(otherwise, detail);
  Refuse(HttpRefusal::kDraining, "the gateway is going down: send the webhook again");
}

void HttpSession::FreeBody() {
  if (parser_.has_value()) std::string().swap(parser_->body().text());
  if (share_.has_value()) share_->Release();
}

void HttpSession::Answer(const HttpResponse& response, bool then_close) {
  if (BeginAnswer(response, then_close)) OnAnswered({});
}

bool HttpSession::BeginAnswer(const HttpResponse& response, bool then_close) {
  if (!socket_.is_open()) return false;
  const bool keep_alive = !then_close && !draining_ && !leaving_ && parser_.has_value() &&
                          parser_->head().KeepsConnection();
  close_after_answer_ = !keep_alive;
  answer_accepts_ = response.status / 100 == 2;
  proven_ = proven_ || answer_accepts_;
  watch_ = response.watch;
  if (watch_ != nullptr) {
    watch_->OnBegin([this]() -> std::function<void()> {
      return [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Close();
      };
    });
  }
  Compose(response, clock_.WallNow(), keep_alive, /*with_body=*/!head_request_, answer_);
  SetPhase(Phase::kAnswering,
           answer_accepts_ ? options_.write_timeout : LimitWhileDraining(options_.write_timeout));
  // Most answers fit into the socket's buffer. Asio writes what does not, and finds out what fails.
  size_t written = 0;
  error_code ignored;
  if (socket_.non_blocking()) written = socket_.write_some(asio::buffer(answer_), ignored);
  if (written == answer_.size()) return true;
  asio::async_write(
      stream_, asio::buffer(answer_) + written,
      [self = shared_from_this()](error_code error, size_t) { self->OnAnswered(error); });
  return false;
}

void HttpSession::OnAnswered(error_code error) {
  const std::shared_ptr<AnswerWatch> watch = std::move(watch_);
  if (error) return CloseNow();
  if (watch != nullptr && head_read_at_.has_value()) {
    watch->OnWritten(clock_.MonotonicNow() - *head_read_at_);
  }
  // A connection that rests holds little, however long its last answer was.
  if (answer_.capacity() > kKeptBuffer) std::string().swap(answer_);
  if (close_after_answer_ || draining_ || leaving_) return Linger();
  ReadRequest();
}

void HttpSession::Linger() {
  error_code error;
  socket_.shutdown(HttpSocket::shutdown_send, error);
  if (error) return CloseNow();
  SetPhase(Phase::kLingering, LimitWhileDraining(kLingerTime));
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
  const absl::Duration now = clock_.MonotonicNow();
  const bool was_arriving = IsArriving();
  phase_ = phase;
  if (IsArriving()) {
    limit = LimitWhileDraining(limit);
    if (!was_arriving) arriving_since_ = now;
    SetState(ConnectionState::kArriving, arriving_since_);
  } else if (phase_ == Phase::kHandling || phase_ == Phase::kAnswering) {
    SetState(ConnectionState::kBusy, now);
  } else {
    const bool proven = proven_ && phase_ != Phase::kLingering;
    SetState(proven ? ConnectionState::kIdleProven : ConnectionState::kIdleUnproven, now);
  }
  deadline_.Begin(now, limit);
  SetTimer(now);
}

void HttpSession::ShortenPhase(absl::Duration limit) {
  const absl::Duration now = clock_.MonotonicNow();
  deadline_.Shorten(now, limit);
  SetTimer(now);
}

absl::Duration HttpSession::LimitWhileDraining(absl::Duration limit) const {
  return draining_ ? std::min(limit, options_.drain_patience) : limit;
}

void HttpSession::SetTimer(absl::Duration now) {
  // A closed connection has nothing to wait for, and its timer would keep it alive.
  if (!socket_.is_open()) return;
  const absl::optional<absl::Duration> at = deadline_.TimerMoment();
  if (!at.has_value()) return;
  // Ends the wait before, if there is one, with an error.
  timer_.expires_after(absl::ToChronoNanoseconds(*at - now));
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error || !self->socket_.is_open()) return;
    const absl::Duration woken_at = self->clock_.MonotonicNow();
    if (self->deadline_.OnTimer(woken_at)) {
      error_code ignored;
      self->socket_.cancel(ignored);
    }
    self->SetTimer(woken_at);
  });
}

}  // namespace hookgate
