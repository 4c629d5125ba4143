#include "server/grpc_server/request_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields& Call() {
  static const auto* const kCall = new Fields{
      {":method", "POST"},         {":scheme", "http"}, {":path", "/a.Service/Method"},
      {":authority", "localhost"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
  return *kCall;
}

RequestHead HeadOf(const Fields& fields, size_t max_bytes = 8192) {
  RequestHead head;
  head.Begin(max_bytes);
  for (const auto& [name, value] : fields) head.Add(name, value);
  return head;
}

RequestHead CallWith(const std::string& name, const std::string& value) {
  Fields fields = Call();
  fields.emplace_back(name, value);
  return HeadOf(fields);
}

TEST(RequestHeadTest, ACallIsRead) {
  RequestHead head = CallWith("authorization", "Bearer t");
  EXPECT_EQ(head.http_status(), 200);
  EXPECT_EQ(head.Check(), absl::OkStatus());
  EXPECT_EQ(head.path(), "/a.Service/Method");
  EXPECT_EQ(head.timeout(), absl::nullopt);
  const Metadata metadata = head.TakeMetadata();
  ASSERT_EQ(metadata.entries().size(), 1);
  EXPECT_EQ(metadata.First("authorization"), absl::string_view("Bearer t"));
}

TEST(RequestHeadTest, OtherKindsOfMessagesAreGrpcToo) {
  EXPECT_EQ(CallWith("content-type", "application/grpc+proto").http_status(), 200);
  EXPECT_EQ(CallWith("content-type", "application/grpc;x=y").http_status(), 200);
  EXPECT_EQ(CallWith("content-type", "Application/gRPC+proto ; x=y").http_status(), 200);
  EXPECT_EQ(CallWith("content-type", "application/grpc-web").http_status(), 415);
  // Such requests were accepted, and their messages read as protobuf.
  for (const char* other :
       {"application/grpc+json", "application/grpc+protobuf", "application/grpc+",
        "application/grpc proto", "application/grpc+json;x", ";application/grpc", ""}) {
    EXPECT_EQ(CallWith("content-type", other).http_status(), 415) << other;
  }
  EXPECT_EQ(CallWith("content-type", "text/html").http_status(), 415);
  EXPECT_EQ(HeadOf({{":method", "POST"}, {":path", "/"}}).http_status(), 415);
  EXPECT_EQ(HeadOf({{":method", "GET"}, {":path", "/"}}).http_status(), 405);
}

TEST(RequestHeadTest, TimeoutIsRead) {
  EXPECT_EQ(CallWith("grpc-timeout", "50m").timeout(), absl::Milliseconds(50));
  const absl::Status status = CallWith("grpc-timeout", "soon").Check();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(ReasonOf(status), reason::kMalformedRequest);
}

TEST(RequestHeadTest, CompressionIsRefusedByName) {
  EXPECT_EQ(CallWith("grpc-encoding", "identity").Check(), absl::OkStatus());
  const absl::Status status = CallWith("grpc-encoding", "gzip").Check();
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("grpc-encoding gzip"));
}

TEST(RequestHeadTest, BinaryMetadataMustBeBase64) {
  const absl::Status status = CallWith("trace-bin", "*").Check();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("trace-bin"));
}

// A header block of a few kilobytes can stand for megabytes of fields. Nothing beyond the limit is
// kept.
TEST(RequestHeadTest, TooLongAListIsNotKept) {
  RequestHead head;
  head.Begin(1000);
  for (int i = 0; i < 100'000; ++i) head.Add("name", std::string(100, 'x'));
  EXPECT_TRUE(head.too_large());
  EXPECT_EQ(head.list_bytes(), 100'000 * (4 + 100 + 32));
  EXPECT_TRUE(absl::IsResourceExhausted(head.Check()));
  EXPECT_EQ(head.http_status(), 200);
  EXPECT_EQ(head.TakeMetadata().entries().size(), 7);
}

// Each comma-separated value became a field with its own copy of the name, so 8 kB became 64 MB.
TEST(RequestHeadTest, ValuesInOneFieldCountAsFields) {
  RequestHead head;
  head.Begin(16'000);
  head.Add(std::string(4000, 'n') + "-bin", std::string(8000, ','));
  EXPECT_TRUE(head.too_large());
  EXPECT_EQ(head.TakeMetadata().entries().size(), 0);
}

}  // namespace
}  // namespace hookgate
