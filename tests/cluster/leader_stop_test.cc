// With SIGTERM a leader hands over at once: what comes to the followers meanwhile waits for the
// next leader, and is answered 200. How long senders wait is printed, for HOOKGATE_STOPS stops, and
// of the longest one what each replica logged.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongEnough = absl::Seconds(60);
// Longer than a gateway lets one wait, so that it is the gateway that answers.
constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kBetween = absl::Milliseconds(5);

// One webhook of a sender, and how it was answered.
struct Sent {
  absl::Time begin;
  absl::Time end;
  int status = 0;  // 0: not at all
};

// Sends to one replica, one webhook after the other, until it is told to end and one that it has
// begun since then is answered 200.
class Sender {
 public:
  Sender(const GatewayCluster& cluster, int replica, const std::string& name)
      : thread_([this, &cluster, replica, name] {
          const absl::Time give_up = absl::Now() + kLongEnough;
          for (int i = 0; absl::Now() < give_up; ++i) {
            const bool is_last = ends_;
            Sent sent = {.begin = absl::Now()};
            const auto reply = cluster.TryPost(replica, absl::StrCat(name, "_", i), kPatience);
            sent.end = absl::Now();
            sent.status = reply.has_value() ? reply->status : 0;
            sent_.push_back(sent);
            if (sent.status == 200) was_answered_ = true;
            if (is_last && sent.status == 200) return;
            absl::SleepFor(kBetween);
          }
        }) {}
  // One of its webhooks was answered 200.
  bool was_answered() const { return was_answered_; }
  void End() { ends_ = true; }
  std::vector<Sent> Await() {
    thread_.join();
    return std::move(sent_);
  }

 private:
  std::atomic<bool> was_answered_ = false;
  std::atomic<bool> ends_ = false;
  std::vector<Sent> sent_;
  std::thread thread_;
};

// The longest time without a 200.
std::pair<absl::Time, absl::Time> LongestWait(const std::vector<Sent>& sent) {
  std::pair<absl::Time, absl::Time> longest;
  std::optional<absl::Time> last;
  for (const Sent& each : sent) {
    if (each.status != 200) continue;
    const absl::Time since = last.value_or(each.begin);
    if (each.end - since > longest.second - longest.first) longest = {since, each.end};
    last = each.end;
  }
  return longest;
}

// How much of a stretch of time the sender itself stood still, since the machine had other things
// to do: no gateway is to blame for that.
absl::Duration StoodStill(const std::vector<Sent>& sent, absl::Time from, absl::Time to) {
  absl::Duration still;
  for (size_t i = 1; i < sent.size(); ++i) {
    if (sent[i - 1].end < from || sent[i].begin > to) continue;
    still += sent[i].begin - sent[i - 1].end - kBetween;
  }
  return still;
}

// What all gateways logged within a stretch of time, in order, in ms since `zero`.
void PrintLogs(absl::Time zero, absl::Time from, absl::Time to) {
  std::vector<std::pair<absl::Time, std::string>> lines;
  for (const auto& file : std::filesystem::directory_iterator(testing::TempDir())) {
    const std::string name = file.path().filename().string();
    if (!absl::StartsWith(name, "hookgated_log")) continue;
    for (const absl::string_view line : absl::StrSplit(ReadTestFile(file.path().string()), '\n')) {
      constexpr absl::string_view kTime = "{\"time\":\"";
      if (!absl::StartsWith(line, kTime)) continue;
      const std::pair<absl::string_view, absl::string_view> parts =
          absl::StrSplit(line.substr(kTime.size()), absl::MaxSplits('"', 1));
      absl::Time at;
      if (!absl::ParseTime(absl::RFC3339_full, parts.first, &at, nullptr)) continue;
      if (at < from || at > to) continue;
      lines.emplace_back(at, absl::StrCat(name.substr(name.rfind('_') + 1), " ", parts.second));
    }
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& [at, line] : lines) {
    std::cout << absl::StrFormat("%9.1f ms  %s\n", absl::ToDoubleMilliseconds(at - zero), line);
  }
}

class LeaderStopTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    if (const char* const stops = std::getenv("HOOKGATE_STOPS"); stops != nullptr) {
      stops_ = std::atoi(stops);
      measures_ = true;
    }
    // On a machine that does nothing else the default does. Here it is not to decide.
    const std::string patience = measures_ ? "" : "append_timeout { seconds: 5 }\n  ";
    const std::string engine = absl::StrCat(patience, postgres_->Config());
    cluster_ = std::make_unique<GatewayCluster>(
        GatewayCluster::Options{.engine = [engine](int) { return engine; }, .peers = true});
    cluster_->StartAll();
  }

  void AwaitAllReady() {
    const absl::Time end = absl::Now() + kLongEnough;
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
      while (!cluster_->IsReady(i) && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
      ASSERT_TRUE(cluster_->IsReady(i)) << i;
    }
  }

  int stops_ = 2;
  bool measures_ = false;
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<GatewayCluster> cluster_;
};

TEST_F(LeaderStopTest, SendersOfFollowersAreAnswered200WhileTheLeaderIsStopped) {
  std::vector<int64_t> waits_ms;
  absl::Duration longest;
  for (int stop = 0; stop < stops_; ++stop) {
    const int leader = cluster_->AwaitLeader();
    ASSERT_NE(leader, -1);
    ASSERT_NO_FATAL_FAILURE(AwaitAllReady());
    std::vector<std::unique_ptr<Sender>> senders;
    for (int i = 1; i < GatewayCluster::kReplicas; ++i) {
      senders.push_back(std::make_unique<Sender>(
          *cluster_, (leader + i) % GatewayCluster::kReplicas, absl::StrCat("wh_", stop, "_", i)));
    }
    for (const auto& sender : senders) {
      EXPECT_TRUE(BecomesTrue([&] { return sender->was_answered(); }));
    }
    const absl::Time begin = absl::Now();
    EXPECT_EQ(cluster_->Stop(leader), 0);
    for (const auto& sender : senders) sender->End();
    for (const auto& sender : senders) {
      const std::vector<Sent> sent = sender->Await();
      int refused = 0;
      for (const Sent& each : sent) refused += each.status != 200 ? 1 : 0;
      if (!measures_) {
        EXPECT_EQ(refused, 0) << "of " << sent.size();
      }
      const auto [from, to] = LongestWait(sent);
      waits_ms.push_back(absl::ToInt64Milliseconds(to - from));
      if (measures_) {
        std::cout << "stop " << stop << ": " << sent.size() << " sent, " << refused
                  << " not answered 200, longest wait " << waits_ms.back() << " ms, from "
                  << absl::ToInt64Milliseconds(from - begin)
                  << " ms after SIGTERM; of it the sender stood still for "
                  << absl::ToInt64Milliseconds(StoodStill(sent, from, to)) << " ms" << std::endl;
      }
      if (measures_ && to - from > longest) {
        longest = to - from;
        for (const Sent& each : sent) {
          if (each.end < from || each.begin > to) continue;
          std::cout << absl::StrFormat("  sent at %.1f ms, answered %d after %.1f ms\n",
                                       absl::ToDoubleMilliseconds(each.begin - begin), each.status,
                                       absl::ToDoubleMilliseconds(each.end - each.begin));
        }
        PrintLogs(begin, begin, to + absl::Milliseconds(100));
      }
    }
    cluster_->Start(leader);
  }
  std::sort(waits_ms.begin(), waits_ms.end());
  std::cout << "longest wait of the senders of each follower while the leader is stopped, ms: "
            << absl::StrJoin(waits_ms, " ") << std::endl;
}

}  // namespace
}  // namespace hookgate
