#include "server/rpc/reflection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.pb.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

constexpr char kService[] = "hookgate.v1.EventService";

class ReflectionTest : public testing::Test {
 protected:
  ServerReflectionResponse AskForSymbol(const std::string& symbol) const {
    ServerReflectionRequest request;
    request.set_host("a host");
    request.set_file_containing_symbol(symbol);
    return reflection_.Answer(request);
  }

  // Linked in, and so in the pool.
  const google::protobuf::ServiceDescriptor* const service_ =
      hookgate::v1::SubscribeRequest::descriptor()->file()->FindServiceByName("EventService");
  const std::vector<std::string> services_ = {kService};
  const Reflection reflection_{services_, *DescriptorPool::generated_pool()};
};

// Each question copied the descriptors of a file and of all that it imports, milliseconds of the
// thread that serves other calls. Now the bytes are kept, and have to be the same each time.
TEST_F(ReflectionTest, AFileComesAfterWhatItImportsEachTime) {
  ASSERT_NE(service_, nullptr);
  const ServerReflectionResponse first = AskForSymbol(kService);
  const auto& files = first.file_descriptor_response().file_descriptor_proto();
  ASSERT_GT(files.size(), 1);
  DescriptorPool built;
  std::string name;
  for (const std::string& bytes : files) {
    FileDescriptorProto proto;
    ASSERT_TRUE(proto.ParseFromString(bytes));
    ASSERT_NE(built.BuildFile(proto), nullptr) << proto.name() << " before what it imports";
    name = proto.name();
  }
  EXPECT_EQ(name, service_->file()->name());
  ASSERT_NE(built.FindServiceByName(kService), nullptr);
  EXPECT_EQ(built.FindServiceByName(kService)->method_count(), service_->method_count());
  EXPECT_EQ(AskForSymbol(kService).SerializeAsString(), first.SerializeAsString());
  // One that the first has brought along.
  ServerReflectionRequest request;
  request.set_file_by_filename(service_->file()->dependency(0)->name());
  const ServerReflectionResponse imported = reflection_.Answer(request);
  const auto& import_files = imported.file_descriptor_response().file_descriptor_proto();
  ASSERT_GT(import_files.size(), 0);
  FileDescriptorProto proto;
  ASSERT_TRUE(proto.ParseFromString(import_files.rbegin()[0]));
  EXPECT_EQ(proto.name(), request.file_by_filename());
}

TEST_F(ReflectionTest, WhatIsNotThereIsAnError) {
  const ServerReflectionResponse response = AskForSymbol("hookgate.v1.Nothing");
  EXPECT_EQ(response.valid_host(), "a host");
  EXPECT_EQ(response.error_response().error_code(), static_cast<int>(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace hookgate
