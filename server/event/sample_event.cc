#include "server/event/sample_event.h"

#include <boost/json.hpp>

#include "google/protobuf/descriptor.h"
#include "hookgate/schema/v1/options.pb.h"

namespace hookgate {
namespace {

namespace json = boost::json;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

// Fills objects from descriptors; what does not depend on the field is a member.
class Sampler {
 public:
  Sampler(absl::string_view subject, absl::Time now) : subject_(subject), now_(now) {}

  json::object Object(const Descriptor& message) const {
    json::object object;
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      json::value value = Value(field);
      if (field.is_repeated()) value = json::array{std::move(value)};
      object.emplace(View(field.name()), std::move(value));
    }
    return object;
  }

 private:
  json::value Value(const FieldDescriptor& field) const {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Object(*field.message_type());
      case FieldDescriptor::CPPTYPE_INT64:
        return absl::ToUnixSeconds(now_);
      case FieldDescriptor::CPPTYPE_BOOL:
        return false;
      default:  // The schema has no other kinds: see MessageDecoder::For.
        return json::value(View(Text(field)));
    }
  }

  absl::string_view Text(const FieldDescriptor& field) const {
    const auto& rules = field.options().GetExtension(hookgate::schema::v1::field);
    if (rules.subject() && !subject_.empty()) return subject_;
    return rules.literal().empty() ? rules.example() : rules.literal();
  }

  const absl::string_view subject_;
  const absl::Time now_;
};

}  // namespace

std::string SampleEventBody(const EventType& type, absl::string_view subject, absl::Time now) {
  return json::serialize(Sampler(subject, now).Object(*type.message));
}

}  // namespace hookgate
