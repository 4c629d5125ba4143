// The stable words by which clients tell errors apart: `code` in an HTTP problem document, and in
// upper case ErrorInfo.reason over gRPC. Never change one; docs/http-api.md and docs/grpc-api.md
// say what each means.
#ifndef HOOKGATE_SERVER_BASE_REASON_H_
#define HOOKGATE_SERVER_BASE_REASON_H_

namespace hookgate::reason {

// A request that the connection layer refuses.
inline constexpr char kMalformedRequest[] = "malformed_request";
inline constexpr char kRequestTimeout[] = "request_timeout";
inline constexpr char kTooManyConnections[] = "too_many_connections";
inline constexpr char kTooManyBodies[] = "too_many_bodies";
inline constexpr char kHeaderTooLarge[] = "header_too_large";
inline constexpr char kBodyTooLarge[] = "body_too_large";
inline constexpr char kTooManyScrapes[] = "too_many_scrapes";

// A request that is not a webhook for this gateway.
inline constexpr char kUnknownSource[] = "unknown_source";
inline constexpr char kNotFound[] = "not_found";
inline constexpr char kMethodNotAllowed[] = "method_not_allowed";
inline constexpr char kEncodedBody[] = "encoded_body";
inline constexpr char kAddressNotAllowed[] = "address_not_allowed";

// A webhook whose signature does not hold.
inline constexpr char kMissingHeader[] = "missing_header";
inline constexpr char kMalformedHeader[] = "malformed_header";
inline constexpr char kConflictingHeaders[] = "conflicting_headers";
inline constexpr char kTimestampTooOld[] = "timestamp_too_old";
inline constexpr char kTimestampTooNew[] = "timestamp_too_new";
inline constexpr char kSignatureMismatch[] = "signature_mismatch";

// A signed webhook that cannot be decoded.
inline constexpr char kBodyNotJson[] = "body_not_json";
inline constexpr char kInvalidEvent[] = "invalid_event";

// The gateway cannot take the webhook now.
inline constexpr char kRateLimited[] = "rate_limited";
inline constexpr char kQueueFull[] = "queue_full";
inline constexpr char kStoreUnavailable[] = "store_unavailable";
inline constexpr char kDraining[] = "draining";
// Of a cluster: this replica does not decide what is stored, and cannot reach one that does.
inline constexpr char kNoLeader[] = "no_leader";

// gRPC.
inline constexpr char kUnauthenticated[] = "unauthenticated";
inline constexpr char kMissingRight[] = "missing_right";
inline constexpr char kInvalidRequest[] = "invalid_request";
inline constexpr char kCursorOvertaken[] = "cursor_overtaken";
inline constexpr char kCursorOfAnotherLog[] = "cursor_of_another_log";
inline constexpr char kCursorOfAnotherHistory[] = "cursor_of_another_history";
// Of a cluster: another replica has what this one lacks.
inline constexpr char kReplicaBehind[] = "replica_behind";
// Of a cluster: what is asked for needs a version that not all replicas have yet.
inline constexpr char kUpgradeUnfinished[] = "upgrade_unfinished";
inline constexpr char kTooManyStreams[] = "too_many_streams";
inline constexpr char kTooManyAnswers[] = "too_many_answers";
inline constexpr char kTooManyQueries[] = "too_many_queries";
inline constexpr char kEventNotFound[] = "event_not_found";
inline constexpr char kQuarantineEntryNotFound[] = "quarantine_entry_not_found";
inline constexpr char kConflictNotFound[] = "conflict_not_found";
inline constexpr char kSubscriptionNotFound[] = "subscription_not_found";
inline constexpr char kSubscriptionExists[] = "subscription_exists";
inline constexpr char kTooManySubscriptions[] = "too_many_subscriptions";
inline constexpr char kTooManyConsumers[] = "too_many_consumers";
inline constexpr char kEtagMismatch[] = "etag_mismatch";
inline constexpr char kJobRunning[] = "job_running";
inline constexpr char kJobNotFound[] = "job_not_found";

}  // namespace hookgate::reason

#endif  // HOOKGATE_SERVER_BASE_REASON_H_
