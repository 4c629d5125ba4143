// A request as Beast's parser reads it: its head as views, and its body.
//
// Beast's own request_parser puts the fields into a tree, by their names: that costs as much as to
// parse them, and a webhook's few fields are looked at one after the other anyway.
#ifndef HOOKGATE_SERVER_HTTP_REQUEST_PARSER_H_
#define HOOKGATE_SERVER_HTTP_REQUEST_PARSER_H_

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/field.hpp>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory_resource>

#include "absl/strings/string_view.h"
#include "server/http/counted_body.h"
#include "server/net/body_budget.h"

namespace hookgate {

// Its views are as long there as the memory that its parser was given.
struct HttpRequestHead {
  struct Field {
    boost::beast::http::field id;  // unknown: none of those that Beast knows
    absl::string_view name;        // as the sender wrote it
    absl::string_view value;
  };

  explicit HttpRequestHead(std::pmr::memory_resource* memory) : fields(memory) {}

  // How many fields have this id, which is not `unknown`.
  size_t Count(boost::beast::http::field id) const;
  // The value of the first of them, or "".
  absl::string_view ValueOf(boost::beast::http::field id) const;
  // Whether another request may follow on the connection. HTTP/1.0 keeps connections only by an
  // agreement that is not made here. Proxy-Connection is for proxies, and is not looked at.
  bool KeepsConnection() const;

  absl::string_view method;
  absl::string_view target;
  int version = 0;               // 11 is HTTP/1.1
  std::pmr::list<Field> fields;  // in the order received
};

// For one request.
class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  // `memory` and `share` outlive it. Nothing that it takes of `memory` is given back.
  RequestParser(std::pmr::memory_resource* memory, BodyBudget::Share& share)
      : memory_(memory), head_(memory), body_(share) {}

  // Without the fields of a trailer, which a proxy in front has not looked at.
  const HttpRequestHead& head() const { return head_; }
  CountedBody& body() { return body_; }

 private:
  using ErrorCode = boost::system::error_code;
  using BeastView = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb method, BeastView method_text, BeastView target,
                       int version, ErrorCode& error) override;
  void on_response_impl(int, BeastView, int, ErrorCode&) override {}
  void on_field_impl(boost::beast::http::field id, BeastView name, BeastView value,
                     ErrorCode& error) override;
  void on_header_impl(ErrorCode& error) override;
  void on_body_init_impl(const boost::optional<uint64_t>& length, ErrorCode& error) override;
  size_t on_body_impl(BeastView more, ErrorCode& error) override;
  void on_chunk_header_impl(uint64_t, BeastView, ErrorCode&) override {}
  size_t on_chunk_body_impl(uint64_t rest, BeastView more, ErrorCode& error) override;
  void on_finish_impl(ErrorCode&) override {}

  // Both, the one behind the other.
  absl::string_view Keep(BeastView first, BeastView second);

  std::pmr::memory_resource* const memory_;
  HttpRequestHead head_;
  bool has_head_ = false;
  CountedBody body_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_REQUEST_PARSER_H_
