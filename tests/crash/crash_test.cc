// P1 to P4 against kill -9: at a random moment under load, again and again, on one log.
//
// Senders note what was answered 2xx, and a subscriber what was delivered. After each restart
// another subscriber goes on from its cursor and must find all of that, under the same sequence,
// once, without a hole. A repeat of what was answered before the crash must be known.
//
//   CRASH_ROUNDS  how many times to kill; default 30
//   CRASH_SEED    repeats a run's decisions; the seed of each run is printed

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/event_stream.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int kSenders = 8;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// What the outside was told is stored: webhook-id to sequence.
using Promised = std::map<std::string, int64_t>;

// What was answered 2xx. Thread-safe.
class Answered {
 public:
  void Add(const std::string& webhook_id, int64_t sequence) {
    absl::MutexLock lock(&mu_);
    sequences_[webhook_id] = sequence;
  }
  // Whether there are `count` within a generous patience.
  bool WaitFor(size_t count) {
    const auto enough = [this, count]()
                            ABSL_SHARED_LOCKS_REQUIRED(mu_) { return sequences_.size() >= count; };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(30));
  }
  Promised Take() {
    absl::MutexLock lock(&mu_);
    return std::exchange(sequences_, {});
  }

 private:
  absl::Mutex mu_;
  Promised sequences_ ABSL_GUARDED_BY(mu_);
};

// The sequence of {"status":"...","sequence":"42"}.
int64_t SequenceOf(const std::string& body) {
  constexpr absl::string_view kKey = "\"sequence\":\"";
  const size_t begin = body.find(kKey.data());
  int64_t sequence = 0;
  if (begin != std::string::npos) {
    const size_t digits = begin + kKey.size();
    EXPECT_TRUE(absl::SimpleAtoi(body.substr(digits, body.find('"', digits) - digits), &sequence));
  }
  return sequence;
}

// Sends webhooks over one connection until it breaks.
void SendUntilKilled(const std::string& address, Answered& answered) {
  HttpClient client(address);
  while (true) {
    SignedWebhook webhook;
    if (!client.Send(webhook.Request())) return;
    const auto reply = client.ReadReply();
    if (!reply.has_value()) return;
    EXPECT_EQ(reply->status, 200) << reply->body;
    answered.Add(webhook.webhook_id, SequenceOf(reply->body));
  }
}

// Subscribes to what comes from now on, until the stream breaks.
Promised ReadUntilKilled(const std::string& address) {
  Promised delivered;
  EventStream stream(address, "start_position: START_POSITION_LATEST");
  while (true) {
    const v1::SubscribeResponse frame = stream.Next();
    if (frame.frame_case() == v1::SubscribeResponse::FRAME_NOT_SET) return delivered;
    for (const v1::Event& event : frame.event_batch().events()) {
      delivered[event.webhook_id()] = event.sequence();
    }
  }
}

class CrashTest : public testing::Test {
 protected:
  // Starts the gateway, loads it, kills it after a random number of answers.
  Promised RunRound() {
    const auto gateway = HookgatedProcess::Start(data_dir_);
    if (gateway->http().empty()) return {};
    CheckKnown(*gateway);
    Answered answered;
    Promised delivered;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { delivered = ReadUntilKilled(gateway->grpc()); });
    for (int i = 0; i < kSenders; ++i) {
      threads.emplace_back([&] { SendUntilKilled(gateway->http(), answered); });
    }
    EXPECT_TRUE(answered.WaitFor(std::uniform_int_distribution<size_t>(1, 300)(random_)));
    gateway->Kill();
    for (std::thread& thread : threads) thread.join();
    Promised promised = answered.Take();
    answered_ += promised.size();
    delivered_ += delivered.size();
    for (const auto& [webhook_id, sequence] : delivered) {
      EXPECT_EQ(promised.emplace(webhook_id, sequence).first->second, sequence);
    }
    return promised;
  }

  // What was promised in the last round is a duplicate now.
  void CheckKnown(HookgatedProcess& gateway) {
    if (last_id_.empty()) return;
    const auto reply = Exchange(gateway.http(), SignedWebhook{.webhook_id = last_id_}.Request());
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->body,
              absl::StrCat(R"({"status":"duplicate","sequence":")", last_sequence_, "\"}"));
  }

  // Reads on from the cursor, and looks for what was promised.
  void CheckStored(const Promised& promised) {
    const auto gateway = HookgatedProcess::Start(data_dir_);
    if (gateway->grpc().empty()) return;
    EventStream stream(gateway->grpc(), cursor_.empty()
                                            ? "start_position: START_POSITION_EARLIEST"
                                            : absl::StrCat("after_cursor: '", cursor_, "'"));
    Promised stored;
    for (const v1::Event& event : stream.EventsUntilCaughtUp()) {
      EXPECT_EQ(event.sequence(), head_ + 1) << "a hole, or a repeat";
      EXPECT_TRUE(stored.emplace(event.webhook_id(), event.sequence()).second)
          << event.webhook_id() << " is there twice";
      head_ = event.sequence();
      cursor_ = event.cursor();
    }
    for (const auto& [webhook_id, sequence] : promised) {
      const auto found = stored.find(webhook_id);
      ASSERT_NE(found, stored.end()) << webhook_id << " was promised, and is lost";
      EXPECT_EQ(found->second, sequence);
    }
    if (!promised.empty()) std::tie(last_id_, last_sequence_) = *promised.rbegin();
    unpromised_ += stored.size() - promised.size();
    gateway->Kill();
  }

  const std::string data_dir_ = FreshTestFolder();
  const uint64_t seed_ = FromEnvironment("CRASH_SEED", std::random_device{}());
  std::mt19937_64 random_{seed_};
  // Where the subscriber is.
  std::string cursor_;
  int64_t head_ = 0;
  // A webhook that was promised.
  std::string last_id_;
  int64_t last_sequence_ = 0;

  size_t answered_ = 0;
  size_t delivered_ = 0;
  size_t unpromised_ = 0;  // stored, but the gateway was killed before it could say so
};

TEST_F(CrashTest, NothingAnsweredIsLostHoweverOftenItIsKilled) {
  const uint64_t rounds = FromEnvironment("CRASH_ROUNDS", 30);
  SCOPED_TRACE(absl::StrCat("CRASH_SEED=", seed_));
  for (uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    CheckStored(RunRound());
  }
  std::cout << "CRASH_SEED=" << seed_ << ": killed " << rounds << " times; " << answered_
            << " webhooks answered, " << delivered_ << " delivered, all found; " << unpromised_
            << " more were stored\n";
  EXPECT_GE(answered_, rounds);
}

}  // namespace
}  // namespace hookgate
