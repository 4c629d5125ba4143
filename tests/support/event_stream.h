// A plain gRPC client of EventService, without the client library's reconnecting.
#ifndef HOOKGATE_TESTS_SUPPORT_EVENT_STREAM_H_
#define HOOKGATE_TESTS_SUPPORT_EVENT_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hookgate/v1/event_service.grpc.pb.h"

namespace hookgate {

// `address`: HOST:PORT of a gateway. Each stub has a connection of its own.
std::unique_ptr<v1::EventService::Stub> ConnectTo(const std::string& address);

// One Subscribe call. Its calls block; after `patience` in all the stream fails with
// DEADLINE_EXCEEDED.
class EventStream {
 public:
  // `request`: a SubscribeRequest in protobuf text format. `stub` may go before the stream does.
  EventStream(v1::EventService::Stub& stub, const std::string& request,
              std::chrono::seconds patience = std::chrono::seconds(30));
  EventStream(const std::string& address, const std::string& request,
              std::chrono::seconds patience = std::chrono::seconds(30));

  // The next frame; none set at the end of the stream.
  v1::SubscribeResponse Next();
  // The next `count` events, over other frames; fewer at the end of the stream.
  std::vector<v1::Event> NextEvents(size_t count);
  // Their sequences alone.
  std::vector<int64_t> NextSequences(size_t count);
  // Everything that is stored: the events up to the first CaughtUp, which must not have come yet.
  std::vector<v1::Event> EventsUntilCaughtUp();

  void Cancel() { context_.TryCancel(); }
  grpc::Status Finish() { return reader_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_EVENT_STREAM_H_
