#include "tests/interop/cpp_peer.h"

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "google/rpc/status.pb.h"

namespace hookgate {
namespace {

namespace pb = ::grpc::testing;

constexpr std::chrono::seconds kPatience(30);  // that a busy machine may need

// Sizes of requests and responses as gRPC's own clients have them.
constexpr int kRequestSizes[] = {27182, 8, 1828, 45904};
constexpr int kResponseSizes[] = {31415, 9, 2653, 58979};
constexpr int kLargeRequest = 271828;
constexpr int kLargeResponse = 314159;
constexpr int kMaxMessage = 1 << 20;   // what the server takes
constexpr int kBigResponse = 4000000;  // what clients take by default, almost

constexpr char kInitialName[] = "x-grpc-test-echo-initial";
constexpr char kInitialValue[] = "test_initial_metadata_value";
constexpr char kTrailingName[] = "x-grpc-test-echo-trailing-bin";
const std::string kTrailingValue("\x0a\x0b\x0a\x0b\x0a\x0b\x00\xff", 8);

// Whitespace and characters of two and four bytes.
constexpr char kSpecialMessage[] =
    "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and "
    "non-BMP \xf0\x9f\x98\x88\t\n";

class Context : public grpc::ClientContext {
 public:
  Context() { set_deadline(std::chrono::system_clock::now() + kPatience); }
};

void SetPayload(int size, pb::Payload* payload) {
  payload->set_body(std::string(static_cast<size_t>(size), '\0'));
}

pb::StreamingOutputCallRequest Request(int request_size, int response_size) {
  pb::StreamingOutputCallRequest request;
  request.add_response_parameters()->set_size(response_size);
  SetPayload(request_size, request.mutable_payload());
  return request;
}

int SizeOf(const pb::StreamingOutputCallResponse& response) {
  return static_cast<int>(response.payload().body().size());
}

void ExpectUnary(CppPeer& peer, int request_size, int response_size) {
  Context context;
  pb::SimpleRequest request;
  request.set_response_size(response_size);
  SetPayload(request_size, request.mutable_payload());
  pb::SimpleResponse response;
  if (!peer.ExpectStatus(peer.stub().UnaryCall(&context, request, &response), grpc::OK)) return;
  const int size = static_cast<int>(response.payload().body().size());
  peer.Expect(size == response_size, absl::StrCat("a response of ", size, " bytes"));
}

void EmptyUnary(CppPeer& peer) {
  Context context;
  pb::Empty response;
  peer.ExpectStatus(peer.stub().EmptyCall(&context, {}, &response), grpc::OK);
}

void LargeUnary(CppPeer& peer) { ExpectUnary(peer, kLargeRequest, kLargeResponse); }

void LargestMessages(CppPeer& peer) { ExpectUnary(peer, kMaxMessage - 100, kBigResponse); }

// And the connection is as good as before.
void MessageTooLarge(CppPeer& peer) {
  for (const int size : {kMaxMessage + 1, 4 * kMaxMessage}) {
    Context context;
    pb::SimpleRequest request;
    SetPayload(size, request.mutable_payload());
    pb::SimpleResponse response;
    peer.ExpectStatus(peer.stub().UnaryCall(&context, request, &response),
                      grpc::RESOURCE_EXHAUSTED);
    ExpectUnary(peer, 1, 1);
  }
}

void ServerStreaming(CppPeer& peer) {
  Context context;
  pb::StreamingOutputCallRequest request;
  for (const int size : kResponseSizes) request.add_response_parameters()->set_size(size);
  const auto reader = peer.stub().StreamingOutputCall(&context, request);
  pb::StreamingOutputCallResponse response;
  for (const int size : kResponseSizes) {
    if (!peer.Expect(reader->Read(&response), "the stream ended early")) break;
    peer.Expect(SizeOf(response) == size, absl::StrCat("a response of ", SizeOf(response)));
  }
  peer.Expect(!reader->Read(&response), "the stream went on");
  peer.ExpectStatus(reader->Finish(), grpc::OK);
}

void ClientStreaming(CppPeer& peer) {
  Context context;
  pb::StreamingInputCallResponse response;
  const auto writer = peer.stub().StreamingInputCall(&context, &response);
  int total = 0;
  for (const int size : kRequestSizes) {
    pb::StreamingInputCallRequest request;
    SetPayload(size, request.mutable_payload());
    peer.Expect(writer->Write(request), "the stream ended early");
    total += size;
  }
  writer->WritesDone();
  peer.ExpectStatus(writer->Finish(), grpc::OK);
  peer.Expect(response.aggregated_payload_size() == total,
              absl::StrCat("a sum of ", response.aggregated_payload_size()));
}

void PingPong(CppPeer& peer) {
  Context context;
  const auto stream = peer.stub().FullDuplexCall(&context);
  pb::StreamingOutputCallResponse response;
  for (size_t i = 0; i < std::size(kRequestSizes); ++i) {
    stream->Write(Request(kRequestSizes[i], kResponseSizes[i]));
    if (!peer.Expect(stream->Read(&response), "the stream ended early")) break;
    peer.Expect(SizeOf(response) == kResponseSizes[i],
                absl::StrCat("a response of ", SizeOf(response)));
  }
  stream->WritesDone();
  peer.Expect(!stream->Read(&response), "the stream went on");
  peer.ExpectStatus(stream->Finish(), grpc::OK);
}

void EmptyStream(CppPeer& peer) {
  Context context;
  const auto stream = peer.stub().FullDuplexCall(&context);
  stream->WritesDone();
  pb::StreamingOutputCallResponse response;
  peer.Expect(!stream->Read(&response), "a response to nothing");
  peer.ExpectStatus(stream->Finish(), grpc::OK);
}

// The server answers once the client has closed its side, to all that came before.
void HalfClose(CppPeer& peer) {
  Context context;
  const auto stream = peer.stub().HalfDuplexCall(&context);
  for (const int size : kResponseSizes) stream->Write(Request(8, size));
  stream->WritesDone();
  pb::StreamingOutputCallResponse response;
  for (const int size : kResponseSizes) {
    if (!peer.Expect(stream->Read(&response), "the stream ended early")) break;
    peer.Expect(SizeOf(response) == size, absl::StrCat("a response of ", SizeOf(response)));
  }
  peer.Expect(!stream->Read(&response), "the stream went on");
  peer.ExpectStatus(stream->Finish(), grpc::OK);
}

// A stream that nobody reads holds its own messages back, and no other call.
void UnreadStream(CppPeer& peer) {
  constexpr int kResponses = 100;
  constexpr int kSize = 100'000;
  Context context;
  pb::StreamingOutputCallRequest request;
  for (int i = 0; i < kResponses; ++i) request.add_response_parameters()->set_size(kSize);
  const auto reader = peer.stub().StreamingOutputCall(&context, request);
  for (int i = 0; i < 10; ++i) ExpectUnary(peer, kLargeRequest, kLargeResponse);
  pb::StreamingOutputCallResponse response;
  int count = 0;
  while (reader->Read(&response)) count += SizeOf(response) == kSize ? 1 : 0;
  peer.Expect(count == kResponses, absl::StrCat(count, " responses"));
  peer.ExpectStatus(reader->Finish(), grpc::OK);
}

void ManyStreams(CppPeer& peer) {
  constexpr int kStreams = 90;  // what a client without an identity may have open at once, almost
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<std::unique_ptr<
      grpc::ClientReaderWriter<pb::StreamingOutputCallRequest, pb::StreamingOutputCallResponse>>>
      streams;
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<Context>());
    streams.push_back(peer.stub().FullDuplexCall(contexts.back().get()));
  }
  pb::StreamingOutputCallResponse response;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kStreams; ++i) streams[i]->Write(Request(i, 100 * i));
    for (int i = 0; i < kStreams; ++i) {
      peer.Expect(streams[i]->Read(&response) && SizeOf(response) == 100 * i,
                  absl::StrCat("stream ", i, " answered wrongly"));
    }
  }
  for (const auto& stream : streams) stream->WritesDone();
  for (const auto& stream : streams) peer.ExpectStatus(stream->Finish(), grpc::OK);
}

template <typename Metadata>
std::string Find(const Metadata& metadata, const char* name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? "(none)"
                                 : std::string(found->second.data(), found->second.size());
}

void ExpectEchoes(CppPeer& peer, const grpc::ClientContext& context) {
  peer.Expect(Find(context.GetServerInitialMetadata(), kInitialName) == kInitialValue,
              "the initial metadata did not come back");
  peer.Expect(Find(context.GetServerTrailingMetadata(), kTrailingName) == kTrailingValue,
              "the trailing metadata did not come back");
}

void CustomMetadata(CppPeer& peer) {
  Context unary;
  unary.AddMetadata(kInitialName, kInitialValue);
  unary.AddMetadata(kTrailingName, kTrailingValue);
  pb::SimpleRequest request;
  request.set_response_size(kLargeResponse);
  pb::SimpleResponse response;
  peer.ExpectStatus(peer.stub().UnaryCall(&unary, request, &response), grpc::OK);
  ExpectEchoes(peer, unary);
  Context duplex;
  duplex.AddMetadata(kInitialName, kInitialValue);
  duplex.AddMetadata(kTrailingName, kTrailingValue);
  const auto stream = peer.stub().FullDuplexCall(&duplex);
  stream->Write(Request(1, 1));
  stream->WritesDone();
  pb::StreamingOutputCallResponse frame;
  while (stream->Read(&frame)) continue;
  peer.ExpectStatus(stream->Finish(), grpc::OK);
  ExpectEchoes(peer, duplex);
}

// A status in the trailers alone, after a message of the client's, and with details.
void ExpectEchoedStatus(CppPeer& peer, const char* message) {
  Context unary;
  pb::SimpleRequest request;
  request.mutable_response_status()->set_code(grpc::UNKNOWN);
  request.mutable_response_status()->set_message(message);
  pb::SimpleResponse response;
  const grpc::Status status = peer.stub().UnaryCall(&unary, request, &response);
  peer.ExpectStatus(status, grpc::UNKNOWN, message);
  google::rpc::Status details;
  peer.Expect(details.ParseFromString(status.error_details()) && details.code() == grpc::UNKNOWN &&
                  details.message() == message,
              absl::StrCat("other details: ", details.ShortDebugString()));
  Context duplex;
  const auto stream = peer.stub().FullDuplexCall(&duplex);
  pb::StreamingOutputCallRequest frame;
  *frame.mutable_response_status() = request.response_status();
  stream->Write(frame);
  stream->WritesDone();
  peer.ExpectStatus(stream->Finish(), grpc::UNKNOWN, message);
}

void StatusCodeAndMessage(CppPeer& peer) { ExpectEchoedStatus(peer, "test status message"); }

void SpecialStatusMessage(CppPeer& peer) { ExpectEchoedStatus(peer, kSpecialMessage); }

// The server ends the call while the client goes on sending: the client hears the status, not that
// its upload was cut off.
void StatusBeforeTheUploadIsOver(CppPeer& peer) {
  Context context;
  const auto stream = peer.stub().FullDuplexCall(&context);
  pb::StreamingOutputCallRequest request;
  SetPayload(100'000, request.mutable_payload());
  stream->Write(request);
  request.mutable_response_status()->set_code(grpc::FAILED_PRECONDITION);
  request.mutable_response_status()->set_message("enough");
  bool open = stream->Write(request);
  for (int i = 0; i < 8 && open; ++i) open = stream->Write(request);
  peer.ExpectStatus(stream->Finish(), grpc::FAILED_PRECONDITION, "enough");
}

void TimeoutOnSleepingServer(CppPeer& peer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1));
  const auto stream = peer.stub().FullDuplexCall(&context);
  stream->Write(Request(27182, 1));
  pb::StreamingOutputCallResponse response;
  while (stream->Read(&response)) continue;
  peer.ExpectStatus(stream->Finish(), grpc::DEADLINE_EXCEEDED);
}

void CancelAfterBegin(CppPeer& peer) {
  Context context;
  pb::StreamingInputCallResponse response;
  const auto writer = peer.stub().StreamingInputCall(&context, &response);
  context.TryCancel();
  peer.ExpectStatus(writer->Finish(), grpc::CANCELLED);
}

void CancelAfterFirstResponse(CppPeer& peer) {
  Context context;
  const auto stream = peer.stub().FullDuplexCall(&context);
  stream->Write(Request(27182, 31415));
  pb::StreamingOutputCallResponse response;
  peer.Expect(stream->Read(&response), "the stream ended early");
  context.TryCancel();
  while (stream->Read(&response)) continue;
  peer.ExpectStatus(stream->Finish(), grpc::CANCELLED);
  ExpectUnary(peer, 1, 1);
}

grpc::Status CallByName(CppPeer& peer, const char* method) {
  Context context;
  pb::Empty response;
  return grpc::internal::BlockingUnaryCall(
      peer.channel().get(),
      grpc::internal::RpcMethod(method, grpc::internal::RpcMethod::NORMAL_RPC), &context,
      pb::Empty(), &response);
}

void UnimplementedMethod(CppPeer& peer) {
  peer.ExpectStatus(CallByName(peer, "/grpc.testing.TestService/UnimplementedCall"),
                    grpc::UNIMPLEMENTED);
}

void UnimplementedService(CppPeer& peer) {
  peer.ExpectStatus(CallByName(peer, "/grpc.testing.UnimplementedService/UnimplementedCall"),
                    grpc::UNIMPLEMENTED);
}

void CompressedMessage(CppPeer& peer) {
  Context context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  pb::SimpleRequest request;
  SetPayload(kLargeRequest, request.mutable_payload());
  pb::SimpleResponse response;
  peer.ExpectStatus(peer.stub().UnaryCall(&context, request, &response), grpc::UNIMPLEMENTED);
  ExpectUnary(peer, 1, 1);
}

}  // namespace

bool CppPeer::Expect(bool holds, const std::string& what) {
  if (!holds) absl::StrAppend(&problems_, what, "\n");
  return holds;
}

bool CppPeer::ExpectStatus(const grpc::Status& status, grpc::StatusCode code, const char* message) {
  return Expect(
      status.error_code() == code && (message == nullptr || status.error_message() == message),
      absl::StrCat("the status ", status.error_code(), " \"", status.error_message(), "\", not ",
                   code, message == nullptr ? "" : " with the message sent"));
}

const std::vector<CppPeerCase>& CppPeerCases() {
  static const auto& cases = *new std::vector<CppPeerCase>{
      {"empty_unary", EmptyUnary},
      {"large_unary", LargeUnary},
      {"largest_messages", LargestMessages},
      {"message_too_large", MessageTooLarge},
      {"server_streaming", ServerStreaming},
      {"client_streaming", ClientStreaming},
      {"ping_pong", PingPong},
      {"empty_stream", EmptyStream},
      {"half_close", HalfClose},
      {"unread_stream", UnreadStream},
      {"many_streams", ManyStreams},
      {"custom_metadata", CustomMetadata},
      {"status_code_and_message", StatusCodeAndMessage},
      {"special_status_message", SpecialStatusMessage},
      {"status_before_the_upload_is_over", StatusBeforeTheUploadIsOver},
      {"timeout_on_sleeping_server", TimeoutOnSleepingServer},
      {"cancel_after_begin", CancelAfterBegin},
      {"cancel_after_first_response", CancelAfterFirstResponse},
      {"unimplemented_method", UnimplementedMethod},
      {"unimplemented_service", UnimplementedService},
      {"compressed_message", CompressedMessage},
  };
  return cases;
}

}  // namespace hookgate
