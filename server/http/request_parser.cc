#include "server/http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/system/error_code.hpp>

namespace hookgate {

namespace http = boost::beast::http;

size_t HttpRequestHead::Count(http::field id) const {
  return static_cast<size_t>(std::count_if(fields.begin(), fields.end(),
                                           [id](const Field& field) { return field.id == id; }));
}

absl::string_view HttpRequestHead::ValueOf(http::field id) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [id](const Field& field) { return field.id == id; });
  return found == fields.end() ? "" : found->value;
}

bool HttpRequestHead::KeepsConnection() const {
  if (version < 11) return false;
  return std::none_of(fields.begin(), fields.end(), [](const Field& field) {
    return field.id == http::field::connection &&
           http::token_list({field.value.data(), field.value.size()}).exists("close");
  });
}

void RequestParser::on_request_impl(http::verb, BeastView method_text, BeastView target,
                                    int version, ErrorCode&) {
  const absl::string_view kept = Keep(method_text, target);
  head_.method = kept.substr(0, method_text.size());
  head_.target = kept.substr(method_text.size());
  head_.version = version;
}

void RequestParser::on_field_impl(http::field id, BeastView name, BeastView value, ErrorCode&) {
  if (has_head_) return;  // of a trailer
  const absl::string_view kept = Keep(name, value);
  head_.fields.push_back({id, kept.substr(0, name.size()), kept.substr(name.size())});
}

void RequestParser::on_header_impl(ErrorCode&) { has_head_ = true; }

void RequestParser::on_body_init_impl(const boost::optional<uint64_t>& length, ErrorCode&) {
  if (length) body_.Announce(static_cast<size_t>(*length));  // within the limit of the parser
}

size_t RequestParser::on_body_impl(BeastView more, ErrorCode& error) {
  if (body_.Append({more.data(), more.size()})) return more.size();
  error = boost::system::errc::make_error_code(boost::system::errc::not_enough_memory);
  return 0;
}

size_t RequestParser::on_chunk_body_impl(uint64_t, BeastView more, ErrorCode& error) {
  return on_body_impl(more, error);
}

// The buffer that they came in is needed for what comes next.
absl::string_view RequestParser::Keep(BeastView first, BeastView second) {
  const size_t size = first.size() + second.size();
  auto* const kept = static_cast<char*>(memory_->allocate(size, 1));
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), kept));
  return {kept, size};
}

}  // namespace hookgate
