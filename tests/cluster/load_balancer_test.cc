// What docs/cluster.md says for HAProxy, with a real one before real gateways: senders are answered
// 200 whichever replica ends, and streams pass. Skipped, with a line, where HAProxy is not
// installed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/event_stream.h"
#include "tests/support/program.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

using ::testing::SizeIs;

constexpr char kPage[] = "docs/cluster.md";
// Longer than a replica lets a webhook wait for a leader, and the balancer tries another one then.
constexpr absl::Duration kPatience = absl::Seconds(30);

// The one block of the page that is a config of HAProxy's.
std::string ConfigOfPage() {
  const std::string page = ReadTestFile(PathOfProgram(kPage));
  const std::string kBegin = "```haproxy\n";
  const size_t begin = page.find(kBegin);
  const size_t end = page.find("\n```\n", begin);
  if (begin == std::string::npos || end == std::string::npos) return "";
  return page.substr(begin + kBegin.size(), end + 1 - begin - kBegin.size());
}

class LoadBalancerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (OutputOf({"haproxy", "-v"}).empty()) GTEST_SKIP() << "HAProxy is not installed";
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    const std::string engine = postgres_->Config();
    // A takeover on a busy machine is not to decide.
    cluster_ = std::make_unique<GatewayCluster>(GatewayCluster::Options{
        .engine =
            [engine](int) { return absl::StrCat("append_timeout { seconds: 5 }\n  ", engine); },
        .peers = true});
    cluster_->StartAll();
    ASSERT_NE(cluster_->AwaitLeader(), -1);
    ASSERT_TRUE(cluster_->AwaitAllWell());
    WriteConfig();
  }

  // The page's, with the addresses of this machine.
  void WriteConfig() {
    std::vector<std::pair<std::string, std::string>> here = {
        {"bind :80\n", absl::StrCat("bind 127.0.0.1:", http_port_, "\n")},
        {"bind :50051\n", absl::StrCat("bind 127.0.0.1:", grpc_port_, "\n")}};
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
      const std::string gate =
          absl::StrCat("gate-", std::string(1, static_cast<char>('a' + i)), ".internal:");
      const std::string& admin = cluster_->process(i).admin();
      const std::string check = absl::StrCat(" check port ", admin.substr(admin.rfind(':') + 1));
      here.push_back({gate + "8080 check port 9090", cluster_->http(i) + check});
      here.push_back({gate + "50051 check port 9090", cluster_->grpc(i) + check});
    }
    std::string config = ConfigOfPage();
    for (const auto& [name, address] : here) {
      EXPECT_TRUE(absl::StrContains(config, name)) << name << "in" << config;
    }
    std::ofstream(config_path_) << absl::StrReplaceAll(config, here);
  }

  std::optional<HttpReply> Post(const std::string& webhook_id) const {
    SignedWebhook webhook;
    webhook.webhook_id = webhook_id;
    webhook.body = BatchFailedBody(absl::StrCat("batch_of_", webhook_id));
    webhook.more_fields = {{"Connection", "close"}};
    return TryExchange(absl::StrCat("127.0.0.1:", http_port_), webhook.Request(), kPatience);
  }
  void ExpectAnswered(const std::string& webhook_id) const {
    const auto reply = Post(webhook_id);
    ASSERT_TRUE(reply.has_value()) << webhook_id;
    EXPECT_EQ(reply->status, 200) << webhook_id << ": " << reply->body;
  }

  const int http_port_ = FreePort();
  const int grpc_port_ = FreePort();
  const std::string config_path_ = FreshTestFile("haproxy");
  const std::string log_path_ = FreshTestFile("haproxy_log");
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<GatewayCluster> cluster_;
};

TEST_F(LoadBalancerTest, SendersAreAnswered200WhicheverReplicaEnds) {
  ASSERT_EQ(RunToEnd({"haproxy", "-c", "-f", config_path_}, log_path_), 0)
      << ReadTestFile(log_path_);
  const auto balancer = EngineProcess::Start({"haproxy", "-db", "-f", config_path_}, log_path_);
  ASSERT_NE(balancer, nullptr);
  ASSERT_TRUE(BecomesTrue([&] {
    const auto reply = Post("wh_first");
    return reply.has_value() && reply->status == 200;
  })) << ReadTestFile(log_path_);
  for (int i = 0; i < 10; ++i) ExpectAnswered(absl::StrCat("wh_before_", i));

  EventStream stream(absl::StrCat("127.0.0.1:", grpc_port_),
                     "start_position: START_POSITION_EARLIEST", std::chrono::seconds(60));
  EXPECT_THAT(stream.NextEvents(11), SizeIs(11));

  const int first = cluster_->AwaitLeader();
  ASSERT_EQ(cluster_->Stop(first), 0);
  for (int i = 0; i < 10; ++i) ExpectAnswered(absl::StrCat("wh_stopped_", i));
  const int second = cluster_->AwaitLeader();
  ASSERT_NE(second, -1);
  cluster_->Kill(second);
  for (int i = 0; i < 10; ++i) ExpectAnswered(absl::StrCat("wh_killed_", i));

  // All of it is there once, at the one that is left.
  EventStream last(absl::StrCat("127.0.0.1:", grpc_port_),
                   "start_position: START_POSITION_EARLIEST", std::chrono::seconds(60));
  EXPECT_THAT(last.EventsUntilCaughtUp(), SizeIs(31));
  balancer->Kill();
}

}  // namespace
}  // namespace hookgate
