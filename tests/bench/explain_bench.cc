// How long those wait who are on call: ExplainEvent with many events and many subscriptions, and a
// page of ListDeliveries, through a real hookgated.
//
//   bazel run -c opt //tests/bench:explain_bench                             # some minutes, 8 GB
//   bazel run -c opt //tests/bench:explain_bench -- --events=100000
//
// A fifth of the subscriptions have consumed the log's first events, so that a history of them is
// kept; the others began at its end, or have filters that admit nothing.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/functional/function_ref.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "tests/bench/consumers.h"
#include "tests/bench/grow_log.h"
#include "tests/support/hookgated_process.h"

ABSL_FLAG(int64_t, events, 10'000'000, "How many events are stored.");
ABSL_FLAG(int, subscriptions, 100, "How many subscriptions there are.");
ABSL_FLAG(int64_t, consumed, 5'000, "How many events each fifth of them has acked.");
ABSL_FLAG(int, queries, 2'000, "How many of each query are sent, one after the other.");
ABSL_FLAG(std::string, folder, "/var/tmp", "Where the log is made, and removed afterwards.");

namespace hookgate {
namespace {

// What nobody who is on call should wait for longer.
constexpr absl::Duration kMost = absl::Milliseconds(5);

[[noreturn]] void Die(absl::string_view message) {
  std::cerr << "explain_bench: " << message << "\n";
  std::exit(1);
}

void Check(const grpc::Status& status) {
  if (!status.ok()) Die(status.error_message());
}

// A folder that goes with the benchmark.
class Folder {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  ~Folder() { std::filesystem::remove_all(path_); }

  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

std::string Consumed(int i) { return absl::StrCat("consumed-", i); }

// A fifth that consumed, two fifths that begin at the end, two fifths that admit nothing.
void CreateSubscriptions(const HookgatedProcess& gateway,
                         v1::SubscriptionService::Stub& subscriptions) {
  for (int i = 0; i < absl::GetFlag(FLAGS_subscriptions); ++i) {
    if (i % 5 == 0) {
      ConsumeAll(gateway.grpc(), Consumed(i / 5), 1, absl::GetFlag(FLAGS_consumed));
      continue;
    }
    const bool narrow = i % 5 < 3;
    v1::CreateSubscriptionRequest request;
    request.set_name(absl::StrCat("other-", i));
    request.mutable_start()->set_start_position(narrow ? v1::START_POSITION_EARLIEST
                                                       : v1::START_POSITION_LATEST);
    if (narrow) request.mutable_settings()->mutable_filter()->add_subjects("nobody's subject");
    grpc::ClientContext context;
    v1::CreateSubscriptionResponse response;
    Check(subscriptions.CreateSubscription(&context, request, &response));
  }
}

// Has `call` do its i-th query, and prints how long they took.
void Measure(absl::string_view what, absl::FunctionRef<void(int)> call) {
  std::vector<absl::Duration> durations;
  for (int i = 0; i < absl::GetFlag(FLAGS_queries); ++i) {
    const absl::Time start = absl::Now();
    call(i);
    durations.push_back(absl::Now() - start);
  }
  std::sort(durations.begin(), durations.end());
  const auto at = [&](double fraction) {
    return durations[static_cast<size_t>(fraction * static_cast<double>(durations.size() - 1))];
  };
  absl::PrintF("  %-44s p50 %6.2f ms, p99 %6.2f ms (at most %.0f)  %s\n", what,
               absl::ToDoubleMilliseconds(at(0.5)), absl::ToDoubleMilliseconds(at(0.99)),
               absl::ToDoubleMilliseconds(kMost), at(0.99) <= kMost ? "ok" : "MISSED");
  std::fflush(stdout);
}

void Explain(v1::EventService::Stub& events, const v1::ExplainEventRequest& request) {
  grpc::ClientContext context;
  v1::ExplainEventResponse response;
  Check(events.ExplainEvent(&context, request, &response));
  if (!response.has_event()) Die("an event that is stored was not found");
  const auto subscriptions = static_cast<int>(response.deliveries_size());
  if (subscriptions != absl::GetFlag(FLAGS_subscriptions)) {
    Die(absl::StrCat("only ", subscriptions, " subscriptions were told of"));
  }
}

void MeasureExplain(v1::EventService::Stub& events, const std::vector<KnownEvent>& sample,
                    absl::BitGenRef random) {
  const auto known = [&]() -> const KnownEvent& {
    return sample[absl::Uniform<size_t>(random, 0, sample.size())];
  };
  Measure("ExplainEvent by sequence, any", [&](int) {
    v1::ExplainEventRequest request;
    request.set_sequence(
        absl::Uniform<int64_t>(absl::IntervalClosed, random, 1, absl::GetFlag(FLAGS_events)));
    Explain(events, request);
  });
  Measure("ExplainEvent by sequence, one that was consumed", [&](int) {
    v1::ExplainEventRequest request;
    request.set_sequence(
        absl::Uniform<int64_t>(absl::IntervalClosed, random, 1, absl::GetFlag(FLAGS_consumed)));
    Explain(events, request);
  });
  Measure("ExplainEvent by source and webhook-id", [&](int) {
    v1::ExplainEventRequest request;
    request.mutable_webhook()->set_source("openai");
    request.mutable_webhook()->set_webhook_id(known().webhook_id);
    Explain(events, request);
  });
  Measure("ExplainEvent by subject", [&](int) {
    v1::ExplainEventRequest request;
    request.set_text(known().subject);
    Explain(events, request);
  });
}

void MeasureList(v1::SubscriptionService::Stub& subscriptions) {
  const int consumed = absl::GetFlag(FLAGS_subscriptions) / 5;
  std::string next;
  const auto page = [&](v1::ListDeliveriesRequest request, int i) {
    request.set_subscription(Consumed(i % consumed));
    grpc::ClientContext context;
    v1::ListDeliveriesResponse response;
    Check(subscriptions.ListDeliveries(&context, request, &response));
    if (response.deliveries().empty()) Die("there are no deliveries");
    next = response.next_page_token();
  };
  Measure("ListDeliveries, its first page of 50", [&](int i) { page({}, i); });
  Measure("ListDeliveries of one state, a page of 50", [&](int i) {
    v1::ListDeliveriesRequest request;
    request.add_states(v1::DELIVERY_STATE_ACKED);
    page(request, i);
  });
  next.clear();
  Measure("ListDeliveries, page after page", [&](int) {
    v1::ListDeliveriesRequest request;
    request.set_page_token(next);
    page(request, 0);
  });
}

int Main() {
  if (absl::GetFlag(FLAGS_subscriptions) < 5) Die("--subscriptions: at least 5");
  if (absl::GetFlag(FLAGS_consumed) > absl::GetFlag(FLAGS_events)) {
    Die("--consumed: more than --events");
  }
  absl::BitGen random;
  const Folder folder(absl::StrCat(absl::GetFlag(FLAGS_folder), "/explain_bench_", getpid()));
  absl::PrintF("%d events, %d subscriptions\n", absl::GetFlag(FLAGS_events),
               absl::GetFlag(FLAGS_subscriptions));
  const absl::StatusOr<GrownLog> grown =
      GrowLog(folder.path(), absl::GetFlag(FLAGS_events), absl::Hours(24 * 20), random);
  if (!grown.ok()) Die(grown.status().ToString());
  const auto gateway = HookgatedProcess::Start(folder.path(), {"--log_level=warning"});
  if (gateway->http().empty()) Die(gateway->log());
  const auto channel = grpc::CreateChannel(gateway->grpc(), grpc::InsecureChannelCredentials());
  const auto events = v1::EventService::NewStub(channel);
  const auto subscriptions = v1::SubscriptionService::NewStub(channel);
  CreateSubscriptions(*gateway, *subscriptions);
  MeasureExplain(*events, grown->sample, random);
  MeasureList(*subscriptions);
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures how long those wait who are on call.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
