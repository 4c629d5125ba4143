// P7 against kill -9: at a random moment, while senders store and consumers ack, again and again,
// on one log.
//
// Consumers note what was delivered to them and which acks were answered OK. An event whose ack was
// answered must never come again; all others must, until they are acked, and always as attempt 1,
// since a restart never counts. In the end the history of each event says that it was acked.
//
//   CRASH_ROUNDS  how many times to kill; default 20
//   CRASH_SEED    repeats a run's decisions; the seed of each run is printed

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/consume_call.h"
#include "tests/support/eventually.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int kConsumers = 3;
constexpr int kSenders = 4;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// What the outside knows. Thread-safe.
class Ledger {
 public:
  void Stored() {
    absl::MutexLock lock(&mu_);
    ++stored_;
  }
  void Delivered(const v1::Delivery& delivery) {
    absl::MutexLock lock(&mu_);
    const int64_t sequence = delivery.event().sequence();
    EXPECT_FALSE(acked_.contains(sequence)) << sequence << " came back after its ack was answered";
    EXPECT_EQ(delivery.attempt(), 1) << "a restart or a stream's end was counted";
    delivered_.insert(sequence);
    ++deliveries_;
  }
  void Acked(int64_t sequence) {
    absl::MutexLock lock(&mu_);
    acked_.insert(sequence);
    ++acked_this_round_;
  }
  void BeginRound() {
    absl::MutexLock lock(&mu_);
    acked_this_round_ = 0;
  }
  // Whether so many acks are answered in this round, within a generous patience.
  bool WaitForAcks(size_t count) {
    const auto enough = [this, count]()
                            ABSL_SHARED_LOCKS_REQUIRED(mu_) { return acked_this_round_ >= count; };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(30));
  }

  int64_t stored() {
    absl::MutexLock lock(&mu_);
    return stored_;
  }
  int64_t deliveries() {
    absl::MutexLock lock(&mu_);
    return deliveries_;
  }
  std::set<int64_t> delivered() {
    absl::MutexLock lock(&mu_);
    return delivered_;
  }
  std::set<int64_t> acked() {
    absl::MutexLock lock(&mu_);
    return acked_;
  }

 private:
  absl::Mutex mu_;
  int64_t stored_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t deliveries_ ABSL_GUARDED_BY(mu_) = 0;
  size_t acked_this_round_ ABSL_GUARDED_BY(mu_) = 0;
  std::set<int64_t> delivered_ ABSL_GUARDED_BY(mu_);
  std::set<int64_t> acked_ ABSL_GUARDED_BY(mu_);
};

void SendUntilKilled(const std::string& address, Ledger& ledger) {
  HttpClient client(address);
  while (client.Send(SignedWebhook{}.Request())) {
    const auto reply = client.ReadReply();
    if (!reply.has_value()) return;
    EXPECT_EQ(reply->status, 200) << reply->body;
    ledger.Stored();
  }
}

// "<subscription>.<sequence>.<number>.<mark>": the test may look inside, clients may not.
int64_t SequenceOf(const std::string& delivery_id) {
  const std::vector<std::string> parts = absl::StrSplit(delivery_id, '.');
  int64_t sequence = 0;
  EXPECT_TRUE(parts.size() == 4 && absl::SimpleAtoi(parts[1], &sequence)) << delivery_id;
  return sequence;
}

// Acks each, a few behind what it receives, until the stream breaks, or `until` acks are answered.
void ConsumeUntilKilled(const std::string& address, const std::string& name, Ledger& ledger) {
  ConsumeCall call(address, absl::StrCat("subscription: 'billing' consumer_name: '", name,
                                         "' limits { max_outstanding_messages: 20 "
                                         "max_outstanding_bytes: 1000000 }"));
  while (true) {
    const v1::ConsumeResponse frame = call.Next();
    if (frame.frame_case() == v1::ConsumeResponse::FRAME_NOT_SET) return;
    for (const v1::Delivery& delivery : frame.deliveries().deliveries()) {
      ledger.Delivered(delivery);
      call.Ack(delivery.delivery_id());
    }
    for (const v1::AckResult& result : frame.ack_results().results()) {
      EXPECT_EQ(result.result(), v1::AckResult::RESULT_OK) << result.delivery_id();
      ledger.Acked(SequenceOf(result.delivery_id()));
    }
  }
}

class ConsumeCrashTest : public testing::Test {
 protected:
  void Create() {
    const auto gateway = HookgatedProcess::Start(data_dir_);
    const auto stub = ConnectToSubscriptions(gateway->grpc());
    v1::CreateSubscriptionRequest request;
    request.set_name("billing");
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->CreateSubscription(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    gateway->Kill();
  }

  void RunRound() {
    const auto gateway = HookgatedProcess::Start(data_dir_);
    ASSERT_FALSE(gateway->http().empty());
    ledger_.BeginRound();
    std::vector<std::thread> threads;
    for (int i = 0; i < kConsumers; ++i) {
      threads.emplace_back(
          [&, i] { ConsumeUntilKilled(gateway->grpc(), absl::StrCat("c", i), ledger_); });
    }
    for (int i = 0; i < kSenders; ++i) {
      threads.emplace_back([&] { SendUntilKilled(gateway->http(), ledger_); });
    }
    EXPECT_TRUE(ledger_.WaitForAcks(std::uniform_int_distribution<size_t>(1, 300)(random_)));
    gateway->Kill();
    for (std::thread& thread : threads) thread.join();
  }

  v1::Subscription Get(const std::string& address) {
    const auto stub = ConnectToSubscriptions(address);
    v1::GetSubscriptionRequest request;
    request.set_name("billing");
    v1::GetSubscriptionResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub->GetSubscription(&context, request, &response).ok());
    return response.subscription();
  }

  // Every event was acked, by one of those who were there; and so were those whose ack was answered
  // before a kill.
  void CheckHistory(const std::string& address) {
    const auto stub = ConnectToSubscriptions(address);
    v1::ListDeliveriesRequest request;
    request.set_subscription("billing");
    request.set_order(v1::ORDER_OLDEST_FIRST);
    request.set_page_size(1000);
    int64_t sequence = 0;
    do {
      v1::ListDeliveriesResponse page;
      grpc::ClientContext context;
      ASSERT_TRUE(stub->ListDeliveries(&context, request, &page).ok());
      for (const v1::ListedDelivery& listed : page.deliveries()) {
        ASSERT_EQ(listed.sequence(), ++sequence) << "one was forgotten";
        EXPECT_EQ(listed.delivery().state(), v1::DELIVERY_STATE_ACKED) << listed.DebugString();
        EXPECT_GE(listed.delivery().delivery_count(), 1) << listed.DebugString();
        EXPECT_FALSE(listed.delivery().consumer().empty()) << listed.DebugString();
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    const std::set<int64_t> acked = ledger_.acked();
    EXPECT_GE(sequence, acked.empty() ? 0 : *acked.rbegin());
  }

  // What is left is delivered and acked; then every event there is was delivered.
  void Settle() {
    const auto gateway = HookgatedProcess::Start(data_dir_);
    ASSERT_FALSE(gateway->grpc().empty());
    std::thread consumer([&] { ConsumeUntilKilled(gateway->grpc(), "last", ledger_); });
    EXPECT_TRUE(Eventually("the rest is acked",
                           [&] { return Get(gateway->grpc()).backlog().events() == 0; }));
    EXPECT_EQ(Get(gateway->grpc()).dead_letters(), 0);
    CheckHistory(gateway->grpc());
    gateway->Kill();
    consumer.join();
    const std::set<int64_t> delivered = ledger_.delivered();
    ASSERT_FALSE(delivered.empty());
    EXPECT_EQ(*delivered.begin(), 1);
    EXPECT_EQ(*delivered.rbegin(), static_cast<int64_t>(delivered.size())) << "one is missing";
    EXPECT_GE(static_cast<int64_t>(delivered.size()), ledger_.stored());
  }

  const std::string data_dir_ = FreshTestFolder();
  const uint64_t seed_ = FromEnvironment("CRASH_SEED", std::random_device{}());
  std::mt19937_64 random_{seed_};
  Ledger ledger_;
};

TEST_F(ConsumeCrashTest, NothingAckedComesBackAndNothingElseIsForgotten) {
  const uint64_t rounds = FromEnvironment("CRASH_ROUNDS", 20);
  SCOPED_TRACE(absl::StrCat("CRASH_SEED=", seed_));
  Create();
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    RunRound();
  }
  if (!HasFailure()) Settle();
  std::cout << "CRASH_SEED=" << seed_ << ": killed " << rounds << " times; " << ledger_.stored()
            << " webhooks answered, " << ledger_.deliveries() << " deliveries of "
            << ledger_.delivered().size() << " events, " << ledger_.acked().size()
            << " acks answered\n";
}

}  // namespace
}  // namespace hookgate
