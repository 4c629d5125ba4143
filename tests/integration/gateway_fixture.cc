#include "tests/integration/gateway_fixture.h"

#include <csignal>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_log.h"

namespace hookgate {

std::string GatewayTest::NewDataDir() { return FreshTestFolder(); }

void GatewayTest::TearDown() {
  if (HasFailure() && gateway_ != nullptr) {
    std::cerr << "The gateway's log:\n" << gateway_->log() << "\n";
  }
}

void GatewayTest::Start(const std::vector<std::string>& flags) {
  gateway_.reset();  // Two cannot have the same log.
  gateway_ = HookgatedProcess::Start(data_dir_, flags);
}

void GatewayTest::StartWithConfig(const std::string& config) {
  secret_file_ = WriteFile(absl::StrCat(kTestSecret, "\n"));
  config_file_ = WriteFile("");
  WriteConfig(config);
  Start({absl::StrCat("--config=", config_file_)});
}

void GatewayTest::WriteConfig(const std::string& config) {
  std::ofstream(config_file_) << absl::StrReplaceAll(
      config,
      {{"SECRET_FILE", secret_file_}, {"NEW_SECRET", kNewSecret}, {"OTHER_SECRET", kOtherSecret}});
}

void GatewayTest::BeginReload(const std::string& config) {
  WriteConfig(config);
  gateway_->Signal(SIGHUP);
}

void GatewayTest::Reload(const std::string& config) {
  const auto reloads = [this] {
    const std::string log = gateway_->log();
    size_t count = 0;
    for (const char* line : {"\"config applied\"", "\"config not applied;"}) {
      for (size_t at = log.find(line); at != std::string::npos; at = log.find(line, at + 1))
        ++count;
    }
    return count;
  };
  const size_t before = reloads();
  BeginReload(config);
  ASSERT_TRUE(Eventually("the config is read again", [&] { return reloads() != before; }));
}

HttpReply GatewayTest::SendBytes(const std::string& request) {
  return Exchange(gateway_->http(), request).value_or(HttpReply());
}

void GatewayTest::Store(SignedWebhook webhook) {
  const HttpReply reply = Send(std::move(webhook));
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_NE(reply.body.find("\"stored\""), std::string::npos) << reply.body;
}

v1::GetStatusResponse GatewayTest::GetStatus() {
  const auto stub = v1::AdminService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::GetStatusResponse response;
  const grpc::Status status = stub->GetStatus(&context, {}, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::vector<v1::Event> GatewayTest::StoredEvents() {
  EventStream stream(gateway_->grpc(),
                     "start_position: START_POSITION_EARLIEST include_raw_body: true");
  return stream.EventsUntilCaughtUp();
}

std::string GatewayTest::HttpsConfig(const std::string& certificate_file,
                                     const std::string& key_file) {
  return absl::StrCat(
      "http { tls { certificate_file: \"", certificate_file, "\" key_file: \"", key_file,
      "\" } } sources { name: \"openai\" secrets { name: \"a\" file: \"SECRET_FILE\" } }");
}

std::string GatewayTest::WriteFile(const std::string& content) {
  std::string path = FreshTestFolder();
  std::ofstream(path) << content;
  return path;
}

}  // namespace hookgate
