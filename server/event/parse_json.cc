#include "server/event/parse_json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

// What is JSON
//
// The SDK's synchronous client hands the body's bytes to Python's json.loads. As it does, a byte
// order mark is passed over and the last of duplicate keys wins. Otherwise than it does, these are
// refused, because RFC 8259 or protobuf's strings do not have them: NaN and Infinity, lone
// surrogates, UTF-16 and UTF-32, and nesting deeper than kMaxJsonDepth; and because some versions
// of Boost.JSON do: an exponent too large for an int. And accepted here: integers of more than 4300
// digits, where no field is there to hold them.

namespace hookgate {
namespace {

namespace json = boost::json;
using boost::system::error_code;

// Room on the stack for the parser's work on a usual body.
constexpr size_t kScratchBytes = 1024;

// Whether the exponent of the number `text` has more digits than every int of that many has.
bool HasHugeExponent(json::string_view text) {
  constexpr size_t kDigitsOfAnInt = 9;
  const size_t mark = text.find_first_of("eE");
  if (mark == json::string_view::npos) return false;
  const size_t first_digit = text.find_first_not_of("+-0", mark + 1);
  return first_digit != json::string_view::npos && text.size() - first_digit > kDigitsOfAnInt;
}

// Builds the value, as Boost.JSON's own parser does, but for doubles: that parser multiplies by a
// power of ten, and is now and then off by a unit in the last place. 9007199254740991.0000000000
// would be another integer than it is to Python, and 8160777607295.0005000 would be one.
class Builder {
 public:
  static constexpr size_t max_object_size = json::object::max_size();
  static constexpr size_t max_array_size = json::array::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();

  explicit Builder(json::storage_ptr memory) : stack_({}, scratch_, sizeof(scratch_)) {
    stack_.reset(std::move(memory));
  }
  json::value Release() { return stack_.release(); }

  // What json::basic_parser calls; true goes on.
  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return true; }
  bool on_object_end(size_t size, error_code&) {
    stack_.push_object(size);
    return true;
  }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(size_t size, error_code&) {
    stack_.push_array(size);
    return true;
  }
  bool on_key_part(json::string_view part, size_t, error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, error_code&) {
    stack_.push_key(part);
    return true;
  }
  bool on_string_part(json::string_view part, size_t, error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, size_t, error_code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(int64_t number, json::string_view, error_code&) {
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(uint64_t number, json::string_view, error_code&) {
    stack_.push_uint64(number);
    return true;
  }
  // `text` is the whole number, since the parser is given the whole document at once.
  bool on_double(double number, json::string_view text, error_code& error) {
    if (HasHugeExponent(text)) {
      error = json::error::exponent_overflow;
      return false;
    }
    double nearest = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, problem] = std::from_chars(text.data(), end, nearest);
    // Out of range, Boost's 0 or infinity will do.
    stack_.push_double(problem == std::errc() && rest == end ? nearest : number);
    return true;
  }
  bool on_bool(bool value, error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

 private:
  unsigned char scratch_[kScratchBytes];
  json::value_stack stack_;
};

size_t FirstVisible(absl::string_view text) {
  return std::min(text.find_first_not_of(" \t\r\n"), text.size());
}

absl::Status NotJson(absl::string_view why) {
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kBodyNotJson,
                         absl::StrCat("the body is not JSON: ", why));
}

}  // namespace

absl::Status ParseJson(absl::string_view text, json::value& document) {
  const size_t skipped = absl::StartsWith(text, kByteOrderMark) ? sizeof(kByteOrderMark) - 1 : 0;
  text.remove_prefix(skipped);
  if (text.empty()) return NotJson("it is empty");

  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::basic_parser<Builder> parser(options, document.storage());
  error_code error;
  const size_t consumed = parser.write_some(false, text.data(), text.size(), error);
  if (!error && consumed < text.size()) error = json::error::extra_data;
  if (error == json::error::too_deep) {
    return NotJson(absl::StrCat("it nests deeper than ", kMaxJsonDepth, " levels"));
  }
  // A form, XML or plain text: what the parser says of its first byte helps nobody.
  if (error == json::error::syntax && consumed == FirstVisible(text)) {
    return NotJson(absl::StrCat("no JSON value begins at byte ", skipped + consumed,
                                "; a webhook's body begins with {"));
  }
  if (error) return NotJson(absl::StrCat(error.message(), " at byte ", skipped + consumed));
  document = parser.handler().Release();
  return absl::OkStatus();
}

}  // namespace hookgate
