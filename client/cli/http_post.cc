#include "client/cli/http_post.h"

#include <openssl/x509v3.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/time_format.h"
#include "server/base/status.h"

namespace hookgate::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kMaxAnswerBytes = 1 << 20;

beast::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

http::request<http::string_body> ToBeast(http::verb method, const HttpRequest& request) {
  const std::string& path = request.url.path;
  http::request<http::string_body> message(method, View(path.empty() ? "/" : path), 11);
  message.set(http::field::host, View(request.url.Authority()));
  message.set(http::field::user_agent, "hookgate");
  message.set(http::field::connection, "close");
  for (const auto& [name, value] : request.fields) message.insert(View(name), View(value));
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

HttpAnswer FromBeast(http::response<http::string_body> message) {
  HttpAnswer answer;
  answer.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    const beast::string_view name = field.name_string();
    answer.fields[absl::AsciiStrToLower(absl::string_view(name.data(), name.size()))] =
        std::string(field.value());
  }
  answer.body = std::move(message.body());
  return answer;
}

// The steps of one exchange. Each blocks until it is done or the deadline for all of them passes:
// Beast's timeouts only hold for asynchronous calls, so each step is one, run to its end here.
class Exchange {
 public:
  Exchange(http::verb method, const HttpUrl& url, absl::Duration timeout)
      : method_(method),
        url_(url),
        timeout_(timeout),
        deadline_(Clock::now() + absl::ToChronoNanoseconds(timeout)) {}

  absl::StatusOr<HttpAnswer> Run(const HttpRequest& request) {
    if (const error_code error = Connect()) {
      return Failure(error,
                     absl::StrCat("cannot connect to ", url_.Authority(), ": ", error.message()));
    }
    if (url_.tls) RETURN_IF_ERROR(Secure(request.ca));
    // A server may answer before it has read everything, and close: its answer says more than the
    // broken write.
    const error_code written = Write(request);
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    const error_code read = Read(parser);
    if (!read) return FromBeast(parser.release());
    const error_code error = written ? written : read;
    const absl::string_view what =
        written || read == http::error::end_of_stream || read == asio::error::connection_reset
            ? "closed the connection without an answer"
            : "sent something that is not an HTTP answer";
    return Failure(error, absl::StrCat(url_.Authority(), " ", what, " (", error.message(), ")"));
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Runs what `start` starts; it gets the handler to call with the result.
  template <typename Start>
  error_code Await(const Start& start) {
    std::optional<error_code> result;
    start([&result](error_code error, auto&&...) { result = error; });
    io_.restart();
    io_.run_until(deadline_);
    if (result.has_value()) return *result;
    resolver_.cancel();
    stream_.cancel();
    io_.restart();
    io_.poll();  // Ends the handler while `result` lives.
    return asio::error::timed_out;
  }

  error_code Connect() {
    asio::ip::tcp::resolver::results_type addresses;
    const error_code resolved = Await([this, &addresses](const auto& done) {
      resolver_.async_resolve(url_.host, url_.port,
                              [done, &addresses](error_code error, auto found) {
                                addresses = std::move(found);
                                done(error);
                              });
    });
    if (resolved) return resolved;
    return Await([this, &addresses](const auto& done) { stream_.async_connect(addresses, done); });
  }

  // TLS from here on, if the other side proves to be the host.
  absl::Status Secure(const std::string& ca) {
    error_code error;
    asio::ssl::context& context = tls_context_.emplace(asio::ssl::context::tls_client);
    if (ca.empty()) {
      context.set_default_verify_paths(error);
    } else {
      context.add_certificate_authority(asio::buffer(ca), error);
    }
    if (error) {
      return absl::InvalidArgumentError(
          absl::StrCat("the authority's file holds no certificate in PEM: ", error.message()));
    }
    tls_.emplace(stream_, context);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    X509_VERIFY_PARAM* const expected = SSL_get0_param(tls_->native_handle());
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    asio::ip::make_address(url_.host, error);
    const bool is_name = static_cast<bool>(error);
    const int is_expected = is_name
                                ? X509_VERIFY_PARAM_set1_host(expected, url_.host.c_str(), 0)
                                : X509_VERIFY_PARAM_set1_ip_asc(
                                      expected, url_.host.substr(0, url_.host.find('%')).c_str());
    if (is_expected != 1) {
      return absl::InternalError(absl::StrCat("no certificate can be for ", url_.host));
    }
    // RFC 6066, section 3: addresses are not sent as server names.
    if (is_name) SSL_set_tlsext_host_name(tls_->native_handle(), url_.host.c_str());
    const error_code shaken = Await(
        [this](const auto& done) { tls_->async_handshake(asio::ssl::stream_base::client, done); });
    if (!shaken) return absl::OkStatus();
    const std::string message =
        absl::StrCat("no TLS with ", url_.Authority(), ": ", shaken.message());
    const long verified = SSL_get_verify_result(tls_->native_handle());
    if (verified == X509_V_OK) return Failure(shaken, message);
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
      return absl::FailedPreconditionError(absl::StrCat("no TLS with ", url_.Authority(),
                                                        ": its certificate is not for ", url_.host,
                                                        "; give a URL with a name that is in it"));
    }
    return absl::UnauthenticatedError(
        absl::StrCat(message, " (", X509_verify_cert_error_string(verified), ")"));
  }

  error_code Write(const HttpRequest& request) {
    const http::request<http::string_body> message = ToBeast(method_, request);
    return Await([this, &message](const auto& done) {
      if (tls_.has_value()) return http::async_write(*tls_, message, done);
      http::async_write(stream_, message, done);
    });
  }

  error_code Read(http::response_parser<http::string_body>& parser) {
    return Await([this, &parser](const auto& done) {
      if (tls_.has_value()) return http::async_read(*tls_, buffer_, parser, done);
      http::async_read(stream_, buffer_, parser, done);
    });
  }

  absl::Status Failure(const error_code& error, absl::string_view message) const {
    if (error == asio::error::timed_out && Clock::now() >= deadline_) {
      return absl::DeadlineExceededError(
          absl::StrCat(url_.Authority(), " did not answer within ", DurationText(timeout_)));
    }
    const bool no_http =
        error.category() == http::make_error_code(http::error::bad_version).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message;
    return no_http ? absl::InternalError(message) : absl::UnavailableError(message);
  }

  const http::verb method_;
  const HttpUrl& url_;
  const absl::Duration timeout_;
  const Clock::time_point deadline_;
  asio::io_context io_;
  asio::ip::tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
  // Where there is TLS.
  std::optional<asio::ssl::context> tls_context_;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;  // over stream_
  beast::flat_buffer buffer_;
};

}  // namespace

absl::StatusOr<HttpAnswer> HttpPost(const HttpRequest& request, absl::Duration timeout) {
  return Exchange(http::verb::post, request.url, timeout).Run(request);
}

absl::StatusOr<HttpAnswer> HttpGet(const HttpRequest& request, absl::Duration timeout) {
  return Exchange(http::verb::get, request.url, timeout).Run(request);
}

}  // namespace hookgate::cli
