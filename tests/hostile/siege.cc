#include "tests/hostile/siege.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/access/access_policy.h"
#include "server/base/current_thread.h"
#include "tests/bench/process_usage.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
// How often each bystander has to be served while an attack lasts.
constexpr int kTimesServed = 2;
// Strangers come from elsewhere: limits on one address are not to be the bystanders'.
constexpr char kAddressOfAttackers[] = "127.0.0.66";
constexpr int kStoredWebhooks = 40;
constexpr size_t kStoredBodyBytes = 50'000;

// The most that the process has had in memory.
int64_t PeakResidentBytes(pid_t pid) {
  std::istringstream status(ReadTestFile(absl::StrCat("/proc/", pid, "/status")));
  for (std::string line; std::getline(status, line);) {
    int64_t kib = 0;
    if (absl::StartsWith(line, "VmHWM:") &&
        absl::SimpleAtoi(line.substr(6, line.size() - 6 - 3), &kib)) {
      return kib << 10;
    }
  }
  ADD_FAILURE() << "nothing is known of the memory of process " << pid;
  return 0;
}

// What the threads that serve gRPC have used.
absl::Duration CpuOfGrpc(pid_t pid) {
  absl::Duration cpu;
  for (const auto& thread :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/task"))) {
    const std::string folder = thread.path().string();
    if (ReadTestFile(folder + "/comm") != "grpc\n") continue;
    // "TIME_ON_CPU TIME_WAITING SLICES", times in nanoseconds.
    int64_t ns = 0;
    std::istringstream(ReadTestFile(folder + "/schedstat")) >> ns;
    cpu += absl::Nanoseconds(ns);
  }
  return cpu;
}

// Waits until `holds`, for at most `patience`; whether it does.
bool Await(absl::Duration patience, absl::FunctionRef<bool()> holds) {
  const absl::Time latest = absl::Now() + patience;
  absl::Notification never;
  while (!holds()) {
    if (absl::Now() >= latest) return false;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
  return true;
}

}  // namespace

void SiegeTest::RaiseFileLimit() {
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
}

const std::string& SiegeTest::Token() {
  static const std::string* const token = [] {
    auto* const made = new std::string("hush-hush-reader-5f1c9a7e3b");
    SecretWatch::OfThisProgram().KeepToken("the reader's token", *made);
    return made;
  }();
  return *token;
}

void SiegeTest::StartSiege(bool tls, const std::string& grpc) {
  RaiseFileLimit();
  tls_ = tls;
  log_at_attack_ = 0;
  const TokenDigest digest = DigestOf(Token());
  std::string files;
  if (tls) {
    const TestCertificate server = authority_.Issue();
    files = absl::StrCat("tls { certificate_file: \"", WriteFile(server.certificate),
                         "\" key_file: \"", WriteFile(server.key), "\" }");
  }
  StartWithConfig(absl::StrCat(
      R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } } grpc { )", files, " ",
      grpc, " } principals { name: \"reader\" token_sha256: \"",
      absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()}),
      R"(" rights { subscribe: "*" query: "*" consume: "*" } })"));
  for (int i = 0; i < kStoredWebhooks; ++i) {
    SignedWebhook webhook;
    webhook.body = BatchFailedBody(std::string(500, 's'));
    webhook.body.insert(webhook.body.size() - 1, std::string(kStoredBodyBytes, ' '));
    Store(std::move(webhook));
  }
  bystanders_ = std::make_unique<Bystanders>(*gateway_, Token(),
                                             tls ? authority_.certificate() : std::string());
  ASSERT_TRUE(Await(kPatience, [this] { return bystanders_->WereServed(kTimesServed); }));
}

std::shared_ptr<grpc::Channel> SiegeTest::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      gateway_->grpc(),
      tls_ ? grpc::SslCredentials({.pem_root_certs = authority_.certificate()})
           : grpc::InsecureChannelCredentials(),
      arguments);
}

void SiegeTest::Prepare(grpc::ClientContext& context) {
  context.AddMetadata("authorization", "Bearer " + Token());
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(50));
}

RawPeer::Options SiegeTest::TargetOf(const Attack& attack) const {
  const std::string& port = attack.at_webhooks ? gateway_->http() : gateway_->grpc();
  return {.address = diverted_to_.empty() ? port : diverted_to_,
          .from = kAddressOfAttackers,
          .tls = tls_ && !attack.at_webhooks};
}

Toll SiegeTest::Suffer(const Attack& attack, absl::Duration duration, absl::Duration calm) {
  Toll toll;
  bystanders_->Take();
  if (calm > absl::ZeroDuration()) {
    Await(calm, [] { return false; });
    toll.before = bystanders_->Take();
  }
  const pid_t pid = gateway_->pid();
  const int64_t idle_bytes = ResidentBytes(pid);
  log_at_attack_ = gateway_->log().size();
  refused_at_attack_ = CountRefused(attack.refused_as);
  const absl::Duration cpu = CpuTime(pid);
  const absl::Duration grpc_cpu = CpuOfGrpc(pid);
  const absl::Time begin = absl::Now();
  {
    Attackers attackers(attack, TargetOf(attack));
    std::thread thread([&] {
      GiveWayToOthers();  // They stand for other machines: only what the gateway does costs it CPU.
      attackers.Run([&] {
        const absl::Duration past = absl::Now() - begin;
        if (past < duration) return true;
        // They come last to a core that others are busy on, so they may not have begun.
        const bool has_happened = bystanders_->WereServed(kTimesServed) &&
                                  attackers.tally().connected > 0 && IsRefused(attack);
        return past < kPatience && !has_happened;
      });
    });
    thread.join();
    toll.attack = attackers.tally();
    toll.lasted = absl::Now() - begin;
    toll.cpu = CpuTime(pid) - cpu;
    toll.grpc_cpu = CpuOfGrpc(pid) - grpc_cpu;
    toll.during = bystanders_->Take();
  }
  const absl::Time end = absl::Now();
  Await(kBackWithin, [&] {
    toll.kept_bytes = ResidentBytes(pid) - idle_bytes;
    return toll.kept_bytes <= kMaxKeptBytes;
  });
  toll.back_after = absl::Now() - end;
  toll.peak_bytes = PeakResidentBytes(pid) - idle_bytes;
  toll.log_bytes = static_cast<int64_t>(gateway_->log().size() - log_at_attack_);
  return toll;
}

bool SiegeTest::IsRefused(const Attack& attack) {
  if (attack.refused_as.empty() || !diverted_to_.empty()) return true;
  const std::string log = gateway_->log();
  if (absl::StrContains(absl::string_view(log).substr(std::min(log_at_attack_, log.size())),
                        absl::StrCat("\"", attack.refused_as, "\""))) {
    return true;
  }
  // Not at each turn of the attackers.
  if (absl::Now() - counted_at_ < absl::Milliseconds(500)) return false;
  counted_at_ = absl::Now();
  return CountRefused(attack.refused_as) > refused_at_attack_;
}

int64_t SiegeTest::CountRefused(const std::string& name) const {
  const auto scraped = Exchange(gateway_->admin(), "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
  if (name.empty() || !scraped.has_value()) return 0;
  int64_t count = 0;
  for (const absl::string_view line : absl::StrSplit(scraped->body, '\n')) {
    const bool is_it = absl::StartsWith(line, "hookgate_peers_refused_total{") &&
                       absl::StrContains(line, absl::StrCat("reason=\"", name, "\""));
    int64_t value = 0;
    if (is_it && absl::SimpleAtoi(line.substr(line.rfind(' ') + 1), &value)) count += value;
  }
  return count;
}

void SiegeTest::ExpectBearable(const Attack& attack, const Toll& toll) {
  counted_at_ = absl::InfinitePast();
  EXPECT_GT(toll.attack.connected, 0) << "the attack did not happen";
  EXPECT_LT(toll.peak_bytes >> 10, kMaxPeakBytes >> 10) << "KiB above idle";
  EXPECT_LE(toll.kept_bytes >> 10, kMaxKeptBytes >> 10) << "KiB are still kept";
  EXPECT_LT(toll.log_bytes, kMaxLogBytes);
  EXPECT_THAT(toll.during.complaints, testing::IsEmpty());
  EXPECT_GE(toll.during.webhooks.size(), static_cast<size_t>(kTimesServed));
  EXPECT_GE(toll.during.heartbeats, kTimesServed);
  EXPECT_GE(toll.during.calls, kTimesServed);
  EXPECT_LT(toll.during.longest_silence, kMaxSilence);
  EXPECT_TRUE(IsRefused(attack)) << "by the name of " << attack.refused_as;
  if (attack.honest) ExpectNobodyRefused(toll);
}

void SiegeTest::ExpectNobodyRefused(const Toll& toll) const {
  EXPECT_EQ(toll.attack.ended, 0) << "connections of honest peers";
  EXPECT_THAT(gateway_->log(), testing::Not(testing::HasSubstr("refused")));
}

void SiegeTest::EndSiege() {
  bystanders_ = nullptr;
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

}  // namespace hookgate
