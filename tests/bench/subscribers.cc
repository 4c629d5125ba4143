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

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
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
  Stream(std::shared_ptr<grpc::Channel> connection, Start start, int64_t events, bool measure_lag)
      : stub_(std::move(connection)), missing_(events), measure_lag_(measure_lag) {
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
  ~Stream() {
    context_.TryCancel();
    done_.WaitForNotification();
  }

  void WaitUntilOpen() { open_.WaitForNotification(); }
  void WaitUntilComplete() {
    absl::MutexLock lock(&mu_);
    const auto complete = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return missing_ <= 0; };
    mu_.Await(absl::Condition(&complete));
  }
  const std::vector<absl::Duration>& lags() const { return lags_; }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (!open_.HasBeenNotified()) open_.Notify();
    if (measure_lag_) NoteLags();
    const int64_t events = CountEvents(frame_);
    {
      absl::MutexLock lock(&mu_);
      missing_ -= events;
    }
    frame_.Clear();
    StartRead(&frame_);
  }
  void NoteLags() {
    grpc::ByteBuffer copy(frame_);  // of references: reading consumes it
    grpc::ProtoBufferReader reader(&copy);
    SubscribeResponse response;
    if (!response.ParseFromZeroCopyStream(&reader)) return;
    const absl::Time now = absl::Now();
    for (const v1::Event& event : response.event_batch().events()) {
      lags_.push_back(now - ReceiveTime(event));
    }
  }
  void OnDone(const grpc::Status& status) override {
    if (status.error_code() != grpc::StatusCode::CANCELLED) {
      std::cerr << "gateway_bench: a stream ended: " << status.error_message() << "\n";
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
  absl::Mutex mu_;
  int64_t missing_ ABSL_GUARDED_BY(mu_);
  const bool measure_lag_;
  std::vector<absl::Duration> lags_;
};

Subscribers::Subscribers(const std::string& address, int count, Start start, int64_t events,
                         int per_connection) {
  std::shared_ptr<grpc::Channel> connection;
  for (int i = 0; i < count; ++i) {
    if (i % per_connection == 0) connection = Connect(address);
    streams_.push_back(std::make_unique<Stream>(connection, start, events, /*measure_lag=*/i == 0));
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

}  // namespace hookgate
