#include "client/cli/consume_command.h"

#include <unistd.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "client/cli/common_flags.h"
#include "client/cli/event_text.h"
#include "client/cli/exec_program.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/time_format.h"
#include "client/connection.h"
#include "client/consumer.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "consume";

// "redriven", of DELIVERY_REASON_REDRIVEN.
std::string ReasonText(v1::DeliveryReason reason) {
  const std::string name = v1::DeliveryReason_Name(reason);
  std::string text(absl::StripPrefix(name, "DELIVERY_REASON_"));
  absl::AsciiStrToLower(&text);
  return text;
}

std::vector<std::string> VariablesOf(const v1::Delivery& delivery) {
  const v1::Event& event = delivery.event();
  return {absl::StrCat("HOOKGATE_EVENT_TYPE=", event.type()),
          absl::StrCat("HOOKGATE_EVENT_SUBJECT=", event.subject()),
          absl::StrCat("HOOKGATE_EVENT_SOURCE=", event.source()),
          absl::StrCat("HOOKGATE_WEBHOOK_ID=", event.webhook_id()),
          absl::StrCat("HOOKGATE_SEQUENCE=", event.sequence()),
          absl::StrCat("HOOKGATE_ATTEMPT=", delivery.attempt()),
          absl::StrCat("HOOKGATE_DELIVERY_REASON=", ReasonText(delivery.reason()))};
}

// From the first stream to the last. Handle runs on several threads.
class Consumption {
 public:
  Consumption(const Flags& flags, Environment& environment)
      : flags_(flags),
        environment_(environment),
        reader_(ReaderOf(flags, environment)),
        connection_(environment.connect(flags.Text("grpc"), environment.security)),
        consumer_(*connection_, MakeOptions()) {}

  int Run() {
    const Interrupt::Handler on_interrupt(environment_.interrupt, [this] { consumer_.Stop(); });
    const absl::Status end =
        consumer_.Run([this](const v1::Delivery& delivery) { return Handle(delivery); });
    absl::MutexLock lock(&mu_);
    if (!environment_.out.good()) return kFine;  // Finish says what there is to say.
    Say(absl::StrCat(acked_, " acked, ", nacked_, " nacked"), environment_);
    if (absl::IsNotFound(end)) return Fail(kNotFound, end.message(), environment_);
    if (!end.ok()) return Fail(kFailed, end.message(), environment_);
    return kFine;
  }

 private:
  Consumer::Options MakeOptions() {
    Consumer::Options options;
    options.subscription = flags_.arguments()[0];
    options.consumer_name = flags_.Text("name");
    options.concurrency = static_cast<int>(flags_.Int("concurrency"));
    if (flags_.Has("max-events")) options.max_events = flags_.Int("max-events");
    options.open_timeout = flags_.Duration("timeout");
    options.include_raw_body = flags_.Bool("raw");
    options.disconnected = [this](const absl::Status& why, absl::Duration delay) {
      absl::MutexLock lock(&mu_);
      Say(absl::StrCat("consuming again in ", DurationText(delay), ": ",
                       std::string(why.message())),
          environment_);
    };
    return options;
  }

  Verdict Handle(const v1::Delivery& delivery) {
    Verdict verdict = flags_.Has("exec") ? Execute(delivery) : Print(delivery);
    absl::MutexLock lock(&mu_);
    ++(verdict.kind == Verdict::Kind::kAck ? acked_ : nacked_);
    return verdict;
  }

  // Not acked unless it was printed.
  Verdict Print(const v1::Delivery& delivery) {
    absl::MutexLock lock(&mu_);
    environment_.out << (IsJson(flags_) ? MessageJson(delivery)
                                        : EventLine(delivery.event(), reader_))
                     << "\n";
    environment_.out.flush();
    if (environment_.out.good()) return Verdict::Ack();
    consumer_.Stop();
    return Verdict::Nack("the output cannot be written", absl::ZeroDuration());
  }

  Verdict Execute(const v1::Delivery& delivery) {
    const ProgramResult result =
        RunShell(flags_.Text("exec"),
                 {.in = EventJson(delivery.event()) + "\n",
                  .environment = VariablesOf(delivery),
                  .timeout = flags_.Has("exec-timeout") ? flags_.Duration("exec-timeout")
                                                        : absl::InfiniteDuration()});
    absl::MutexLock lock(&mu_);
    environment_.out << result.out;
    environment_.out.flush();
    environment_.err << result.err;
    if (result.succeeded) return Verdict::Ack();
    const std::string reason = Printable(result.reason);
    Say(absl::StrCat("#", delivery.event().sequence(), ", attempt ", delivery.attempt(),
                     ", nacked: ", reason),
        environment_);
    return Verdict::Nack(reason);
  }

  // Constant after construction.
  const Flags& flags_;
  Environment& environment_;
  const Reader reader_;
  const std::unique_ptr<Connection> connection_;

  absl::Mutex mu_;  // Also of the environment's streams.
  int64_t acked_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t nacked_ ABSL_GUARDED_BY(mu_) = 0;

  Consumer consumer_;  // Does its own locking. Last: its threads use the above.
};

int Run(const Flags& flags, Environment& environment) {
  return Consumption(flags, environment).Run();
}

// What tells this process from others of the same kind.
std::string DefaultName() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat("hookgate@", host[0] == '\0' ? "localhost" : host);
}

}  // namespace

Command ConsumeCommand() {
  return {
      .name = kName,
      .summary = "Work off a durable subscription, by a program of yours",
      .description =
          "Takes events of a durable subscription, one at a time unless --concurrency says more, "
          "until Ctrl-C. The gateway keeps the position: what was not acked comes again, here or "
          "at another consumer.\n\n"
          "With --exec a program runs for each event, with the event as one line of JSON on its "
          "standard input and HOOKGATE_EVENT_TYPE, HOOKGATE_EVENT_SUBJECT, HOOKGATE_EVENT_SOURCE, "
          "HOOKGATE_WEBHOOK_ID, HOOKGATE_SEQUENCE, HOOKGATE_ATTEMPT and HOOKGATE_DELIVERY_REASON "
          "in its environment. Exit 0 acks; anything else nacks, with the last line of its "
          "standard error as the reason, and the event comes again after a back-off. Its lease is "
          "extended while it runs. Without --exec events are printed and acked.\n\n"
          "Ctrl-C lets what runs finish, and gives back the rest; a second one ends at once.",
      .arguments = {.usage = "SUBSCRIPTION", .least = 1, .most = 1},
      .flags = {{.name = "exec", .value = "COMMAND", .help = "What sh -c runs for each event."},
                {.name = "exec-timeout",
                 .kind = FlagKind::kDuration,
                 .value = "DURATION",
                 .help = "Kill the program, and nack, when it runs for longer.",
                 .shortest = absl::Milliseconds(1)},
                {.name = "concurrency",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "How many events are handled at a time.",
                 .default_value = "1",
                 .minimum = 1,
                 .maximum = 1000},
                {.name = "max-events",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "End after so many. Without it: when interrupted.",
                 .minimum = 1},
                {.name = "name",
                 .value = "NAME",
                 .help = "Who consumes, as the gateway shows it. Consumers of one name share "
                         "their limits.",
                 .default_value = DefaultName()},
                {.name = "raw",
                 .kind = FlagKind::kBool,
                 .help = "With the body as received, in JSON as raw_body, in base64."},
                GrpcFlag(),
                TimeoutFlag("How long opening a stream may take before it is tried again.", "20s"),
                OutputFlag(),
                ColorFlag()},
      .examples = {{"hookgate consume billing --exec ./retry-batch --concurrency 4",
                    "Four at a time; each until ./retry-batch exits 0."},
                   {"hookgate consume billing --max-events 1 --output json",
                    "Take one, print and ack it."}},
      .exits = {{kFine, "It was ended by Ctrl-C or SIGTERM, or by --max-events."},
                {kFailed, "The gateway refused for good, or the output could not be written."},
                {kWrongUsage, "The command line is wrong."},
                {kNotFound, "There is no such subscription, or no more."}},
      .run = Run};
}

}  // namespace hookgate::cli
