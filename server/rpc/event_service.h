// hookgate.v1.EventService. No call blocks the thread of its connection: what reads the disk runs
// on an executor.
#ifndef HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_
#define HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_

#include "server/grpc_server/method_table.h"
#include "server/rpc/caller_pool.h"
#include "server/rpc/event_queries.h"
#include "server/rpc/explain_queries.h"
#include "server/rpc/subscribe_stream.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {

class EventService {
 public:
  // What is in the contexts outlives the service.
  EventService(const StreamContext& context, const ExplainContext& explain);

  // Adds its methods. The service outlives the table's server.
  void AddTo(MethodTable& table);
  // Whether no unary call is under way.
  bool idle() const { return calls_.idle(); }

 private:
  const std::shared_ptr<const StreamContext> context_;  // shared with its streams
  CallerPool callers_;                                  // of streams
  EventQueries queries_;
  const ExplainQueries explain_;
  UnaryCalls calls_;  // last: waits for what uses the others
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_
