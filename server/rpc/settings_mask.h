// Which settings of a durable subscription an update is about. Pure.
//
// A path names one field of hookgate.v1.SubscriptionSettings, such as "max_attempts" or "filter",
// or one list of its filter, such as "filter.types". "*" is all of them.
#ifndef HOOKGATE_SERVER_RPC_SETTINGS_MASK_H_
#define HOOKGATE_SERVER_RPC_SETTINGS_MASK_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/field_mask.pb.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate {

// INVALID_ARGUMENT invalid_request about `field` if the mask has no path, more than 32, or one that
// names nothing.
absl::Status CheckSettingsMask(const google::protobuf::FieldMask& mask, absl::string_view field);

// Whether the mask names the filter or one of its lists; and whether it names the list of sources,
// perhaps with more.
bool MaskHasFilter(const google::protobuf::FieldMask& mask);
bool MaskHasSources(const google::protobuf::FieldMask& mask);

// `current` with what the mask names as it is in `given`: what is absent there is absent here.
// REQUIRES: CheckSettingsMask is OK.
hookgate::v1::SubscriptionSettings MaskedSettings(const hookgate::v1::SubscriptionSettings& current,
                                                  const hookgate::v1::SubscriptionSettings& given,
                                                  const google::protobuf::FieldMask& mask);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SETTINGS_MASK_H_
