// EventService.ExplainEvent, without gRPC: request in, response or error out. Reads the log, so it
// may block.
#ifndef HOOKGATE_SERVER_RPC_EXPLAIN_QUERIES_H_
#define HOOKGATE_SERVER_RPC_EXPLAIN_QUERIES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "google/protobuf/repeated_field.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/lookup_log.h"
#include "server/eventlog/quarantine_log.h"
#include "server/status/refused_requests.h"

namespace hookgate {

// When a source was heard of last.
struct LastWebhook {
  std::string source;
  absl::optional<absl::Time> time;  // nullopt: nothing came since the log counts it
};

struct ExplainContext {
  EventLog& log;
  LookupLog& lookups;
  QuarantineLog& quarantine;
  SubscriptionRegistry& subscriptions;
  // Those that are configured now; null: none. Any thread.
  std::function<std::vector<LastWebhook>()> sources;
  const RefusedRequests& refused;
};

// What the caller may know of.
struct ExplainView {
  absl::FunctionRef<bool(const std::string& source)> may_query;
  absl::FunctionRef<bool(const std::string& subscription)> may_look_at;
  bool is_admin = false;
};

// Thread-safe. Errors are those that event_service.proto names.
class ExplainQueries {
 public:
  // What is in `context` outlives the queries.
  explicit ExplainQueries(const ExplainContext& context) : context_(context) {}

  absl::Status Explain(const hookgate::v1::ExplainEventRequest& request, const ExplainView& view,
                       hookgate::v1::ExplainEventResponse& response) const;

 private:
  using Request = hookgate::v1::ExplainEventRequest;
  using Response = hookgate::v1::ExplainEventResponse;

  // The event that the request names, null if the caller finds none; others of its text are put
  // into `response`.
  absl::StatusOr<StoredEventPtr> Find(const Request& request, const ExplainView& view,
                                      Response& response) const;
  absl::StatusOr<StoredEventPtr> FindByText(const Request& request, const ExplainView& view,
                                            Response& response) const;
  // Null if the log does not hold it.
  absl::StatusOr<StoredEventPtr> Get(Sequence sequence, bool include_raw_body) const;
  absl::Status DescribeArrival(const StoredEvent& event, bool is_admin, Response& response) const;
  // `event` is null if the log does not hold it any more.
  absl::Status DescribeDeliveries(const Request& request, const ExplainView& view,
                                  Sequence sequence, const StoredEvent* event,
                                  Response& response) const;
  absl::Status DescribeAbsence(const Request& request, const ExplainView& view,
                               Response& response) const;
  // What is in quarantine with this id, one a source.
  absl::Status AddQuarantined(
      const std::string& webhook_id, const std::vector<std::string>& sources,
      google::protobuf::RepeatedPtrField<hookgate::v1::Absence::Quarantined>& found) const;
  // What claimed this id at `source`, which may be "" for any, and was refused.
  void AddRefused(const std::string& webhook_id, const std::string& source,
                  google::protobuf::RepeatedPtrField<hookgate::v1::Absence::Refused>& found) const;
  std::vector<LastWebhook> Sources() const;

  const ExplainContext context_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_EXPLAIN_QUERIES_H_
