#include "tests/bench/subscribers.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate {
namespace {

using google::protobuf::internal::WireFormatLite;
using v1::SubscribeResponse;

// How many events a frame holds: counted by their tags.
int64_t CountEvents(grpc::ByteBuffer& frame) {
  grpc::ProtoBufferReader reader(&frame);
  google::protobuf::io::CodedInputStream input(&reader);
  constexpr uint32_t kBatchTag = (SubscribeResponse::kEventBatchFieldNumber << 3) | 2;
  constexpr uint32_t kEventTag = (SubscribeResponse::EventBatch::kEventsFieldNumber << 3) | 2;
  uint32_t length = 0;
  if (input.ReadTag() != kBatchTag || !input.ReadVarint32(&length)) return 0;
  int64_t count = 0;
  while (input.ReadTag() == kEventTag) {
    ++count;
    WireFormatLite::SkipField(&input, kEventTag);
  }
  return count;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, Subscribers::Start start) {
  grpc::ChannelArguments arguments;
  // Or this process would take in megabytes for each stream, although nobody reads them.
  if (start == Subscribers::Start::kStalled) arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Time ReceiveTime(const v1::Event& event) {
  return absl::FromUnixSeconds(event.receive_time().seconds()) +
         absl::Nanoseconds(event.receive_time().nanos());
}

}  // namespace

class Subscribers::Stream : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(std::shared_ptr<grpc::Channel> connection, Start start, int64_t events, bool is_first)
      : stub_(std::move(connection)),
        is_stalled_(start == Start::kStalled),
        missing_(is_stalled_ ? 0 : events),
        is_first_(is_first) {
    v1::SubscribeRequest request;
    request.set_start_position(start == Start::kEarliest ? v1::START_POSITION_EARLIEST
                                                         : v1::START_POSITION_LATEST);
    const grpc::Slice slice(request.SerializeAsString());
    request_ = grpc::ByteBuffer(&slice, 1);
    stub_.PrepareBidiStreamingCall(&context_, "/hookgate.v1.EventService/Subscribe", {}, this);
    StartWriteLast(&request_, {});
    StartRead(&frame_);
    StartCall();
  }
  ~Stream() override {
    context_.TryCancel();
    done_.WaitForNotification();
  }

  void WaitUntilOpen() { open_.WaitForNotification(); }
  void WaitUntilComplete() {
    absl::MutexLock lock(&mu_);
    const auto complete = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return missing_ <= 0; };
    mu_.Await(absl::Condition(&complete));
  }
  // Once complete.
  const std::vector<absl::Duration>& lags() const { return lags_; }
  const std::vector<EventArrival>& arrivals() const { return arrivals_; }
  double events_per_frame() const {
    return frames_ == 0 ? 0 : static_cast<double>(received_) / static_cast<double>(frames_);
  }
  double bytes_per_event() const {
    return received_ == 0 ? 0 : static_cast<double>(bytes_) / static_cast<double>(received_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (!open_.HasBeenNotified()) open_.Notify();
    if (is_stalled_) return;
    if (is_first_) NoteArrivals();
    const size_t bytes = frame_.Length();
    const int64_t events = CountEvents(frame_);
    received_ += events;
    if (events > 0) {
      ++frames_;
      bytes_ += static_cast<int64_t>(bytes);
    }
    {
      absl::MutexLock lock(&mu_);
      missing_ -= events;
    }
    frame_.Clear();
    StartRead(&frame_);
  }
  void NoteArrivals() {
    grpc::ByteBuffer copy(frame_);  // of references: reading consumes it
    grpc::ProtoBufferReader reader(&copy);
    SubscribeResponse response;
    if (!response.ParseFromZeroCopyStream(&reader)) return;
    const absl::Time now = absl::Now();
    for (const v1::Event& event : response.event_batch().events()) {
      lags_.push_back(now - ReceiveTime(event));
      arrivals_.push_back({event.subject(), now});
    }
  }
  void OnDone(const grpc::Status& status) override {
    if (status.error_code() != grpc::StatusCode::CANCELLED) {
      std::cerr << "bench: a stream ended: " << status.error_message() << "\n";
      std::exit(1);
    }
    done_.Notify();
  }

  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer frame_;
  absl::Notification open_;
  absl::Notification done_;
  const bool is_stalled_;
  absl::Mutex mu_;
  int64_t missing_ ABSL_GUARDED_BY(mu_);
  const bool is_first_;

  // gRPC's thread's until complete.
  std::vector<absl::Duration> lags_;
  std::vector<EventArrival> arrivals_;
  int64_t received_ = 0;
  int64_t frames_ = 0;
  int64_t bytes_ = 0;  // of frames_
};

Subscribers::Subscribers(const std::string& address, int count, Start start, int64_t events,
                         int per_connection) {
  std::shared_ptr<grpc::Channel> connection;
  for (int i = 0; i < count; ++i) {
    if (i % per_connection == 0) connection = Connect(address, start);
    streams_.push_back(std::make_unique<Stream>(connection, start, events, /*is_first=*/i == 0));
  }
  for (const auto& stream : streams_) stream->WaitUntilOpen();
}

Subscribers::~Subscribers() = default;

void Subscribers::Wait() {
  for (const auto& stream : streams_) stream->WaitUntilComplete();
}

std::vector<absl::Duration> Subscribers::lags() const {
  return streams_.empty() ? std::vector<absl::Duration>() : streams_.front()->lags();
}

std::vector<EventArrival> Subscribers::arrivals() const {
  return streams_.empty() ? std::vector<EventArrival>() : streams_.front()->arrivals();
}

double Subscribers::events_per_frame() const {
  return streams_.empty() ? 0 : streams_.front()->events_per_frame();
}

double Subscribers::bytes_per_event() const {
  return streams_.empty() ? 0 : streams_.front()->bytes_per_event();
}

}  // namespace hookgate
