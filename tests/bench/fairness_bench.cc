// What some clients cost others: a real hookgated, measured with and without those that could
// stop it.
//
//   bazel run -c opt //tests/bench:fairness_bench                  # some minutes
//   bazel run -c opt //tests/bench:fairness_bench -- --scale=0.1   # a tenth of everything
//
//   narrow      filters that admit nothing look through a long log: how long an event takes to
//               another consumer, and ListEvents; and how long a heartbeat of 1 s does
//   redelivery  large events that were not acked come again: memory
//   consumers   many subscriptions consume a backlog: how long a webhook takes
//
// The gateway runs on one core, the load on another. Read the ratios: absolute figures are those of
// the machine.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "server/base/current_thread.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/grow_log.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/process_usage.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/signed_webhook.h"

ABSL_FLAG(std::vector<std::string>, cases,
          (std::vector<std::string>{"narrow", "redelivery", "consumers"}), "Which cases run.");
ABSL_FLAG(
    double, scale, 1,
    "Of everything: 0.1 is a tenth of the events, webhooks and subscriptions, and says whether "
    "it works rather than how well.");
ABSL_FLAG(std::string, folder, "/var/tmp", "Where the logs are made, and removed afterwards.");
ABSL_FLAG(int, server_core, 0, "The core on which the gateway runs.");
ABSL_FLAG(int, load_core, 1, "The core on which everything else runs.");

namespace hookgate {
namespace {

using v1::SubscriptionService;

// Webhooks a second while something is measured: far below what the gateway can take.
constexpr double kPerSecond = 200;

[[noreturn]] void Die(absl::string_view message) {
  std::cerr << "fairness_bench: " << message << "\n";
  std::exit(1);
}

int64_t Scaled(int64_t count) {
  return std::max<int64_t>(
      1, static_cast<int64_t>(static_cast<double>(count) * absl::GetFlag(FLAGS_scale)));
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

absl::Duration Percentile(std::vector<absl::Duration> durations, double fraction) {
  if (durations.empty()) Die("nothing was measured");
  std::sort(durations.begin(), durations.end());
  return durations[static_cast<size_t>(fraction * static_cast<double>(durations.size() - 1))];
}

// One line of the report: `with` may be `most` times `without`.
void PrintRatio(absl::string_view what, absl::Duration without, absl::Duration with, double most) {
  const double ratio = Milliseconds(with) / std::max(Milliseconds(without), 0.001);
  absl::PrintF("  %-40s %9.2f ms without %9.2f ms with   x %.2f (at most %.0f)  %s\n", what,
               Milliseconds(without), Milliseconds(with), ratio, most,
               ratio <= most ? "ok" : "MISSED");
  std::fflush(stdout);
}

void PrintMemory(absl::string_view what, int64_t bytes, int64_t most) {
  constexpr double kMiB = 1 << 20;
  absl::PrintF("  %-40s %9.1f MiB (below %.0f)  %s\n", what, static_cast<double>(bytes) / kMiB,
               static_cast<double>(most) / kMiB, bytes < most ? "ok" : "MISSED");
  std::fflush(stdout);
}

// Consumes until it is stopped or destroyed.
class Consumer final : public grpc::ClientBidiReactor<v1::ConsumeRequest, v1::ConsumeResponse> {
 public:
  struct Options {
    std::string subscription;
    bool acks = true;
    bool include_raw_body = false;
    std::function<void(const v1::Delivery&)> on_delivery = [](const v1::Delivery&) {};
  };

  Consumer(const std::shared_ptr<grpc::Channel>& channel, Options options)
      : options_(std::move(options)), stub_(SubscriptionService::NewStub(channel)) {
    auto& open = *request_.mutable_open();
    open.set_subscription(options_.subscription);
    open.set_consumer_name("bench");
    open.set_include_raw_body(options_.include_raw_body);
    open.mutable_limits()->set_max_outstanding_messages(10'000);
    open.mutable_limits()->set_max_outstanding_bytes(256 << 20);
    open.mutable_heartbeat_interval()->set_seconds(1);
    stub_->async()->Consume(&context_, this);
    StartWrite(&request_);
    StartRead(&response_);
    AddHold();
    StartCall();
  }
  // Ends it politely: what it held comes again at once.
  ~Consumer() override {
    bool end = false;
    {
      absl::MutexLock lock(&mu_);
      ending_ = true;
      end = !writing_;
    }
    if (end) StartWritesDone();
    RemoveHold();
    done_.WaitForNotification();
  }

  // Between two frames.
  absl::Duration longest_silence() {
    absl::MutexLock lock(&mu_);
    return std::max(longest_silence_, absl::Now() - last_frame_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    bool write = false;
    {
      absl::MutexLock lock(&mu_);
      longest_silence_ = std::max(longest_silence_, absl::Now() - last_frame_);
      last_frame_ = absl::Now();
      for (const v1::Delivery& delivery : response_.deliveries().deliveries()) {
        options_.on_delivery(delivery);
        if (options_.acks) acks_.mutable_ack()->add_delivery_ids(delivery.delivery_id());
      }
      write = PrepareWrite();
    }
    if (write) StartWrite(&request_);
    StartRead(&response_);
  }
  void OnWriteDone(bool ok) override {
    bool write = false;
    bool end = false;
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      write = ok && PrepareWrite();
      end = ok && ending_;
    }
    if (write) StartWrite(&request_);
    if (end) StartWritesDone();
  }
  void OnDone(const grpc::Status& status) override {
    if (!status.ok()) {
      Die(absl::StrCat("a consumer's call ended: ", status.error_message()));
    }
    done_.Notify();
  }

 private:
  bool PrepareWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || ending_ || !acks_.has_ack()) return false;
    writing_ = true;
    request_.Swap(&acks_);
    acks_.Clear();
    return true;
  }

  const Options options_;
  const std::unique_ptr<SubscriptionService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ConsumeRequest request_;
  v1::ConsumeResponse response_;
  absl::Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = true;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  v1::ConsumeRequest acks_ ABSL_GUARDED_BY(mu_);
  absl::Time last_frame_ ABSL_GUARDED_BY(mu_) = absl::Now();
  absl::Duration longest_silence_ ABSL_GUARDED_BY(mu_);
  absl::Notification done_;
};

void Create(const std::shared_ptr<grpc::Channel>& channel, const std::string& name,
            v1::StartPosition start, const std::string& subject = "") {
  v1::CreateSubscriptionRequest request;
  request.set_name(name);
  request.mutable_start()->set_start_position(start);
  if (!subject.empty()) request.mutable_settings()->mutable_filter()->add_subjects(subject);
  v1::CreateSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      SubscriptionService::NewStub(channel)->CreateSubscription(&context, request, &response);
  if (!status.ok()) Die(status.error_message());
}

v1::Subscription Get(const std::shared_ptr<grpc::Channel>& channel, const std::string& name) {
  v1::GetSubscriptionRequest request;
  request.set_name(name);
  v1::GetSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      SubscriptionService::NewStub(channel)->GetSubscription(&context, request, &response);
  if (!status.ok()) Die(status.error_message());
  return response.subscription();
}

// A gateway on a log of `events`, on a core of its own.
class Gateway {
 public:
  explicit Gateway(int64_t events) : folder_(absl::GetFlag(FLAGS_folder)) {
    if (events > 0) {
      absl::BitGen random;
      const absl::StatusOr<GrownLog> grown =
          GrowLog(folder_.path(), events, absl::Hours(24), random);
      if (!grown.ok()) Die(grown.status().ToString());
    }
    PinToCore(settings_.load_core);
    const StartOnCore on_core(settings_);
    process_ = HookgatedProcess::Start(folder_.path(), {"--log_level=warning"});
    if (process_->http().empty()) Die(process_->log());
  }

  const std::string& http() const { return process_->http(); }
  const std::string& grpc() const { return process_->grpc(); }
  pid_t pid() const { return process_->pid(); }

 private:
  const BenchSettings settings_{.server_core = absl::GetFlag(FLAGS_server_core),
                                .load_core = absl::GetFlag(FLAGS_load_core)};
  BenchFolder folder_;
  std::unique_ptr<HookgatedProcess> process_;
};

// The most memory that a process has while this lives.
class MemoryWatch {
 public:
  explicit MemoryWatch(pid_t pid)
      : thread_([this, pid] {
          while (!stop_) {
            most_ = std::max<int64_t>(most_, ResidentBytes(pid));
            absl::SleepFor(absl::Milliseconds(5));
          }
        }) {}
  ~MemoryWatch() {
    stop_ = true;
    thread_.join();
  }
  int64_t most() const { return most_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> most_ = 0;
  std::thread thread_;
};

// What others notice, while `count` webhooks come evenly.
struct Noticed {
  std::vector<absl::Duration> answers;     // from when a webhook was due to its 200
  std::vector<absl::Duration> deliveries;  // to its consumer
  std::vector<absl::Duration> queries;     // ListEvents
};

// When which webhook has arrived, by its id.
class Arrivals {
 public:
  void Note(const std::string& webhook_id) {
    absl::MutexLock lock(&mu_);
    at_.emplace(webhook_id, absl::Now());
  }
  absl::Time Await(const std::string& webhook_id) {
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return at_.contains(webhook_id); };
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithTimeout(absl::Condition(&there), absl::Minutes(5))) {
      Die("an event did not arrive within five minutes");
    }
    return at_[webhook_id];
  }

 private:
  absl::Mutex mu_;
  std::map<std::string, absl::Time> at_ ABSL_GUARDED_BY(mu_);
};

Noticed Measure(const Gateway& gateway, int64_t count, Arrivals* arrivals) {
  Noticed noticed;
  absl::BitGen random;
  std::vector<std::string> ids;
  std::vector<std::string> requests;
  for (int64_t i = 0; i < count; ++i) {
    std::string subject;
    ids.push_back(RandomWebhookId(random));
    requests.push_back(
        SignedWebhook{.webhook_id = ids.back(), .body = RandomWebhookBody(random, &subject)}
            .Request());
  }
  std::atomic<bool> stop = false;
  std::thread queries([&] {
    // What consumers on this core take is not to be taken for the gateway's latency.
    AskForShortTimeSlices();
    const auto stub = v1::EventService::NewStub(Connect(gateway.grpc()));
    while (!stop) {
      grpc::ClientContext context;
      v1::ListEventsResponse response;
      const absl::Time start = absl::Now();
      if (!stub->ListEvents(&context, {}, &response).ok()) Die("ListEvents failed");
      noticed.queries.push_back(absl::Now() - start);
      absl::SleepFor(absl::Milliseconds(10));
    }
  });
  const LoadResult load =
      RunLoad({.address = gateway.http(), .connections = 16, .per_second = kPerSecond}, requests);
  if (load.refused > 0) Die(absl::StrCat(load.refused, " webhooks were refused"));
  for (size_t i = 0; arrivals != nullptr && i < ids.size(); ++i) {
    const absl::Time due = load.answered_at[i] - load.latencies[i];
    noticed.deliveries.push_back(arrivals->Await(ids[i]) - due);
  }
  stop = true;
  queries.join();
  noticed.answers = load.latencies;
  return noticed;
}

// The least p99 of several rounds: a disk that others use as well has moments in which it answers
// nobody, and these say nothing about the gateway.
absl::Duration LeastP99(const std::vector<Noticed>& rounds,
                        std::vector<absl::Duration> Noticed::*latencies) {
  absl::Duration least = absl::InfiniteDuration();
  for (const Noticed& round : rounds) least = std::min(least, Percentile(round.*latencies, 0.99));
  return least;
}

// With and without in turns: a machine is not the same from one minute to the next.
constexpr int kRounds = 3;

void Narrow() {
  constexpr int kSubscriptions = 20;
  const int64_t events = Scaled(1'000'000);
  const int64_t webhooks = Scaled(1'000);
  absl::PrintF("narrow: %d subscriptions that admit nothing, a log of %d events\n", kSubscriptions,
               events);
  const Gateway gateway(events);
  const auto channel = Connect(gateway.grpc());
  Create(channel, "live", v1::START_POSITION_LATEST);
  Arrivals arrivals;
  Consumer live(channel, {.subscription = "live", .on_delivery = [&](const v1::Delivery& delivery) {
                            arrivals.Note(delivery.event().webhook_id());
                          }});
  std::vector<Noticed> without;
  std::vector<Noticed> with;
  absl::Duration silence;
  for (int round = 0; round < kRounds; ++round) {
    without.push_back(Measure(gateway, webhooks, &arrivals));
    std::vector<std::unique_ptr<Consumer>> narrow;
    const auto name = [&](int i) { return absl::StrCat("narrow-", round, "-", i); };
    for (int i = 0; i < kSubscriptions; ++i) {
      Create(channel, name(i), v1::START_POSITION_EARLIEST, "nobody's subject");
      narrow.push_back(std::make_unique<Consumer>(Connect(gateway.grpc()),
                                                  Consumer::Options{.subscription = name(i)}));
    }
    const absl::Time start = absl::Now();
    with.push_back(Measure(gateway, webhooks, &arrivals));
    const absl::Duration measured = absl::Now() - start;
    const bool was_over = Get(channel, name(0)).backlog().events() == 0;
    while (Get(channel, name(0)).backlog().events() > 0) absl::SleepFor(absl::Milliseconds(50));
    for (const auto& consumer : narrow) silence = std::max(silence, consumer->longest_silence());
    absl::PrintF("  they had looked through it after %.1f s; measured for %.1f s%s\n",
                 absl::ToDoubleSeconds(absl::Now() - start), absl::ToDoubleSeconds(measured),
                 was_over ? " (some of it after that)" : "");
  }
  PrintRatio("delivery to another consumer, p99", LeastP99(without, &Noticed::deliveries),
             LeastP99(with, &Noticed::deliveries), 3);
  PrintRatio("ListEvents, p99", LeastP99(without, &Noticed::queries),
             LeastP99(with, &Noticed::queries), 3);
  PrintRatio("heartbeat, the longest wait for one", absl::Seconds(1), silence, 2);
}

void Redelivery() {
  const int64_t events = Scaled(2'000);
  constexpr size_t kBytes = 1'000'000;
  absl::PrintF("redelivery: %d events of 1 MB, not acked\n", events);
  const Gateway gateway(0);
  absl::BitGen random;
  for (int64_t sent = 0; sent < events; sent += 20) {
    std::vector<std::string> requests;
    for (int64_t i = sent; i < std::min(events, sent + 20); ++i) {
      std::string subject;
      std::string body = RandomWebhookBody(random, &subject);
      body.append(kBytes - body.size(), ' ');
      requests.push_back(
          SignedWebhook{.webhook_id = RandomWebhookId(random), .body = std::move(body)}.Request());
    }
    if (RunLoad({.address = gateway.http(), .connections = 2}, requests).refused > 0) {
      Die("a webhook was refused");
    }
  }
  const auto channel = Connect(gateway.grpc());
  Create(channel, "all", v1::START_POSITION_EARLIEST);
  // Takes all of them, and goes without an ack; twice without bodies, then with them.
  for (const bool include_raw_body : {false, false, true}) {
    std::atomic<int64_t> taken = 0;
    const int64_t before = ResidentBytes(gateway.pid());
    int64_t most = 0;
    {
      MemoryWatch memory(gateway.pid());
      Consumer consumer(channel, {.subscription = "all",
                                  .acks = include_raw_body,  // more than it may hold at a time
                                  .include_raw_body = include_raw_body,
                                  .on_delivery = [&](const v1::Delivery&) { ++taken; }});
      const absl::Time give_up = absl::Now() + absl::Minutes(10);
      while (taken < events) {
        if (absl::Now() > give_up) Die(absl::StrCat("only ", taken.load(), " came"));
        absl::SleepFor(absl::Milliseconds(5));
      }
      most = memory.most();
    }
    PrintMemory(include_raw_body ? "with their raw bodies" : "without raw bodies", most - before,
                64 << 20);
  }
}

void Consumers() {
  const int64_t subscriptions = Scaled(1'000);
  const int64_t events = Scaled(20'000);
  const int64_t webhooks = Scaled(2'000);
  absl::PrintF("consumers: %d subscriptions consume a backlog of %d events\n", subscriptions,
               events);
  const Gateway gateway(events);
  const auto channel = Connect(gateway.grpc());
  for (int64_t i = 0; i < subscriptions; ++i) {
    Create(channel, absl::StrCat("all-", i), v1::START_POSITION_EARLIEST);
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 20; ++i) channels.push_back(Connect(gateway.grpc()));
  std::vector<Noticed> without;
  std::vector<Noticed> with;
  int64_t most_memory = 0;
  for (int round = 0; round < kRounds; ++round) {
    without.push_back(Measure(gateway, webhooks, nullptr));
    const int64_t before = ResidentBytes(gateway.pid());
    MemoryWatch memory(gateway.pid());
    std::vector<std::unique_ptr<Consumer>> consumers;
    for (int64_t i = 0; i < subscriptions; ++i) {
      consumers.push_back(
          std::make_unique<Consumer>(channels[static_cast<size_t>(i) % channels.size()],
                                     Consumer::Options{.subscription = absl::StrCat("all-", i)}));
    }
    with.push_back(Measure(gateway, webhooks, nullptr));
    most_memory = std::max(most_memory, memory.most() - before);
  }
  const int64_t left = Get(channel, "all-0").backlog().events();
  PrintRatio("answer to a webhook, p99", LeastP99(without, &Noticed::answers),
             LeastP99(with, &Noticed::answers), 2);
  PrintRatio("ListEvents, p99", LeastP99(without, &Noticed::queries),
             LeastP99(with, &Noticed::queries), 3);
  PrintMemory("memory", most_memory, 256 << 20);
  absl::PrintF("  %d events of the backlog of one of them were left\n", left);
}

int Main() {
  const std::map<std::string, void (*)()> cases = {
      {"narrow", Narrow}, {"redelivery", Redelivery}, {"consumers", Consumers}};
  for (const std::string& name : absl::GetFlag(FLAGS_cases)) {
    const auto found = cases.find(name);
    if (found == cases.end()) Die(absl::StrCat("--cases: there is no case \"", name, "\""));
    found->second();
  }
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures what some clients cost others.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
