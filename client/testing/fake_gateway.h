// A gateway of which a test writes the answers: a real gRPC server on a port of its own.
#ifndef HOOKGATE_CLIENT_TESTING_FAKE_GATEWAY_H_
#define HOOKGATE_CLIENT_TESTING_FAKE_GATEWAY_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "client/testing/fake_admin_service.h"
#include "client/testing/fake_subscription_service.h"
#include "grpcpp/server.h"
#include "hookgate/v1/event_service.grpc.pb.h"

namespace hookgate::testing {

// Thread-safe; scripts are set before the calls that play them.
class FakeGateway final : private v1::EventService::Service {
 public:
  using StreamWriter = grpc::ServerWriter<v1::SubscribeResponse>;
  // Plays one stream and ends it with the status returned.
  using StreamScript = std::function<grpc::Status(const v1::SubscribeRequest&, StreamWriter&)>;

  FakeGateway();
  ~FakeGateway() override;

  // host:port of the server.
  const std::string& target() const { return target_; }

  // The next stream without a script gets this one. A stream for which there is none is held open,
  // silently.
  void AddStream(StreamScript script) ABSL_LOCKS_EXCLUDED(mu_);
  // A stream that sends `frames`, then ends with `end`.
  void AddStream(std::vector<v1::SubscribeResponse> frames, grpc::Status end);
  // Blocks until the gateway is destroyed: for scripts that end with silence.
  grpc::Status Hold();

  // What came, in order.
  std::vector<v1::SubscribeRequest> subscribe_requests() const ABSL_LOCKS_EXCLUDED(mu_);

  // Answers of the unary calls; UNIMPLEMENTED while empty.
  std::function<grpc::Status(const v1::ListRecentFailuresRequest&, v1::ListRecentFailuresResponse*)>
      list_recent_failures;
  std::function<grpc::Status(const v1::ListEventsRequest&, v1::ListEventsResponse*)> list_events;
  std::function<grpc::Status(const v1::GetEventRequest&, v1::GetEventResponse*)> get_event;
  std::function<grpc::Status(const v1::ExplainEventRequest&, v1::ExplainEventResponse*)>
      explain_event;

  FakeAdminService admin;
  FakeSubscriptionService subscriptions;

 private:
  grpc::Status Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                         StreamWriter* writer) override ABSL_LOCKS_EXCLUDED(mu_);
  grpc::Status ListRecentFailures(grpc::ServerContext* context,
                                  const v1::ListRecentFailuresRequest* request,
                                  v1::ListRecentFailuresResponse* response) override;
  grpc::Status ListEvents(grpc::ServerContext* context, const v1::ListEventsRequest* request,
                          v1::ListEventsResponse* response) override;
  grpc::Status GetEvent(grpc::ServerContext* context, const v1::GetEventRequest* request,
                        v1::GetEventResponse* response) override;
  grpc::Status ExplainEvent(grpc::ServerContext* context, const v1::ExplainEventRequest* request,
                            v1::ExplainEventResponse* response) override;

  absl::Notification over_;

  mutable absl::Mutex mu_;
  std::deque<StreamScript> streams_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::SubscribeRequest> subscribe_requests_ ABSL_GUARDED_BY(mu_);

  // Constant after construction.
  std::string target_;
  std::unique_ptr<grpc::Server> server_;
};

// Event `sequence` of a log in which nothing is left out; its cursor is "c<sequence>".
v1::Event MakeEvent(int64_t sequence);

v1::SubscribeResponse OpenedFrame(absl::string_view cursor,
                                  absl::Duration heartbeat_interval = absl::Seconds(15));
// Events `first` to `last`.
v1::SubscribeResponse EventsFrame(int64_t first, int64_t last);
v1::SubscribeResponse CaughtUpFrame(absl::string_view cursor);
v1::SubscribeResponse HeartbeatFrame(absl::string_view cursor);
v1::SubscribeResponse DrainingFrame(absl::string_view cursor, absl::Duration reconnect_delay);

// An error as gateways give it, with ErrorInfo, and RetryInfo unless `retry_delay` is 0.
grpc::Status GatewayStatus(grpc::StatusCode code, absl::string_view reason,
                           absl::string_view message,
                           const std::map<std::string, std::string>& metadata = {},
                           absl::Duration retry_delay = absl::ZeroDuration());

}  // namespace hookgate::testing

#endif  // HOOKGATE_CLIENT_TESTING_FAKE_GATEWAY_H_
