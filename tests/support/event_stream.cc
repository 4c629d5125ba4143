#include "tests/support/event_stream.h"

#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"

namespace hookgate {

using v1::EventService;
using v1::SubscribeRequest;
using v1::SubscribeResponse;

std::unique_ptr<EventService::Stub> ConnectTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return EventService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

EventStream::EventStream(EventService::Stub& stub, const std::string& request_text,
                         std::chrono::seconds patience) {
  SubscribeRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request_text, &request));
  context_.set_deadline(std::chrono::system_clock::now() + patience);
  reader_ = stub.Subscribe(&context_, request);
}

EventStream::EventStream(const std::string& address, const std::string& request,
                         std::chrono::seconds patience)
    : EventStream(*ConnectTo(address), request, patience) {}

SubscribeResponse EventStream::Next() {
  SubscribeResponse response;
  if (!reader_->Read(&response)) response.Clear();
  return response;
}

std::vector<v1::Event> EventStream::NextEvents(size_t count) {
  std::vector<v1::Event> events;
  while (events.size() < count) {
    const SubscribeResponse response = Next();
    if (response.frame_case() == SubscribeResponse::FRAME_NOT_SET) break;
    events.insert(events.end(), response.event_batch().events().begin(),
                  response.event_batch().events().end());
  }
  return events;
}

std::vector<int64_t> EventStream::NextSequences(size_t count) {
  std::vector<int64_t> sequences;
  for (const v1::Event& event : NextEvents(count)) sequences.push_back(event.sequence());
  return sequences;
}

std::vector<v1::Event> EventStream::EventsUntilCaughtUp() {
  std::vector<v1::Event> events;
  while (true) {
    const SubscribeResponse response = Next();
    if (response.has_caught_up()) return events;
    if (response.frame_case() == SubscribeResponse::FRAME_NOT_SET) {
      ADD_FAILURE() << "the stream ended before it had caught up";
      return events;
    }
    events.insert(events.end(), response.event_batch().events().begin(),
                  response.event_batch().events().end());
  }
}

}  // namespace hookgate
