#include "tests/bench/bare_grpc_server.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate {
namespace {

// A frame like those that the gateway sends of the benchmark's webhooks (SignedRequests), and as
// large: the notes of the cases say so.
grpc::ByteBuffer MakeFrame(int64_t events) {
  v1::SubscribeResponse frame;
  for (int64_t i = 500'000; i < 500'000 + events; ++i) {
    v1::Event& event = *frame.mutable_event_batch()->add_events();
    event.set_sequence(i);
    event.set_cursor(absl::StrCat("0123456789abcdef-", i, "-", absl::Hex(i, absl::kZeroPad8)));
    event.set_source("openai");
    event.set_webhook_id(absl::StrCat("wh_", std::string(16, '0'), absl::Hex(i, absl::kZeroPad16)));
    event.set_type("batch.failed");
    event.set_subject(absl::StrCat("batch_", i));
    event.mutable_webhook_time()->set_seconds(1'750'000'000);
    event.mutable_receive_time()->set_seconds(1'750'000'000);
    event.mutable_receive_time()->set_nanos(123'456'000);
    event.set_durability(v1::DURABILITY_LOCAL_DISK);
    event.set_trace_parent(absl::StrCat("00-", std::string(16, 'a'), absl::Hex(i, absl::kZeroPad16),
                                        "-", absl::Hex(i, absl::kZeroPad16), "-01"));
    event.mutable_batch_failed()->set_id("evt_that_logs_never_show");
    event.mutable_batch_failed()->set_created_at(1'750'000'000);
    event.mutable_batch_failed()->mutable_data()->set_id(event.subject());
    event.mutable_batch_failed()->set_type(event.type());
    event.mutable_batch_failed()->set_object("event");
  }
  const grpc::Slice slice(frame.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// One event, whose receive_time is now.
grpc::ByteBuffer MakeTimedFrame(int64_t number) {
  v1::SubscribeResponse frame;
  v1::Event& event = *frame.mutable_event_batch()->add_events();
  event.set_sequence(number);
  event.set_webhook_id(absl::StrCat("wh_", number));
  event.set_type("batch.failed");
  event.set_subject(absl::StrCat("batch_", number));
  const absl::Time now = absl::Now();
  event.mutable_receive_time()->set_seconds(absl::ToUnixSeconds(now));
  event.mutable_receive_time()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(now - absl::FromUnixSeconds(absl::ToUnixSeconds(now)))));
  const grpc::Slice slice(frame.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// Sends a frame at its time, or as soon as the one before has been taken.
class PacedStream final : public grpc::ServerGenericBidiReactor {
 public:
  explicit PacedStream(double per_second) : per_second_(per_second) { StartRead(&request_); }
  ~PacedStream() override { pacer_.join(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    pacer_ = std::thread([this] { Run(); });
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    ended_ = ended_ || !ok;
  }
  void OnCancel() override {
    absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  void OnDone() override {
    std::thread([this] { delete this; }).detach();  // Not on gRPC's thread: it joins.
  }

 private:
  void Run() {
    const auto may_write = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !writing_ || ended_; };
    const absl::Time start = absl::Now();
    for (int64_t number = 1;; ++number) {
      absl::SleepFor(start + absl::Seconds(static_cast<double>(number) / per_second_) -
                     absl::Now());
      {
        absl::MutexLock lock(&mu_);
        mu_.Await(absl::Condition(&may_write));
        if (ended_) break;
        writing_ = true;
      }
      frame_ = MakeTimedFrame(number);
      StartWrite(&frame_);
    }
    Finish(grpc::Status::CANCELLED);
  }

  const double per_second_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer frame_;
  absl::Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::thread pacer_;
};

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

class UnaryCall final : public grpc::ServerGenericBidiReactor {
 public:
  UnaryCall() { StartRead(&message_); }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    message_ = grpc::ByteBuffer(&empty_, 1);
    StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  const grpc::Slice empty_;
  grpc::ByteBuffer message_;
};

}  // namespace

class BareGrpcServer::Impl {
 public:
  using MakeStream = std::function<grpc::ServerGenericBidiReactor*()>;

  explicit Impl(MakeStream make_stream) : service_(std::move(make_stream)) {
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
    explicit Service(MakeStream make_stream) : make_stream_(std::move(make_stream)) {}

    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
      return make_stream_();
    }

   private:
    const MakeStream make_stream_;
  };

  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

BareGrpcServer::BareGrpcServer(int64_t events, int64_t events_per_frame)
    : impl_(std::make_unique<Impl>([frame = MakeFrame(events_per_frame),
                                    frames = (events + events_per_frame - 1) / events_per_frame] {
        return new Stream(frame, frames);
      })),
      address_(impl_->address()) {}
BareGrpcServer::BareGrpcServer(double events_per_second)
    : impl_(std::make_unique<Impl>(
          [events_per_second] { return new PacedStream(events_per_second); })),
      address_(impl_->address()) {}
BareGrpcServer::BareGrpcServer()
    : impl_(std::make_unique<Impl>([] { return new UnaryCall; })), address_(impl_->address()) {}
BareGrpcServer::~BareGrpcServer() = default;

}  // namespace hookgate
