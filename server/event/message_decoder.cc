#include "server/event/message_decoder.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "hookgate/schema/v1/options.pb.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"

// Integers
//
// The SDK's model is lax about integers, and so are we: an integer, a float without a fraction, or
// a text like " +1_000.0 ". Where the two still differ, all of it refused here:
//   - true and false, which the model takes as 1 and 0: no sender means that
//   - integers, also as texts, that do not fit int64, which is what the field can hold

namespace hookgate {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using hookgate::schema::v1::FieldRules;

constexpr size_t kMaxEchoedBytes = 40;

const FieldRules& RulesOf(const FieldDescriptor& field) {
  return field.options().GetExtension(hookgate::schema::v1::field);
}

absl::string_view View(const json::string& text) { return {text.data(), text.size()}; }

// The text cut short and made harmless: whoever reads the error may be a terminal.
std::string Quote(absl::string_view text) {
  const bool cut = text.size() > kMaxEchoedBytes;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMaxEchoedBytes)), cut ? "..." : "",
                      "\"");
}

absl::Status CheckField(const FieldDescriptor& field) {
  const auto refuse = [&field](absl::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat(field.full_name(), ": ", why));
  };
  if (field.is_map()) return refuse("maps cannot be decoded; use a repeated message");
  if (field.real_containing_oneof() != nullptr) return refuse("oneofs cannot be decoded");

  const bool is_text = field.type() == FieldDescriptor::TYPE_STRING;
  if (!RulesOf(field).literal().empty() && (!is_text || field.is_repeated())) {
    return refuse("only a singular string can have a literal");
  }
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) return absl::OkStatus();
  if (!is_text && field.type() != FieldDescriptor::TYPE_INT64 &&
      field.type() != FieldDescriptor::TYPE_BOOL) {
    return refuse(absl::StrCat("type ", field.type_name(),
                               " cannot be decoded; use string, int64, bool or a message"));
  }
  if (!field.is_repeated() && !field.has_presence() && !RulesOf(field).required()) {
    return refuse("must be required or optional, so that absent stays apart from empty");
  }
  return absl::OkStatus();
}

}  // namespace

// Descriptors answer each of these questions by a look into a map of options; a webhook asks many.
struct MessagePlan {
  struct Field {
    const FieldDescriptor& descriptor;
    json::string_view name;
    bool is_repeated;
    bool is_required;
    absl::string_view literal;                      // "" if it has none
    FieldDescriptor::CppType kind;                  // STRING, INT64, BOOL or MESSAGE
    std::shared_ptr<const MessagePlan> submessage;  // null unless it is one
  };
  std::vector<Field> fields;
};

namespace {

using Field = MessagePlan::Field;

// `outer` are the messages that `type` stands in, outermost first.
absl::StatusOr<std::shared_ptr<const MessagePlan>> MakePlan(const Descriptor& type,
                                                            std::vector<const Descriptor*>& outer) {
  outer.push_back(&type);
  auto plan = std::make_shared<MessagePlan>();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    RETURN_IF_ERROR(CheckField(field));
    std::shared_ptr<const MessagePlan> submessage;
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
      if (std::find(outer.begin(), outer.end(), field.message_type()) != outer.end()) {
        return absl::FailedPreconditionError(
            absl::StrCat(field.full_name(), ": a message holds itself"));
      }
      ASSIGN_OR_RETURN(submessage, MakePlan(*field.message_type(), outer));
    }
    plan->fields.push_back({.descriptor = field,
                            .name = {field.name().data(), field.name().size()},
                            .is_repeated = field.is_repeated(),
                            .is_required = RulesOf(field).required(),
                            .literal = RulesOf(field).literal(),
                            .kind = field.cpp_type(),
                            .submessage = std::move(submessage)});
  }
  outer.pop_back();
  return std::shared_ptr<const MessagePlan>(std::move(plan));
}

// Where a value stands. Lives on the stack beside the recursion; spelt out only in errors.
struct Path {
  const Path* parent;
  const Field& field;
  int index = -1;  // in a repeated field
};

std::string ToString(const Path& path) {
  std::string text = path.parent == nullptr ? "" : absl::StrCat(ToString(*path.parent), ".");
  absl::StrAppend(&text, path.field.descriptor.name());
  if (path.index >= 0) absl::StrAppend(&text, "[", path.index, "]");
  return text;
}

absl::Status Refuse(const Path& path, absl::string_view why) {
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidEvent,
                         absl::StrCat(ToString(path), ": ", why));
}

absl::Status RefuseKind(const Path& path, absl::string_view wanted, const json::value& value) {
  return Refuse(path, absl::StrCat("must be ", wanted, ", not ", DescribeJson(value)));
}

enum class IntegerProblem { kNone, kNotWhole, kTooLarge };

IntegerProblem FromDouble(double number, int64_t& integer) {
  if (!std::isfinite(number) || std::trunc(number) != number) return IntegerProblem::kNotWhole;
  // 2^63 itself is a double and no int64; -2^63 would fit, but the SDK refuses it.
  constexpr double kLimit = 9223372036854775808.0;
  if (std::abs(number) >= kLimit) return IntegerProblem::kTooLarge;
  integer = static_cast<int64_t>(number);
  return IntegerProblem::kNone;
}

// Drops what Unicode calls White_Space from both ends, as the SDK's model does.
absl::string_view StripBlanks(absl::string_view text) {
  static constexpr absl::string_view kBlanks[] = {"\t",           "\n",           "\v",
                                                  "\f",           "\r",           " ",
                                                  "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
                                                  "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
                                                  "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85",
                                                  "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
                                                  "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
                                                  "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                                  "\xe3\x80\x80"};
  const auto strip_one = [&text](absl::string_view blank) {
    return absl::ConsumePrefix(&text, blank) || absl::ConsumeSuffix(&text, blank);
  };
  while (std::any_of(std::begin(kBlanks), std::end(kBlanks), strip_one)) continue;
  return text;
}

// Takes "[+-]digits", single underscores between the digits, and ".0", ".00" and so on after them.
// After zeros that lead, underscores need not be single: "0__1" is 1 to the SDK's model.
IntegerProblem FromText(absl::string_view text, int64_t& integer) {
  text = StripBlanks(text);
  std::string plain;
  if (absl::ConsumePrefix(&text, "-")) {
    plain = "-";
  } else {
    absl::ConsumePrefix(&text, "+");
  }

  const size_t dot = text.find('.');
  if (dot != absl::string_view::npos) {
    const absl::string_view fraction = text.substr(dot + 1);
    if (fraction.empty() || fraction.find_first_not_of('0') != absl::string_view::npos) {
      return IntegerProblem::kNotWhole;
    }
    text = text.substr(0, dot);
  }

  bool after_digit = false;
  if (!text.empty() && text[0] == '0') {
    const size_t leading = std::min(text.find_first_not_of("0_"), text.size());
    plain.push_back('0');
    after_digit = text[leading - 1] == '0';
    text.remove_prefix(leading);
  }
  for (const char c : text) {
    if (absl::ascii_isdigit(c)) {
      plain.push_back(c);
    } else if (c != '_' || !after_digit) {
      return IntegerProblem::kNotWhole;
    }
    after_digit = c != '_';
  }
  if (!after_digit) return IntegerProblem::kNotWhole;
  return absl::SimpleAtoi(plain, &integer) ? IntegerProblem::kNone : IntegerProblem::kTooLarge;
}

IntegerProblem ToInteger(const json::value& value, int64_t& integer) {
  switch (value.kind()) {
    case json::kind::int64:
      integer = value.get_int64();
      return IntegerProblem::kNone;
    case json::kind::uint64:  // Boost.JSON uses it only for what int64 cannot hold.
      return IntegerProblem::kTooLarge;
    case json::kind::double_:
      return FromDouble(value.get_double(), integer);
    case json::kind::string:
      return FromText(View(value.get_string()), integer);
    default:
      return IntegerProblem::kNotWhole;
  }
}

// A message that is being filled. Each look for its reflection costs as much as setting a number.
struct Target {
  explicit Target(Message& filled) : message(filled), reflection(*filled.GetReflection()) {}

  Message& message;
  const Reflection& reflection;
};

absl::Status DecodeFields(const json::object& object, const MessagePlan& plan, const Path* parent,
                          const Target& target);

absl::Status DecodeText(const json::value& value, const Path& path, const Target& target) {
  const json::string* text = value.if_string();
  const absl::string_view literal = path.field.literal;
  if (!literal.empty() && (text == nullptr || View(*text) != literal)) {
    return RefuseKind(path, absl::StrCat("\"", literal, "\""), value);
  }
  if (text == nullptr) return RefuseKind(path, "a string", value);

  std::string copy(text->data(), text->size());
  if (path.field.is_repeated) {
    target.reflection.AddString(&target.message, &path.field.descriptor, std::move(copy));
  } else {
    target.reflection.SetString(&target.message, &path.field.descriptor, std::move(copy));
  }
  return absl::OkStatus();
}

absl::Status DecodeInteger(const json::value& value, const Path& path, const Target& target) {
  int64_t integer = 0;
  switch (ToInteger(value, integer)) {
    case IntegerProblem::kNone:
      break;
    case IntegerProblem::kNotWhole:
      return RefuseKind(path, "a whole number", value);
    case IntegerProblem::kTooLarge:
      return Refuse(path, absl::StrCat(DescribeJson(value), " does not fit a 64-bit integer"));
  }
  if (path.field.is_repeated) {
    target.reflection.AddInt64(&target.message, &path.field.descriptor, integer);
  } else {
    target.reflection.SetInt64(&target.message, &path.field.descriptor, integer);
  }
  return absl::OkStatus();
}

absl::Status DecodeBool(const json::value& value, const Path& path, const Target& target) {
  const bool* boolean = value.if_bool();
  if (boolean == nullptr) return RefuseKind(path, "true or false", value);
  if (path.field.is_repeated) {
    target.reflection.AddBool(&target.message, &path.field.descriptor, *boolean);
  } else {
    target.reflection.SetBool(&target.message, &path.field.descriptor, *boolean);
  }
  return absl::OkStatus();
}

absl::Status DecodeSubmessage(const json::value& value, const Path& path, const Target& target) {
  const json::object* object = value.if_object();
  if (object == nullptr) return RefuseKind(path, "an object", value);
  Message& submessage =
      path.field.is_repeated
          ? *target.reflection.AddMessage(&target.message, &path.field.descriptor)
          : *target.reflection.MutableMessage(&target.message, &path.field.descriptor);
  return DecodeFields(*object, *path.field.submessage, &path, Target(submessage));
}

// Sets a singular field, or adds to a repeated one.
absl::Status DecodeValue(const json::value& value, const Path& path, const Target& target) {
  switch (path.field.kind) {
    case FieldDescriptor::CPPTYPE_STRING:
      return DecodeText(value, path, target);
    case FieldDescriptor::CPPTYPE_INT64:
      return DecodeInteger(value, path, target);
    case FieldDescriptor::CPPTYPE_BOOL:
      return DecodeBool(value, path, target);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return DecodeSubmessage(value, path, target);
    default:
      Log(Severity::kError, "a field is in a plan that MakePlan refuses",
          {{"field", path.field.descriptor.full_name()}});
      std::abort();
  }
}

absl::Status DecodeList(const json::value& value, const Path* parent, const Field& field,
                        const Target& target) {
  const json::array* list = value.if_array();
  if (list == nullptr) return RefuseKind(Path{parent, field}, "an array", value);
  int index = 0;
  for (const json::value& element : *list) {
    RETURN_IF_ERROR(DecodeValue(element, Path{parent, field, index++}, target));
  }
  return absl::OkStatus();
}

absl::Status DecodeFields(const json::object& object, const MessagePlan& plan, const Path* parent,
                          const Target& target) {
  for (const Field& field : plan.fields) {
    const json::value* value = object.if_contains(field.name);
    if (value == nullptr || value->is_null()) {
      if (!field.is_required) continue;
      return Refuse(Path{parent, field}, value == nullptr ? "is missing" : "is null, but required");
    }
    RETURN_IF_ERROR(field.is_repeated ? DecodeList(*value, parent, field, target)
                                      : DecodeValue(*value, Path{parent, field}, target));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MessageDecoder> MessageDecoder::For(const Descriptor& type) {
  std::vector<const Descriptor*> outer;
  ASSIGN_OR_RETURN(std::shared_ptr<const MessagePlan> plan, MakePlan(type, outer));
  return MessageDecoder(std::move(plan));
}

absl::Status MessageDecoder::Decode(const json::object& json, Message& message) const {
  return DecodeFields(json, *plan_, nullptr, Target(message));
}

std::string DescribeJson(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::int64:
      return absl::StrCat("the number ", value.get_int64());
    case json::kind::uint64:
      return absl::StrCat("the number ", value.get_uint64());
    case json::kind::double_:
      return absl::StrCat("the number ", value.get_double());
    case json::kind::string:
      return absl::StrCat("the string ", Quote(View(value.get_string())));
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "no JSON value";
}

}  // namespace hookgate
