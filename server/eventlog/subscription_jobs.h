// What the writer thread does to durable subscriptions. Meanings as in SubscriptionLog.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_JOBS_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "server/eventlog/commit_job.h"
#include "server/eventlog/subscription_log.h"

namespace hookgate {

// Of `subscription`: name, settings, create_time and the position alone.
std::unique_ptr<CommitJob> MakeCreateSubscriptionJob(StoredSubscription subscription,
                                                     SubscriptionLog::IdDone done);

std::unique_ptr<CommitJob> MakeWriteSubscriptionJob(
    int64_t id, std::unique_ptr<const SubscriptionChanges> changes, SubscriptionLog::Done done);

std::unique_ptr<CommitJob> MakeDeleteSubscriptionJob(int64_t id, absl::optional<int64_t> etag,
                                                     SubscriptionLog::Done done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_JOBS_H_
