// The API as text: one line for each thing that a client, a stored event or a config file may rely
// on.
//
//   file hookgate/v1/event.proto package hookgate.v1 syntax proto3
//   field hookgate.v1.Event.sequence = 1 int64
//   field hookgate.v1.Event.batch_failed = 100 hookgate.openai.v1.BatchFailedWebhookEvent ...
//   field hookgate.v1.ListEventsResponse.events = 1 repeated hookgate.v1.Event
//   enum hookgate.v1.Durability.DURABILITY_LOCAL_DISK = 1
//   method hookgate.v1.EventService.Subscribe hookgate.v1.SubscribeRequest -> stream ...
//
// Whether a singular field is `optional` is not told: making one so changes no byte on the wire.
#ifndef HOOKGATE_PROTO_API_LISTING_H_
#define HOOKGATE_PROTO_API_LISTING_H_

#include <string>
#include <vector>

#include "google/protobuf/descriptor.pb.h"

namespace hookgate {

// Sorted lines about every file of `files` but those under google/protobuf/. `files` must hold what
// they import, each file after its imports. Aborts if they do not fit together.
std::vector<std::string> ListApi(const google::protobuf::FileDescriptorSet& files);

// Lines of `golden` that `now` lacks: what was changed or removed. Both sorted.
std::vector<std::string> MissingLines(const std::vector<std::string>& golden,
                                      const std::vector<std::string>& now);

// Reads what protoc --include_imports --descriptor_set_out wrote. Aborts if it cannot.
google::protobuf::FileDescriptorSet ReadDescriptorSet(const std::string& path);

}  // namespace hookgate

#endif  // HOOKGATE_PROTO_API_LISTING_H_
