// The C++ side of the bench of client libraries: README.md says what a worker does and prints.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/consumer.h"
#include "client/subscriber.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

ABSL_FLAG(std::string, target, "", "HOST:PORT of the gateway");
ABSL_FLAG(std::string, by, "library", "library or bare");
ABSL_FLAG(std::string, do, "",
          "subscribe, consume, hold, watch_subscribe, watch_consume, create or delete");
ABSL_FLAG(int64_t, events, 0, "how many are read in a pass, or held");
ABSL_FLAG(int, passes, 1, "how often subscribe reads them");
ABSL_FLAG(int, concurrency, 1, "how many deliveries are in flight");
ABSL_FLAG(std::string, subscription, "", "the durable subscription");

namespace hookgate {
namespace {

void Print(const std::string& line) { std::cout << line << "\n" << std::flush; }

[[noreturn]] void Die(absl::string_view message) {
  std::cerr << "cpp_worker: " << message << "\n";
  std::exit(1);
}
void Check(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

// Wall-clock time, and CPU of this process, since it was made.
class Meter {
 public:
  void Report(int64_t events) const {
    Print(absl::StrFormat(R"({"events": %d, "seconds": %.6f, "cpu_seconds": %.6f})", events,
                          absl::ToDoubleSeconds(absl::Now() - start_),
                          absl::ToDoubleSeconds(Cpu() - cpu_)));
  }

 private:
  static absl::Duration Cpu() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
  }

  const absl::Time start_ = absl::Now();
  const absl::Duration cpu_ = Cpu();
};

int64_t MemoryKib(absl::string_view field) {
  std::ifstream status("/proc/self/status");
  std::string name;
  while (status >> name) {
    int64_t kib = 0;
    if (name == field && status >> kib) return kib;
  }
  Die("/proc/self/status does not tell");
}

void ReportHeld(int64_t before_kib) {
  Print(absl::StrFormat(R"({"held": %d, "before_kib": %d, "kib": %d, "peak_kib": %d})",
                        absl::GetFlag(FLAGS_events), before_kib, MemoryKib("VmRSS:"),
                        MemoryKib("VmHWM:")));
}

void AwaitEndOfInput() {
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

std::shared_ptr<grpc::Channel> Channel() {
  return grpc::CreateChannel(absl::GetFlag(FLAGS_target), grpc::InsecureChannelCredentials());
}

// What a handler does with an event: something that cannot be left out.
std::atomic<int64_t> handled_bytes = 0;
void Handle(const v1::Event& event) {
  handled_bytes.fetch_add(static_cast<int64_t>(event.subject().size()), std::memory_order_relaxed);
}

void SubscribeByLibrary(int64_t events) {
  Subscriber subscriber({.target = absl::GetFlag(FLAGS_target), .start = Subscriber::Earliest{}});
  int64_t seen = 0;
  Check(subscriber.Run([&](const v1::Event& event) {
    Handle(event);
    if (++seen == events) subscriber.Stop();
    return absl::OkStatus();
  }));
}

void SubscribeBare(int64_t events) {
  const auto stub = v1::EventService::NewStub(Channel());
  grpc::ClientContext context;
  v1::SubscribeRequest request;
  request.set_start_position(v1::START_POSITION_EARLIEST);
  const auto reader = stub->Subscribe(&context, request);
  v1::SubscribeResponse response;
  int64_t seen = 0;
  while (seen < events && reader->Read(&response)) {
    for (const v1::Event& event : response.event_batch().events()) {
      Handle(event);
      ++seen;
    }
  }
  if (seen < events) Die(reader->Finish().error_message());
  context.TryCancel();
  reader->Finish();
}

Consumer::Options ConsumerOptions() {
  return {.target = absl::GetFlag(FLAGS_target),
          .subscription = absl::GetFlag(FLAGS_subscription),
          .concurrency = absl::GetFlag(FLAGS_concurrency)};
}

void ConsumeByLibrary(int64_t events) {
  Consumer::Options options = ConsumerOptions();
  options.max_events = events;
  Consumer consumer(std::move(options));
  Check(consumer.Run([](const v1::Delivery& delivery) {
    Handle(delivery.event());
    return Verdict::Ack();
  }));
}

using ConsumeStream = grpc::ClientReaderWriter<v1::ConsumeRequest, v1::ConsumeResponse>;

void Open(ConsumeStream& stream) {
  v1::ConsumeRequest request;
  v1::ConsumeRequest::Open& open = *request.mutable_open();
  open.set_subscription(absl::GetFlag(FLAGS_subscription));
  open.set_consumer_name("bare");
  open.mutable_limits()->set_max_outstanding_messages(absl::GetFlag(FLAGS_concurrency));
  stream.Write(request);
}

// Acks the deliveries of a frame in one.
void ConsumeBare(int64_t events) {
  const auto stub = v1::SubscriptionService::NewStub(Channel());
  grpc::ClientContext context;
  const auto stream = stub->Consume(&context);
  Open(*stream);
  v1::ConsumeRequest request;
  v1::ConsumeResponse response;
  int64_t acked = 0;
  while (acked < events && stream->Read(&response)) {
    acked += response.ack_results().results_size();
    if (!response.has_deliveries()) continue;
    request.Clear();
    for (const v1::Delivery& delivery : response.deliveries().deliveries()) {
      Handle(delivery.event());
      request.mutable_ack()->add_delivery_ids(delivery.delivery_id());
    }
    stream->Write(request);
  }
  stream->WritesDone();
  while (stream->Read(&response)) {
  }
  const grpc::Status end = stream->Finish();
  if (acked < events) Die(end.error_message());
}

// Prints once as many handlers hold as are wanted; they hold until the input ends.
void HoldByLibrary(int64_t events) {
  const int64_t before_kib = MemoryKib("VmRSS:");
  absl::Notification over;
  std::atomic<int64_t> held = 0;
  Consumer consumer(ConsumerOptions());
  std::thread told([&] {
    AwaitEndOfInput();
    consumer.Stop();
    over.Notify();
  });
  Check(consumer.Run([&](const v1::Delivery&) {
    if (++held == events) ReportHeld(before_kib);
    over.WaitForNotification();
    return Verdict::Ack();
  }));
  told.join();
}

void HoldBare(int64_t events) {
  const int64_t before_kib = MemoryKib("VmRSS:");
  const auto stub = v1::SubscriptionService::NewStub(Channel());
  grpc::ClientContext context;
  const auto stream = stub->Consume(&context);
  Open(*stream);
  std::vector<v1::Delivery> held;
  v1::ConsumeResponse response;
  while (static_cast<int64_t>(held.size()) < events && stream->Read(&response)) {
    for (v1::Delivery& delivery : *response.mutable_deliveries()->mutable_deliveries()) {
      held.push_back(std::move(delivery));
    }
  }
  if (static_cast<int64_t>(held.size()) < events) Die(stream->Finish().error_message());
  ReportHeld(before_kib);
  AwaitEndOfInput();
  context.TryCancel();
  stream->Finish();
}

// Prints each event's id as it is handled, until the input ends.
void PrintEvent(const v1::Event& event) {
  Print(absl::StrFormat(R"({"event": "%s"})", event.webhook_id()));
}

void WatchSubscribe() {
  Subscriber::Options options = {.target = absl::GetFlag(FLAGS_target)};
  options.observers.opened = [](const auto&) { Print(R"({"opened": true})"); };
  Subscriber subscriber(std::move(options));
  std::thread told([&subscriber] {
    AwaitEndOfInput();
    subscriber.Stop();
  });
  Check(subscriber.Run([](const v1::Event& event) {
    PrintEvent(event);
    return absl::OkStatus();
  }));
  told.join();
}

void WatchConsume() {
  Consumer::Options options = ConsumerOptions();
  options.observers.opened = [](const auto&) { Print(R"({"opened": true})"); };
  Consumer consumer(std::move(options));
  std::thread told([&consumer] {
    AwaitEndOfInput();
    consumer.Stop();
  });
  Check(consumer.Run([](const v1::Delivery& delivery) {
    PrintEvent(delivery.event());
    return Verdict::Ack();
  }));
  told.join();
}

// Makes the subscription, from the first event on.
void Create() {
  v1::CreateSubscriptionRequest request;
  request.set_name(absl::GetFlag(FLAGS_subscription));
  request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
  v1::CreateSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      v1::SubscriptionService::NewStub(Channel())->CreateSubscription(&context, request, &response);
  if (!status.ok()) Die(status.error_message());
}

void Delete() {
  v1::DeleteSubscriptionRequest request;
  request.set_name(absl::GetFlag(FLAGS_subscription));
  v1::DeleteSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      v1::SubscriptionService::NewStub(Channel())->DeleteSubscription(&context, request, &response);
  if (!status.ok()) Die(status.error_message());
}

void Run() {
  const std::string what = absl::GetFlag(FLAGS_do);
  const bool library = absl::GetFlag(FLAGS_by) == "library";
  const int64_t events = absl::GetFlag(FLAGS_events);
  const Meter meter;
  if (what == "subscribe") {
    for (int i = 0; i < absl::GetFlag(FLAGS_passes); ++i) {
      library ? SubscribeByLibrary(events) : SubscribeBare(events);
    }
    meter.Report(events * absl::GetFlag(FLAGS_passes));
  } else if (what == "consume") {
    library ? ConsumeByLibrary(events) : ConsumeBare(events);
    meter.Report(events);
  } else if (what == "hold") {
    library ? HoldByLibrary(events) : HoldBare(events);
  } else if (what == "watch_subscribe") {
    WatchSubscribe();
  } else if (what == "watch_consume") {
    WatchConsume();
  } else if (what == "create") {
    Create();
  } else if (what == "delete") {
    Delete();
  } else {
    Die("there is no --do=" + what);
  }
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  hookgate::Run();
  return 0;
}
