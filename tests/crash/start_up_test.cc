// How long a start takes after kill -9 under load, on logs of 100,000 events and more. Prints what
// it measured; its bound is generous.

#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tests/bench/grow_log.h"
#include "tests/support/eventually.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int kSenders = 8;
constexpr int kAnswersEach = 500;

// Kills `gateway` while senders wait for answers.
void KillUnderLoad(HookgatedProcess& gateway) {
  std::atomic<int> busy = kSenders;
  std::vector<std::thread> senders;
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back([&] {
      HttpClient client(gateway.http());
      for (int answers = 0; client.Send(SignedWebhook{}.Request()); ++answers) {
        const auto reply = client.ReadReply();
        if (answers == kAnswersEach) --busy;
        if (!reply.has_value()) return;
        EXPECT_EQ(reply->status, 200);
      }
    });
  }
  EXPECT_TRUE(Eventually("all have sent", [&] { return busy == 0; }));
  gateway.Kill();
  for (std::thread& sender : senders) sender.join();
}

class StartUpTest : public testing::TestWithParam<int> {};

TEST_P(StartUpTest, TakesLessThanASecondForEach100000Events) {
  const std::string data_dir = FreshTestFolder();
  std::mt19937_64 random(1);
  const auto grown = GrowLog(data_dir, GetParam(), absl::Hours(24 * 20), random);
  ASSERT_TRUE(grown.ok()) << grown.status();
  KillUnderLoad(*HookgatedProcess::Start(data_dir));
  const absl::Time start = absl::Now();
  const auto gateway = HookgatedProcess::Start(data_dir);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  ASSERT_FALSE(gateway->http().empty());
  const double each = seconds / (GetParam() / 1e5);
  std::cout << absl::StrFormat("%d events: ready %.2f s after the start, %.3f s for each 100,000\n",
                               GetParam(), seconds, each);
  EXPECT_LT(each, 1);
}

// Of 250,000, no webhook-id has got into a run: a start reads all of their pieces.
INSTANTIATE_TEST_SUITE_P(Logs, StartUpTest, testing::Values(100'000, 250'000, 1'000'000));

}  // namespace
}  // namespace hookgate
