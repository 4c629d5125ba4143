#include "server/event/event_schema.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hookgate/schema/v1/options.pb.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/logging.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::OneofDescriptor;
using hookgate::schema::v1::FieldRules;

using FieldPath = std::vector<const FieldDescriptor*>;

const FieldRules& RulesOf(const FieldDescriptor& field) {
  return field.options().GetExtension(hookgate::schema::v1::field);
}

absl::Status WrongSchema(absl::string_view name, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(name, ": ", why));
}

// Looks below `message`, which `outer` leads to, for fields marked as subject, and puts the path of
// the one there may be into `found`. Ends because a MessageDecoder has seen that no message holds
// itself.
absl::Status FindSubject(const Descriptor& message, FieldPath& outer, FieldPath& found) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    outer.push_back(&field);
    if (RulesOf(field).subject()) {
      if (!found.empty()) return WrongSchema(field.full_name(), "is a second subject");
      const bool in_list = std::any_of(outer.begin(), outer.end(),
                                       [](const auto* step) { return step->is_repeated(); });
      if (in_list || field.type() != FieldDescriptor::TYPE_STRING) {
        return WrongSchema(field.full_name(), "a subject must be a string outside any list");
      }
      found = outer;
    }
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
      RETURN_IF_ERROR(FindSubject(*field.message_type(), outer, found));
    }
    outer.pop_back();
  }
  return absl::OkStatus();
}

const FieldDescriptor* FindCreatedAt(const Descriptor& message) {
  const FieldDescriptor* const field = message.FindFieldByName("created_at");
  const bool is_time = field != nullptr && !field->is_repeated() &&
                       field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  return is_time ? field : nullptr;
}

absl::StatusOr<EventType> ReadEventType(const FieldDescriptor& arm, const FieldDescriptor& type) {
  const Descriptor& message = *arm.message_type();
  ASSIGN_OR_RETURN(MessageDecoder decoder, MessageDecoder::For(message));
  if (!RulesOf(type).required()) {
    return WrongSchema(type.full_name(),
                       "must be required, since it has the literal of an event type");
  }
  EventType result = {
      .name = RulesOf(type).literal(),
      .arm = &arm,
      .message = &message,
      .failure = message.options().GetExtension(hookgate::schema::v1::event).failure(),
      .built_in = message.options().GetExtension(hookgate::schema::v1::event).built_in(),
      .subject_path = {},
      .created_at = FindCreatedAt(message),
      .decoder = std::move(decoder),
  };
  FieldPath outer;
  RETURN_IF_ERROR(FindSubject(message, outer, result.subject_path));
  return result;
}

struct EventTypes {
  std::vector<EventType> of_webhooks;
  std::vector<EventType> built_in;
};

const EventTypes& Types() {
  static const EventTypes* const types = [] {
    auto read = ReadEventTypes(*hookgate::v1::Event::descriptor()->FindOneofByName("payload"));
    if (!read.ok()) {
      Log(Severity::kError, "the event schema is wrong", {{"detail", read.status().message()}});
      std::abort();
    }
    auto* const split = new EventTypes;
    for (EventType& type : *read) {
      (type.built_in ? split->built_in : split->of_webhooks).push_back(std::move(type));
    }
    return split;
  }();
  return *types;
}

// `types` are by name.
const EventType* FindIn(const std::vector<EventType>& types, absl::string_view name) {
  const auto found = std::lower_bound(
      types.begin(), types.end(), name,
      [](const EventType& type, absl::string_view wanted) { return type.name < wanted; });
  return found != types.end() && found->name == name ? &*found : nullptr;
}

}  // namespace

absl::StatusOr<std::vector<EventType>> ReadEventTypes(const OneofDescriptor& payload) {
  std::vector<EventType> types;
  for (int i = 0; i < payload.field_count(); ++i) {
    const FieldDescriptor& arm = *payload.field(i);
    if (arm.message_type() == nullptr) return WrongSchema(arm.full_name(), "must be a message");
    const FieldDescriptor* type = arm.message_type()->FindFieldByName("type");
    if (type == nullptr || RulesOf(*type).literal().empty()) continue;
    ASSIGN_OR_RETURN(EventType read, ReadEventType(arm, *type));
    types.push_back(std::move(read));
  }
  std::sort(types.begin(), types.end(),
            [](const EventType& a, const EventType& b) { return a.name < b.name; });
  const auto twin =
      std::adjacent_find(types.begin(), types.end(),
                         [](const EventType& a, const EventType& b) { return a.name == b.name; });
  if (twin != types.end()) {
    return WrongSchema(twin->arm->full_name(),
                       absl::StrCat("another arm has the type \"", twin->name, "\" as well"));
  }
  return types;
}

const std::vector<EventType>& KnownEventTypes() { return Types().of_webhooks; }

const EventType* FindEventType(absl::string_view name) { return FindIn(KnownEventTypes(), name); }

const std::vector<EventType>& BuiltInEventTypes() { return Types().built_in; }

const EventType* FindBuiltInEventType(absl::string_view name) {
  return FindIn(BuiltInEventTypes(), name);
}

bool IsFailureType(absl::string_view type) {
  const EventType* known = FindEventType(type);
  if (known == nullptr) known = FindBuiltInEventType(type);
  return known != nullptr ? known->failure : HasNameOfFailure(type);
}

bool HasNameOfFailure(absl::string_view type) { return absl::EndsWith(type, ".failed"); }

}  // namespace hookgate
