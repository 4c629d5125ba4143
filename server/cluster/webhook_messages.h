// Webhooks as replicas hand them on, and the answers to that. Pure.
#ifndef HOOKGATE_SERVER_CLUSTER_WEBHOOK_MESSAGES_H_
#define HOOKGATE_SERVER_CLUSTER_WEBHOOK_MESSAGES_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/cluster/peer.pb.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// What becomes of a webhook on its way, in both directions: nothing is added or lost.
hookgate::cluster::v1::AppendRequest ToRequest(StoredEvent event);
std::unique_ptr<StoredEvent> FromRequest(hookgate::cluster::v1::AppendRequest request);
hookgate::cluster::v1::QuarantineRequest ToRequest(QuarantinedWebhook webhook);
std::unique_ptr<QuarantinedWebhook> FromRequest(hookgate::cluster::v1::QuarantineRequest request);

hookgate::cluster::v1::AppendResponse ToResponse(AppendResult result);
// INTERNAL if the outcome is one that this version does not know.
absl::StatusOr<AppendResult> FromResponse(hookgate::cluster::v1::AppendResponse response);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_WEBHOOK_MESSAGES_H_
