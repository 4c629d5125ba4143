// What GetStatus tells of sources, webhooks and reloads, as its messages. Pure.
#ifndef HOOKGATE_SERVER_GATEWAY_FILL_STATUS_H_
#define HOOKGATE_SERVER_GATEWAY_FILL_STATUS_H_

#include "absl/time/time.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/config/problems.h"
#include "server/ingest/source.h"
#include "server/status/ingest_counters.h"

namespace hookgate {

void FillSource(const Source& source, hookgate::v1::GetStatusResponse::Source& status);

void FillIngest(const IngestCounters& counters, absl::Time since,
                hookgate::v1::GetStatusResponse::Ingest& status);

// A reload that ended so.
hookgate::v1::GetStatusResponse::Reload ReloadStatus(absl::Time time, const Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_FILL_STATUS_H_
