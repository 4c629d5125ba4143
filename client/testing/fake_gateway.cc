#include "client/testing/fake_gateway.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/testing/play_script.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/base/proto_time.h"

namespace hookgate::testing {

FakeGateway::FakeGateway() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(static_cast<v1::EventService::Service*>(this));
  builder.RegisterService(&admin);
  builder.RegisterService(&subscriptions);
  server_ = builder.BuildAndStart();
  target_ = absl::StrCat("127.0.0.1:", port);
}

FakeGateway::~FakeGateway() {
  over_.Notify();
  server_->Shutdown();
}

void FakeGateway::AddStream(StreamScript script) {
  absl::MutexLock lock(&mu_);
  streams_.push_back(std::move(script));
}

void FakeGateway::AddStream(std::vector<v1::SubscribeResponse> frames, grpc::Status end) {
  AddStream([frames = std::move(frames), end = std::move(end)](const v1::SubscribeRequest&,
                                                               StreamWriter& writer) {
    for (const auto& frame : frames) writer.Write(frame);
    return end;
  });
}

grpc::Status FakeGateway::Hold() {
  over_.WaitForNotification();
  return grpc::Status::OK;
}

std::vector<v1::SubscribeRequest> FakeGateway::subscribe_requests() const {
  absl::MutexLock lock(&mu_);
  return subscribe_requests_;
}

grpc::Status FakeGateway::Subscribe(grpc::ServerContext*, const v1::SubscribeRequest* request,
                                    StreamWriter* writer) {
  StreamScript script;
  {
    absl::MutexLock lock(&mu_);
    subscribe_requests_.push_back(*request);
    if (!streams_.empty()) {
      script = std::move(streams_.front());
      streams_.pop_front();
    }
  }
  return script ? script(*request, *writer) : Hold();
}

grpc::Status FakeGateway::ListRecentFailures(grpc::ServerContext*,
                                             const v1::ListRecentFailuresRequest* request,
                                             v1::ListRecentFailuresResponse* response) {
  return PlayScript(list_recent_failures, request, response);
}

grpc::Status FakeGateway::ListEvents(grpc::ServerContext*, const v1::ListEventsRequest* request,
                                     v1::ListEventsResponse* response) {
  return PlayScript(list_events, request, response);
}

grpc::Status FakeGateway::GetEvent(grpc::ServerContext*, const v1::GetEventRequest* request,
                                   v1::GetEventResponse* response) {
  return PlayScript(get_event, request, response);
}

grpc::Status FakeGateway::ExplainEvent(grpc::ServerContext*, const v1::ExplainEventRequest* request,
                                       v1::ExplainEventResponse* response) {
  return PlayScript(explain_event, request, response);
}

v1::Event MakeEvent(int64_t sequence) {
  v1::Event event;
  event.set_sequence(sequence);
  event.set_cursor(absl::StrCat("c", sequence));
  event.set_source("openai");
  event.set_webhook_id(absl::StrCat("wh_", sequence));
  event.set_type("batch.failed");
  event.set_subject(absl::StrCat("batch_", sequence));
  *event.mutable_receive_time() = ToProto(absl::FromUnixSeconds(1'750'000'000 + sequence));
  *event.mutable_webhook_time() = event.receive_time();
  event.set_durability(v1::DURABILITY_LOCAL_DISK);
  auto& payload = *event.mutable_batch_failed();
  payload.set_id(absl::StrCat("evt_", sequence));
  payload.set_type("batch.failed");
  payload.mutable_data()->set_id(event.subject());
  return event;
}

v1::SubscribeResponse OpenedFrame(absl::string_view cursor, absl::Duration heartbeat_interval) {
  v1::SubscribeResponse frame;
  frame.mutable_opened()->set_epoch("epoch");
  frame.mutable_opened()->set_cursor(std::string(cursor));
  frame.mutable_opened()->set_earliest_sequence(1);
  *frame.mutable_opened()->mutable_heartbeat_interval() = ToProto(heartbeat_interval);
  return frame;
}

v1::SubscribeResponse EventsFrame(int64_t first, int64_t last) {
  v1::SubscribeResponse frame;
  for (int64_t sequence = first; sequence <= last; ++sequence) {
    *frame.mutable_event_batch()->add_events() = MakeEvent(sequence);
  }
  return frame;
}

v1::SubscribeResponse CaughtUpFrame(absl::string_view cursor) {
  v1::SubscribeResponse frame;
  frame.mutable_caught_up()->set_cursor(std::string(cursor));
  return frame;
}

v1::SubscribeResponse HeartbeatFrame(absl::string_view cursor) {
  v1::SubscribeResponse frame;
  frame.mutable_heartbeat()->set_cursor(std::string(cursor));
  return frame;
}

v1::SubscribeResponse DrainingFrame(absl::string_view cursor, absl::Duration reconnect_delay) {
  v1::SubscribeResponse frame;
  frame.mutable_draining()->set_cursor(std::string(cursor));
  *frame.mutable_draining()->mutable_reconnect_delay() = ToProto(reconnect_delay);
  return frame;
}

grpc::Status GatewayStatus(grpc::StatusCode code, absl::string_view reason,
                           absl::string_view message,
                           const std::map<std::string, std::string>& metadata,
                           absl::Duration retry_delay) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(std::string(message));
  google::rpc::ErrorInfo info;
  info.set_domain("hookgate");
  info.set_reason(std::string(reason));
  info.mutable_metadata()->insert(metadata.begin(), metadata.end());
  status.add_details()->PackFrom(info);
  if (retry_delay != absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = ToProto(retry_delay);
    status.add_details()->PackFrom(retry);
  }
  return grpc::Status(code, std::string(message), status.SerializeAsString());
}

}  // namespace hookgate::testing
