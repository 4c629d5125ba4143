// A real hookgated that may take little more memory than it has, under many large bodies. Each
// webhook is answered 200 and stored, or refused, or its connection ends; the gateway goes on, or
// it ends and says why. What was answered 200 is there afterwards.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/event_stream.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr int kSenders = 48;
constexpr int kWebhooksEach = 3;
constexpr size_t kBodyBytes = 900 << 10;

// Of private memory that can be written: what RLIMIT_DATA bounds.
int64_t DataBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string name; file >> name;) {
    int64_t kilobytes = 0;
    if (name == "VmData:" && file >> kilobytes) return kilobytes << 10;
  }
  ADD_FAILURE() << "no VmData of process " << pid;
  return 0;
}

std::string LargeBody() {
  return absl::StrCat(R"({"id":"evt_1","object":"event","created_at":1750000000,)",
                      R"("type":"batch.failed","more":")", std::string(kBodyBytes, 'x'),
                      R"(","data":{"id":"batch_1"}})");
}

class MemoryLimitTest : public testing::TestWithParam<int64_t> {
 protected:
  // Small and large ones in turns, until the connection ends.
  void SendMany(HttpClient& client) {
    for (int i = 0; i < kWebhooksEach; ++i) {
      SignedWebhook webhook;
      if (i % 2 == 0) webhook.body = LargeBody();
      if (!client.Send(webhook.Request())) return;
      const auto reply = client.ReadReply();
      if (!reply.has_value()) return;
      EXPECT_THAT(reply->status, AnyOf(200, 503)) << reply->body;
      absl::MutexLock lock(&mu_);
      if (reply->status == 200) answered_.push_back(webhook.webhook_id);
    }
  }

  const std::string folder_ = FreshTestFolder();
  std::unique_ptr<HookgatedProcess> gateway_ = HookgatedProcess::Start(folder_);
  absl::Mutex mu_;
  std::vector<std::string> answered_ ABSL_GUARDED_BY(mu_);  // webhook-ids
};

TEST_P(MemoryLimitTest, NothingAnsweredIsLost) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer takes memory in its own way, and ends in its own way without";
#endif
  SignedWebhook before;
  ASSERT_EQ(Exchange(gateway_->http(), before.Request()).value_or(HttpReply()).status, 200);
  // Connected before: what comes after the end is nobody's to answer.
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < kSenders; ++i) {
    clients.push_back(std::make_unique<HttpClient>(gateway_->http()));
  }
  const auto limit = static_cast<rlim_t>(DataBytes(gateway_->pid()) + GetParam());
  const rlimit limits = {.rlim_cur = limit, .rlim_max = limit};
  ASSERT_EQ(prlimit(gateway_->pid(), RLIMIT_DATA, &limits, nullptr), 0);
  std::vector<std::thread> senders;
  for (const auto& client : clients) {
    senders.emplace_back([this, &client] { SendMany(*client); });
  }
  for (std::thread& sender : senders) sender.join();
  clients.clear();

  gateway_->Signal(SIGTERM);
  const int exit_code = gateway_->WaitForExit();
  EXPECT_THAT(exit_code, AnyOf(0, 128 + SIGABRT)) << gateway_->log();
  if (exit_code != 0) {
    EXPECT_THAT(gateway_->log(), HasSubstr("out of memory"));
  }
  {
    absl::MutexLock lock(&mu_);
    std::cout << "exit code " << exit_code << ", " << answered_.size() << " answered 200\n";
  }

  gateway_ = HookgatedProcess::Start(folder_);
  std::map<std::string, int> stored;
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_EARLIEST");
  for (const v1::Event& event : stream.EventsUntilCaughtUp()) ++stored[event.webhook_id()];
  EXPECT_EQ(stored[before.webhook_id], 1);
  absl::MutexLock lock(&mu_);
  for (const std::string& id : answered_) EXPECT_EQ(stored[id], 1) << id;
}

// Bytes beyond what it has: from enough for one body to enough for all.
INSTANTIATE_TEST_SUITE_P(Beyond, MemoryLimitTest,
                         testing::Values(1 << 20, 16 << 20, 64 << 20, 512 << 20));

}  // namespace
}  // namespace hookgate
