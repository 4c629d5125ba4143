// The unary calls of EventService, without gRPC: request in, response or error out. Each reads the
// log, so it may block.
#ifndef HOOKGATE_SERVER_RPC_EVENT_QUERIES_H_
#define HOOKGATE_SERVER_RPC_EVENT_QUERIES_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe. Errors are those that event_service.proto names.
class EventQueries {
 public:
  // Both outlive the queries.
  EventQueries(EventLog& log, const Clock& clock) : log_(log), clock_(clock) {}

  absl::Status ListRecentFailures(const hookgate::v1::ListRecentFailuresRequest& request,
                                  hookgate::v1::ListRecentFailuresResponse& response);
  absl::Status ListEvents(const hookgate::v1::ListEventsRequest& request,
                          hookgate::v1::ListEventsResponse& response);
  //   may_query  whether the caller may know of events of this source: one that he may not know of
  //              is NOT_FOUND, in the same words as one that is not there
  absl::Status GetEvent(const hookgate::v1::GetEventRequest& request,
                        hookgate::v1::GetEventResponse& response,
                        absl::FunctionRef<bool(const std::string& source)> may_query);

 private:
  EventLog& log_;
  const Clock& clock_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_EVENT_QUERIES_H_
