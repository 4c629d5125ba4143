// What a log that grows costs: ingest, queries and starts with more and more events stored, each
// with a real hookgated on a log that the gateway's own code has filled.
//
//   bazel run -c opt //tests/bench:growth_bench
//
// The disk and the processor are shared with whatever else runs: read the ratios and the CPU time.

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/functional/function_ref.h"
#include "absl/random/random.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/bench/grow_log.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/process_usage.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/signed_webhook.h"

ABSL_FLAG(std::vector<std::string>, events,
          (std::vector<std::string>{"10000", "1000000", "10000000"}),
          "How many events are stored before each row is measured. Ten million take some 8 GB "
          "and some minutes.");
ABSL_FLAG(int, webhooks, 60'000, "How many webhooks are sent to measure ingest.");
ABSL_FLAG(int, connections, 64, "Keep-alive connections that send them.");
ABSL_FLAG(int, queries, 2'000, "How many of each query are sent, one after the other.");
ABSL_FLAG(absl::Duration, span, absl::Hours(24 * 20),
          "How far back the stored events reach. Retention keeps 30 days.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where the logs are made, and removed afterwards. On tmpfs a sync costs nothing, and the "
          "numbers say nothing.");
ABSL_FLAG(std::string, output, "text", "text, or json: one object a line.");

namespace hookgate {
namespace {

[[noreturn]] void Die(absl::string_view message) {
  std::cerr << "growth_bench: " << message << "\n";
  std::exit(1);
}

struct Percentiles {
  double p50_ms = 0;
  double p99_ms = 0;
};

struct Row {
  int64_t events = 0;
  double grow_seconds = 0;
  int64_t file_bytes = 0;
  double start_seconds = 0;
  double start_after_kill_seconds = 0;
  double webhooks_per_second = 0;
  double ratio = 0;  // to the first row's
  double cpu_us_each = 0;
  double written_bytes_each = 0;
  Percentiles ingest, failures, failures_of_subject, by_subject, by_type, by_webhook_id;
};

Percentiles PercentilesOf(std::vector<absl::Duration> durations) {
  std::sort(durations.begin(), durations.end());
  const auto at = [&](double fraction) {
    return absl::ToDoubleMilliseconds(
        durations[static_cast<size_t>(fraction * static_cast<double>(durations.size() - 1))]);
  };
  return {.p50_ms = at(0.5), .p99_ms = at(0.99)};
}

// What the process has handed to the disk.
int64_t WrittenBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/io"));
  std::string line;
  while (std::getline(file, line)) {
    int64_t bytes = 0;
    if (absl::StartsWith(line, "write_bytes: ") &&
        absl::SimpleAtoi(line.substr(line.find(' ') + 1), &bytes)) {
      return bytes;
    }
  }
  return 0;
}

int64_t FileBytes(const std::string& folder) {
  int64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.is_regular_file()) bytes += static_cast<int64_t>(file.file_size());
  }
  return bytes;
}

std::unique_ptr<HookgatedProcess> StartGateway(const std::string& data_dir, double& seconds) {
  const absl::Time start = absl::Now();
  auto gateway = HookgatedProcess::Start(data_dir, {"--log_level=warning"});
  if (gateway->http().empty()) Die(gateway->log());
  seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return gateway;
}

void MeasureIngest(const HookgatedProcess& gateway, absl::BitGenRef random, Row& row) {
  std::vector<std::string> requests;
  for (int i = 0; i < absl::GetFlag(FLAGS_webhooks); ++i) {
    std::string subject;
    requests.push_back(SignedWebhook{.webhook_id = RandomWebhookId(random),
                                     .body = RandomWebhookBody(random, &subject)}
                           .Request());
  }
  const auto count = static_cast<double>(requests.size());
  const absl::Duration cpu = CpuTime(gateway.pid());
  const int64_t written = WrittenBytes(gateway.pid());
  const LoadResult load = RunLoad(
      {.address = gateway.http(), .connections = absl::GetFlag(FLAGS_connections)}, requests);
  if (load.refused > 0) Die(absl::StrCat(load.refused, " webhooks were refused"));
  row.webhooks_per_second = count / absl::ToDoubleSeconds(load.elapsed);
  row.cpu_us_each = absl::ToDoubleMicroseconds(CpuTime(gateway.pid()) - cpu) / count;
  row.written_bytes_each = static_cast<double>(WrittenBytes(gateway.pid()) - written) / count;
  row.ingest = PercentilesOf(load.latencies);
}

// Has `call` do its i-th query, which fails if it does not find what it should.
Percentiles MeasureQueries(absl::FunctionRef<bool(int)> call) {
  std::vector<absl::Duration> durations;
  for (int i = 0; i < absl::GetFlag(FLAGS_queries); ++i) {
    const absl::Time start = absl::Now();
    if (!call(i)) Die("a query did not find what is stored");
    durations.push_back(absl::Now() - start);
  }
  return PercentilesOf(std::move(durations));
}

void MeasureQueries(const HookgatedProcess& gateway, const std::vector<KnownEvent>& sample,
                    Row& row) {
  const auto stub = v1::EventService::NewStub(
      grpc::CreateChannel(gateway.grpc(), grpc::InsecureChannelCredentials()));
  const auto known = [&](int i) -> const KnownEvent& { return sample[i % sample.size()]; };
  row.failures = MeasureQueries([&](int) {
    grpc::ClientContext context;
    v1::ListRecentFailuresResponse response;
    return stub->ListRecentFailures(&context, {}, &response).ok() && response.events_size() > 0;
  });
  row.failures_of_subject = MeasureQueries([&](int i) {
    grpc::ClientContext context;
    v1::ListRecentFailuresRequest request;
    request.mutable_filter()->add_subjects(known(i).subject);
    v1::ListRecentFailuresResponse response;
    return stub->ListRecentFailures(&context, request, &response).ok();
  });
  row.by_subject = MeasureQueries([&](int i) {
    grpc::ClientContext context;
    v1::ListEventsRequest request;
    request.mutable_filter()->add_subjects(known(i).subject);
    v1::ListEventsResponse response;
    return stub->ListEvents(&context, request, &response).ok();
  });
  row.by_type = MeasureQueries([&](int) {
    grpc::ClientContext context;
    v1::ListEventsRequest request;
    request.mutable_filter()->add_types("safety.alert.created");  // There is none.
    v1::ListEventsResponse response;
    return stub->ListEvents(&context, request, &response).ok() && response.events().empty();
  });
  row.by_webhook_id = MeasureQueries([&](int i) {
    grpc::ClientContext context;
    v1::GetEventRequest request;
    request.mutable_webhook()->set_source("openai");
    request.mutable_webhook()->set_webhook_id(known(i).webhook_id);
    v1::GetEventResponse response;
    return stub->GetEvent(&context, request, &response).ok() &&
           response.event().subject() == known(i).subject;
  });
}

std::string Text(const Percentiles& percentiles) {
  return absl::StrFormat("%.2f / %.2f", percentiles.p50_ms, percentiles.p99_ms);
}

std::string Json(absl::string_view name, const Percentiles& percentiles) {
  return absl::StrFormat(R"("%s_p50_ms":%.3f,"%s_p99_ms":%.3f)", name, percentiles.p50_ms, name,
                         percentiles.p99_ms);
}

void PrintHeading() {
  if (absl::GetFlag(FLAGS_output) == "json") return;
  absl::PrintF("%10s %8s %9s %9s %10s %6s %7s %9s %13s %13s %13s %13s %13s %13s\n", "events",
               "file GB", "start s", "killed s", "webhooks/s", "ratio", "CPU us", "written B",
               "ingest ms", "failures", "of subject", "by subject", "by type", "webhook-id");
}

void Print(const Row& row) {
  if (absl::GetFlag(FLAGS_output) == "json") {
    absl::PrintF(
        R"({"events":%d,"grow_s":%.1f,"file_bytes":%d,"start_s":%.3f,"start_after_kill_s":%.3f,)"
        R"("webhooks_per_second":%.0f,"ratio":%.3f,"cpu_us_each":%.1f,"written_bytes_each":%.0f,)"
        "%s,%s,%s,%s,%s,%s}\n",
        row.events, row.grow_seconds, row.file_bytes, row.start_seconds,
        row.start_after_kill_seconds, row.webhooks_per_second, row.ratio, row.cpu_us_each,
        row.written_bytes_each, Json("ingest", row.ingest), Json("failures", row.failures),
        Json("failures_of_subject", row.failures_of_subject), Json("by_subject", row.by_subject),
        Json("by_type", row.by_type), Json("by_webhook_id", row.by_webhook_id));
  } else {
    absl::PrintF("%10d %8.2f %9.2f %9.2f %10.0f %6.2f %7.1f %9.0f %13s %13s %13s %13s %13s %13s\n",
                 row.events, static_cast<double>(row.file_bytes) / 1e9, row.start_seconds,
                 row.start_after_kill_seconds, row.webhooks_per_second, row.ratio, row.cpu_us_each,
                 row.written_bytes_each, Text(row.ingest), Text(row.failures),
                 Text(row.failures_of_subject), Text(row.by_subject), Text(row.by_type),
                 Text(row.by_webhook_id));
  }
  std::fflush(stdout);
}

Row Measure(int64_t events, const std::string& data_dir, absl::BitGenRef random) {
  Row row = {.events = events};
  const absl::StatusOr<GrownLog> grown =
      GrowLog(data_dir, events, absl::GetFlag(FLAGS_span), random);
  if (!grown.ok()) Die(grown.status().ToString());
  row.grow_seconds = absl::ToDoubleSeconds(grown->elapsed);
  row.file_bytes = FileBytes(data_dir);
  auto gateway = StartGateway(data_dir, row.start_seconds);
  MeasureQueries(*gateway, grown->sample, row);
  MeasureIngest(*gateway, random, row);
  gateway->Kill();
  gateway = StartGateway(data_dir, row.start_after_kill_seconds);
  return row;
}

int Main() {
  absl::BitGen random;
  PrintHeading();
  double first_per_second = 0;
  for (const std::string& text : absl::GetFlag(FLAGS_events)) {
    int64_t events = 0;
    if (!absl::SimpleAtoi(text, &events) || events < 1) {
      Die(absl::StrCat("--events: \"", text, "\" is no number from 1"));
    }
    const std::string data_dir =
        absl::StrCat(absl::GetFlag(FLAGS_folder), "/growth_bench_", getpid(), "_", events);
    Row row = Measure(events, data_dir, random);
    std::filesystem::remove_all(data_dir);
    if (first_per_second == 0) first_per_second = row.webhooks_per_second;
    row.ratio = row.webhooks_per_second / first_per_second;
    Print(row);
  }
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures a real gateway on logs of more and more events.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
