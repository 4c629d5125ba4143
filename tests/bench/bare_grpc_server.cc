#include "tests/bench/bare_grpc_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate {
namespace {

// A frame like those that the gateway sends of the benchmark's webhooks.
grpc::ByteBuffer MakeFrame(int64_t events) {
  v1::SubscribeResponse frame;
  for (int64_t i = 1; i <= events; ++i) {
    v1::Event& event = *frame.mutable_event_batch()->add_events();
    event.set_sequence(i);
    event.set_cursor(absl::StrCat("0123456789abcdef-", i));
    event.set_source("openai");
    event.set_webhook_id(absl::StrCat("wh_test_12345_", i));
    event.set_type("batch.failed");
    event.set_subject(absl::StrCat("batch_", i));
    event.mutable_webhook_time()->set_seconds(1'750'000'000);
    event.mutable_receive_time()->set_seconds(1'750'000'000);
    event.mutable_receive_time()->set_nanos(123'456'000);
    event.set_durability(v1::DURABILITY_LOCAL_DISK);
    event.mutable_batch_failed()->set_id("evt_1");
    event.mutable_batch_failed()->set_created_at(1'750'000'000);
    event.mutable_batch_failed()->mutable_data()->set_id(event.subject());
    event.mutable_batch_failed()->set_type(event.type());
    event.mutable_batch_failed()->set_object("event");
  }
  const grpc::Slice slice(frame.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

class Stream final : public grpc::ServerGenericBidiReactor {
 public:
  Stream(const grpc::ByteBuffer& frame, int64_t frames) : frame_(frame), frames_left_(frames) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnWriteDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnCancel() override { Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  // The caller ends the call once it has what it wanted.
  void WriteNext() {
    if (frames_left_-- > 0) StartWrite(&frame_);
  }

  grpc::ByteBuffer request_;
  grpc::ByteBuffer frame_;  // shares the bytes
  int64_t frames_left_;
};

}  // namespace

class BareGrpcServer::Impl {
 public:
  Impl(int64_t events, int64_t events_per_frame)
      : service_(MakeFrame(events_per_frame), (events + events_per_frame - 1) / events_per_frame) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Impl() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  class Service final : public grpc::CallbackGenericService {
   public:
    Service(grpc::ByteBuffer frame, int64_t frames) : frame_(std::move(frame)), frames_(frames) {}

    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
      return new Stream(frame_, frames_);
    }

   private:
    const grpc::ByteBuffer frame_;
    const int64_t frames_;
  };

  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

BareGrpcServer::BareGrpcServer(int64_t events, int64_t events_per_frame)
    : impl_(std::make_unique<Impl>(events, events_per_frame)), address_(impl_->address()) {}
BareGrpcServer::~BareGrpcServer() = default;

}  // namespace hookgate
