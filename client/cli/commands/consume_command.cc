#include "client/cli/commands/consume_command.h"

#include <memory>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/event_text.h"
#include "client/cli/commands/exec_command.h"
#include "client/cli/commands/exec_program.h"
#include "client/cli/commands/repeated_reason.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/security_flags.h"
#include "client/cli/time_format.h"
#include "client/connection.h"
#include "client/consumer.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "consume";
// Between SIGTERM and SIGKILL, for a program that is ended.
constexpr absl::Duration kKillGrace = absl::Seconds(5);

// "redriven", of DELIVERY_REASON_REDRIVEN.
std::string ReasonText(v1::DeliveryReason reason) {
  const std::string name = v1::DeliveryReason_Name(reason);
  std::string text(absl::StripPrefix(name, "DELIVERY_REASON_"));
  absl::AsciiStrToLower(&text);
  return text;
}

// As dash and bash say it.
bool IsOfUnsetVariable(absl::string_view reason) {
  return absl::EndsWith(reason, ": parameter not set") ||
         absl::EndsWith(reason, ": unbound variable");
}

// Longer values are left out: Linux starts no program with a variable above 128 KiB, or with all of
// them above a few MiB, and no id that a program would act on is as long as this.
constexpr size_t kLongestValue = 4096;

// NAME=VALUE for the program. One whose value is too long, or holds a NUL, which no variable can,
// is not there at all: cut off it would be the id of something else.
std::vector<std::string> VariablesOf(const v1::Delivery& delivery) {
  const v1::Event& event = delivery.event();
  const std::pair<const char*, std::string> all[] = {
      {"HOOKGATE_EVENT_TYPE", event.type()},
      {"HOOKGATE_EVENT_SUBJECT", event.subject()},
      {"HOOKGATE_EVENT_SOURCE", event.source()},
      {"HOOKGATE_WEBHOOK_ID", event.webhook_id()},
      {"HOOKGATE_SEQUENCE", absl::StrCat(event.sequence())},
      {"HOOKGATE_ATTEMPT", absl::StrCat(delivery.attempt())},
      {"HOOKGATE_DELIVERY_REASON", ReasonText(delivery.reason())},
      {"TRACEPARENT", event.trace_parent()}};
  std::vector<std::string> variables;
  for (const auto& [name, value] : all) {
    if (value.size() > kLongestValue || absl::StrContains(value, '\0')) continue;
    // An empty context is not valid, where no context is.
    if (value.empty() && name == absl::string_view("TRACEPARENT")) continue;
    variables.push_back(absl::StrCat(name, "=", value));
  }
  return variables;
}

// Variables of ours that the program does not get: secrets; what an event of an outer consume left,
// since VariablesOf may leave it out; and the trace in which hookgate itself was started.
std::vector<std::string> WithheldVariables() {
  std::vector<std::string> names = SecretVariables();
  names.insert(names.end(),
               {"HOOKGATE_EVENT_TYPE", "HOOKGATE_EVENT_SUBJECT", "HOOKGATE_EVENT_SOURCE",
                "HOOKGATE_WEBHOOK_ID", "TRACEPARENT", "TRACESTATE"});
  return names;
}

// One of which the program gets all variables that there are.
v1::Delivery SampleDelivery() {
  v1::Delivery delivery;
  delivery.mutable_event()->set_trace_parent(
      "00-00000000000000000000000000000001-0000000000000001-00");
  return delivery;
}

// Why a program that failed of `reason`, as a variable was not set, has not found it; "" if
// something else was wrong.
std::string HintOnVariable(absl::string_view reason) {
  if (!IsOfUnsetVariable(reason)) return "";
  for (const std::string& variable : VariablesOf(SampleDelivery())) {
    const absl::string_view name = absl::string_view(variable).substr(0, variable.find('='));
    if (!absl::StrContains(reason, absl::StrCat(name, ":"))) continue;
    return name == "TRACEPARENT"
               ? "; this event has no trace: write ${TRACEPARENT:-}"
               : "; its value is above 4 KiB or holds a NUL: it is in the JSON alone";
  }
  return "; a variable of --exec has to be exported, or written ${NAME:-} if it may be missing";
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
    const Interrupt::Handler on_interrupt(
        environment_.interrupt, [this] { consumer_.Stop(); },
        [this] { consumer_.StopAndGiveBack(); });
    const absl::Status end = consumer_.Run(
        [this](const v1::Delivery& delivery, Hold& hold) { return Handle(delivery, hold); });
    absl::MutexLock lock(&mu_);
    if (!environment_.out.good()) return kSuccess;  // Finish says what there is to say.
    Say(absl::StrCat(acked_, " acked, ", nacked_, " nacked"), environment_);
    if (!not_started_.empty()) {
      return Fail(kNotStarted,
                  absl::StrCat("the program cannot be started: ", not_started_,
                               ". Its events were given back, and no attempt was counted"),
                  environment_);
    }
    if (absl::IsNotFound(end)) return Fail(kNotFound, end.message(), environment_);
    if (!end.ok()) return Fail(kFailed, end.message(), environment_);
    return kSuccess;
  }

 private:
  Consumer::Options MakeOptions() {
    Consumer::Options options;
    options.subscription = flags_.arguments()[0];
    options.consumer_name = flags_.Text("name");  // Without one the consumer makes one up.
    options.concurrency = static_cast<int>(flags_.Int("concurrency"));
    if (flags_.Has("max-events")) options.max_events = flags_.Int("max-events");
    options.open_timeout = flags_.Duration("timeout");
    // The program is ended first, and nacked.
    options.longest_lease = flags_.Duration("exec-timeout") + kKillGrace + absl::Minutes(1);
    options.give_back_grace = kKillGrace + absl::Seconds(5);
    options.include_raw_body = flags_.Bool("raw");
    options.observers.opened = [this](const auto&) {
      absl::MutexLock lock(&mu_);
      reason_.Forget();
      Say(absl::StrCat("consuming ", flags_.arguments()[0], " from ", connection_->target()),
          environment_);
    };
    options.observers.heartbeat = [this](const auto& heartbeat) { OnHeartbeat(heartbeat); };
    options.observers.disconnected = [this](const absl::Status& why, absl::Duration delay) {
      absl::MutexLock lock(&mu_);
      Say(absl::StrCat("consuming again in ", DurationText(delay), ": ", reason_.Text(why)),
          environment_);
    };
    return options;
  }

  // Says why nothing may come, once.
  void OnHeartbeat(const v1::ConsumeResponse::Heartbeat& heartbeat) {
    absl::MutexLock lock(&mu_);
    std::set<int> now(heartbeat.conditions().begin(), heartbeat.conditions().end());
    for (const int condition : now) {
      const absl::string_view text = ConditionText(condition);
      if (text.empty() || conditions_.count(condition) > 0) continue;
      Say(absl::StrCat(flags_.arguments()[0], ": ", text), environment_);
    }
    conditions_ = std::move(now);
  }

  Verdict Handle(const v1::Delivery& delivery, Hold& hold) {
    Verdict verdict = flags_.Has("exec") ? Execute(delivery, hold) : Print(delivery);
    absl::MutexLock lock(&mu_);
    if (verdict.kind == Verdict::Kind::kAck) ++acked_;
    if (verdict.kind == Verdict::Kind::kNack) ++nacked_;
    return verdict;
  }

  // Not acked unless it was printed.
  Verdict Print(const v1::Delivery& delivery) {
    absl::MutexLock lock(&mu_);
    environment_.out << (IsJson(flags_) ? MessageJson(delivery)
                                        : EventLine(delivery.event(), reader_))
                     << "\n";
    environment_.out.flush();
    return environment_.out.good() ? Verdict::Ack() : OutputIsBroken();
  }

  // Nothing more is taken, and what could not be written is offered again at once.
  Verdict OutputIsBroken() {
    consumer_.Stop();
    return Verdict::Nack("the output cannot be written", absl::ZeroDuration());
  }

  Verdict Execute(const v1::Delivery& delivery, Hold& hold) {
    ProgramStop stop;
    hold.OnLost([&stop] { stop.Request(); });
    const ProgramResult result = RunShell(flags_.Text("exec"),
                                          {.in = EventJson(delivery.event()) + "\n",
                                           .environment = VariablesOf(delivery),
                                           .withheld = WithheldVariables(),
                                           .timeout = flags_.Duration("exec-timeout"),
                                           .kill_grace = kKillGrace},
                                          &stop);
    hold.OnLost(nullptr);  // Before `stop` is gone.
    absl::MutexLock lock(&mu_);
    environment_.out << result.out;
    environment_.out.flush();
    environment_.err << result.err;
    // The program could not notice: what it had to write is here.
    if (!environment_.out.good()) return OutputIsBroken();
    if (result.succeeded()) return Verdict::Ack();
    const std::string reason = Printable(result.reason);
    const std::string which =
        absl::StrCat("#", delivery.event().sequence(), ", attempt ", delivery.attempt());
    switch (result.end) {
      case ProgramResult::End::kNotStarted:
        not_started_ = reason;
        return Verdict::GiveBack();
      case ProgramResult::End::kStopped:
        Say(absl::StrCat(which,
                         ", was ended; its event is given back, or another consumer may have it"),
            environment_);
        return Verdict::GiveBack();
      default:
        Say(absl::StrCat(which, ", nacked: ", reason, HintOnVariable(reason)), environment_);
        return Verdict::Nack(reason);
    }
  }

  // Constant after construction.
  const Flags& flags_;
  Environment& environment_;
  const Reader reader_;
  const std::unique_ptr<Connection> connection_;

  absl::Mutex mu_;  // Also of the environment's streams.
  int64_t acked_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t nacked_ ABSL_GUARDED_BY(mu_) = 0;
  std::string not_started_ ABSL_GUARDED_BY(mu_);  // Why, if a program could not be.
  RepeatedReason reason_ ABSL_GUARDED_BY(mu_);
  std::set<int> conditions_ ABSL_GUARDED_BY(mu_);  // of the last heartbeat

  Consumer consumer_;  // Does its own locking. Last: its threads use the above.
};

int Run(const Flags& flags, Environment& environment) {
  if (flags.Has("exec")) {
    const std::string problem = ProblemOfCommand(
        flags.Text("exec"),
        {.environment = VariablesOf(SampleDelivery()), .withheld = WithheldVariables()});
    if (!problem.empty()) {
      return Fail(kWrongUsage, absl::StrCat("--exec cannot handle events: ", Printable(problem)),
                  environment);
    }
  }
  return Consumption(flags, environment).Run();
}

}  // namespace

Command ConsumeCommand() {
  return {
      .name = kName,
      .summary = "Work off a durable subscription, by a program of yours",
      .description =
          "Receives events of a durable subscription, one at a time unless --concurrency is "
          "higher, "
          "until Ctrl-C. The gateway keeps the position: events that were not acked are delivered "
          "again, here or "
          "at another consumer.\n\n"
          "With --exec a program runs for each event, with the event as one line of JSON on its "
          "standard input and HOOKGATE_EVENT_TYPE, HOOKGATE_EVENT_SUBJECT, HOOKGATE_EVENT_SOURCE, "
          "HOOKGATE_WEBHOOK_ID, HOOKGATE_SEQUENCE, HOOKGATE_ATTEMPT and HOOKGATE_DELIVERY_REASON "
          "in its environment (values above 4 KiB only in the JSON), without "
          "HOOKGATE_TOKEN and OPENAI_WEBHOOK_SECRET. TRACEPARENT is the event's trace, as tools of "
          "OpenTelemetry read it. Exit 0 acks; anything else nacks, with the "
          "last line of its standard error as the reason, and the event is redelivered after a "
          "back-off. Its exit decides: what it leaves in the background is neither waited for nor, "
          "if it exited with 0, ended. Without --exec events are printed and acked.\n\n"
          "While the program runs, the lease of its event is extended. When the event may be with "
          "another consumer (the stream broke, the lease was lost), or is given back, the program "
          "and its children are ended: SIGTERM, after 5 s SIGKILL, and if hookgate itself is "
          "killed, SIGKILL at once. It is not acked then, whatever its exit status.\n\n"
          "A program that cannot be started (exit status 127 or 126, as of a shell that does not "
          "find it or may not execute it) is not its event's fault: hookgate gives the events "
          "back, "
          "which costs them no attempt, and ends with exit code 6.\n\n"
          "Ctrl-C, SIGTERM or SIGHUP lets what runs finish, for 30 s at most, and gives back the "
          "rest; a second one ends what runs and gives it back, too; a third one ends hookgate at "
          "once.",
      .arguments = {.usage = "SUBSCRIPTION", .least = 1, .most = 1},
      .flags = Join(
          {{{.name = "exec",
             .value = "COMMAND",
             .help =
                 "What sh -u -c runs for each event: a variable in it that is not set is an error.",
             .any_bytes = true},
            {.name = "exec-timeout",
             .kind = FlagKind::kDuration,
             .value = "DURATION",
             .help = "End the program, and nack, when it runs for longer: its lease is not "
                     "held for ever.",
             .default_value = "1h",
             .shortest = absl::Milliseconds(1),
             .longest = absl::Hours(7 * 24)},
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
             .help = "The consumer's name, as the gateway shows it. Consumers of one name share "
                     "one limit, so each should have its own. Default: host, process id and a "
                     "random number."},
            {.name = "raw",
             .kind = FlagKind::kBool,
             .help = "With the body as received, in JSON as raw_body, in base64."}},
           CallFlags("How long opening a stream may take before it is tried again.", "20s")}),
      .examples = {{"hookgate consume billing --exec ./retry-batch --concurrency 4",
                    "Four at a time; each until ./retry-batch exits 0."},
                   {"hookgate consume billing --max-events 1 --output json",
                    "Receive one event, print and ack it."}},
      .exits = {{kSuccess, "It was ended by Ctrl-C, SIGTERM or SIGHUP, or by --max-events."},
                {kFailed, "The gateway refused permanently, or the output could not be written."},
                {kWrongUsage, "The command line is wrong."},
                {kNotFound, "There is no such subscription (any more)."},
                {kNotStarted, "The program of --exec could not be started."}},
      .run = Run};
}

}  // namespace hookgate::cli
