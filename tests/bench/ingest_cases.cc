// Signed webhooks with ids of their own, stored durably, beside HTTP alone; and how much of that
// subscribers take.
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"
#include "tests/support/http_client.h"

namespace hookgate {
namespace {

Figure PerSecond(const LoadResult& load, const std::string& note = "") {
  ExpectNoneRefused(load.refused);
  const auto count = static_cast<double>(load.latencies.size());
  return {.value = count / absl::ToDoubleSeconds(load.elapsed),
          .note = absl::StrFormat("%sp50 %.2f ms, p99 %.2f ms", note,
                                  absl::ToDoubleMilliseconds(Percentile(load.latencies, 0.5)),
                                  absl::ToDoubleMilliseconds(Percentile(load.latencies, 0.99)))};
}

Figure MeasureBareHttp(const BenchSettings& settings, int connections) {
  const auto server = StartBareServer(settings, "http");
  return PerSecond(RunLoad({.address = server->address(), .connections = connections},
                           SignedRequests(settings.Count(300'000, 20'000))));
}

Figure MeasureBareDurable(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto server = StartBareServer(settings, absl::StrCat("http_durable:", folder.path()));
  return PerSecond(
      RunLoad({.address = server->address()}, SignedRequests(settings.Count(300'000, 20'000))));
}

Figure MeasureIngest(const BenchSettings& settings, int connections, int subscribers) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const std::vector<std::string> requests = SignedRequests(settings.Count(200'000, 10'000));
  Subscribers live(gateway->grpc(), subscribers, Subscribers::Start::kLatest,
                   static_cast<int64_t>(requests.size()));
  const absl::Duration cpu_before = CpuTime(gateway->pid());
  const absl::Duration user_before = UserCpuTime(gateway->pid());
  const LoadResult load =
      RunLoad({.address = gateway->http(), .connections = connections}, requests);
  live.Wait();
  const auto each = [count = static_cast<double>(requests.size())](absl::Duration cpu) {
    return absl::ToDoubleMicroseconds(cpu) / count;
  };
  return PerSecond(load, absl::StrFormat("%.2f us of CPU each, %.2f of them in user space, ",
                                         each(CpuTime(gateway->pid()) - cpu_before),
                                         each(UserCpuTime(gateway->pid()) - user_before)));
}

// Scrapes the gateway's metrics ten times a second while it lives, a hundred times as often as
// usual.
class Scraper {
 public:
  explicit Scraper(const std::string& address)
      : thread_([this, address] {
          HttpClient client(address);
          while (!stopped_.WaitForNotificationWithTimeout(absl::Milliseconds(100))) {
            client.Send("GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n");
            const std::optional<HttpReply> reply = client.ReadReply();
            if (!reply.has_value() || reply->status != 200) ++failures_;
          }
        }) {}
  ~Scraper() {
    stopped_.Notify();
    thread_.join();
    ExpectNoneRefused(failures_);
  }

 private:
  absl::Notification stopped_;
  int failures_ = 0;
  std::thread thread_;  // last: runs on all of the above
};

Figure MeasureScraped(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  const std::vector<std::string> requests = SignedRequests(settings.Count(200'000, 10'000));
  const Scraper scraper(gateway->admin());
  return PerSecond(RunLoad({.address = gateway->http()}, requests));
}

}  // namespace

std::vector<BenchCase> IngestCases(const BenchSettings& settings) {
  std::vector<BenchCase> cases;
  for (const int connections : {64, 256}) {
    cases.push_back(
        {.name = absl::StrCat("ingest_", connections),
         .what = absl::StrCat("webhooks stored, ", connections, " connections"),
         .unit = "/s",
         .reference = "Beast answering without work",
         .target = 0.30,
         .measure = [=, &settings] { return MeasureIngest(settings, connections, 0); },
         .measure_reference = [=, &settings] { return MeasureBareHttp(settings, connections); }});
  }
  cases.push_back({.name = "ingest_durable",
                   .what = "webhooks stored, 64 connections",
                   .unit = "/s",
                   .reference = "Beast with group commits to a file",
                   .measure = [&settings] { return MeasureIngest(settings, 64, 0); },
                   .measure_reference = [&settings] { return MeasureBareDurable(settings); }});
  cases.push_back({.name = "ingest_subscribed",
                   .what = "webhooks stored, 10 live subscribers",
                   .unit = "/s",
                   .reference = "the same without subscribers",
                   .target = 0.92,
                   .measure = [&settings] { return MeasureIngest(settings, 64, 10); },
                   .measure_reference = [&settings] { return MeasureIngest(settings, 64, 0); }});
  cases.push_back({.name = "ingest_scraped",
                   .what = "webhooks stored, 64 connections, /metrics scraped every 100 ms",
                   .unit = "/s",
                   .reference = "the same without scraping",
                   .target = 0.98,
                   .measure = [&settings] { return MeasureScraped(settings); },
                   .measure_reference = [&settings] { return MeasureIngest(settings, 64, 0); }});
  return cases;
}

}  // namespace hookgate
