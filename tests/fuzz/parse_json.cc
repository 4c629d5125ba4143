// The input is JSON, or is not. What is, comes out the same when it is written and read once more.

#include "server/event/parse_json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

namespace json = boost::json;

size_t DepthOf(const json::value& value) {
  size_t deepest = 0;
  if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) deepest = std::max(deepest, DepthOf(element));
  } else if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) deepest = std::max(deepest, DepthOf(member.value()));
  } else {
    return 0;
  }
  return deepest + 1;
}

// "1e400" is infinite, as in Python, and JSON has no other way to write that.
bool HoldsInfinity(const json::value& value) {
  if (const json::array* array = value.if_array()) {
    return std::any_of(array->begin(), array->end(), HoldsInfinity);
  }
  if (const json::object* object = value.if_object()) {
    return std::any_of(object->begin(), object->end(),
                       [](const auto& member) { return HoldsInfinity(member.value()); });
  }
  const double* number = value.if_double();
  return number != nullptr && std::isinf(*number);
}

void CheckRefusal(const absl::Status& error) {
  Expect(absl::IsInvalidArgument(error) && ReasonOf(error) == reason::kBodyNotJson,
         "a refusal is INVALID_ARGUMENT body_not_json", error.ToString());
  Expect(!HasControlCharacters(error.message()), "a printable message", error.message());
}

void CheckParsed(const json::value& document) {
  Expect(DepthOf(document) <= kMaxJsonDepth, "no deeper than kMaxJsonDepth");
  if (HoldsInfinity(document)) return;
  const std::string text = json::serialize(document);
  json::value again;
  Expect(ParseJson(text, again).ok(), "what was written can be read", text);
  Expect(again == document, "the same value once more", text);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  boost::json::value document;
  const absl::Status status = hookgate::ParseJson(hookgate::ToInput(data, size), document);
  if (status.ok()) {
    hookgate::CheckParsed(document);
  } else {
    hookgate::CheckRefusal(status);
  }
  return 0;
}
