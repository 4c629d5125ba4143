#include "client/cli/commands/subscribe_command.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/event_text.h"
#include "client/cli/commands/repeated_reason.h"
#include "client/cli/commands/start_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/time_format.h"
#include "client/connection.h"
#include "client/cursor_store.h"
#include "client/gateway_error.h"
#include "client/subscriber.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscribe";

Subscriber::Start StartOf(const Flags& flags, absl::Time now) {
  if (flags.Has("after")) return Subscriber::After{flags.Text("after")};
  if (flags.Has("since")) return Subscriber::Since{flags.Time("since", now)};
  if (flags.Text("from") == "earliest") return Subscriber::Earliest{};
  return Subscriber::Latest{};
}

// One subscription, from the first stream to the last. Everything but Interrupt's handler happens
// in the thread that calls Run.
class Subscription {
 public:
  Subscription(const Flags& flags, Environment& environment)
      : flags_(flags),
        environment_(environment),
        style_(StyleOf(flags, environment)),
        max_events_(flags.Has("max-events") ? flags.Int("max-events") : 0),
        connection_(environment.connect(flags.Text("grpc"), environment.security)) {
    if (flags.Has("cursor-file")) {
      cursors_ = std::make_unique<FileCursorStore>(flags.Text("cursor-file"));
    }
    subscriber_ = std::make_unique<Subscriber>(*connection_, MakeOptions());
  }

  int Run() {
    const Interrupt::Handler on_interrupt(environment_.interrupt, [this] { subscriber_->Stop(); });
    const absl::Status end =
        subscriber_->Run([this](const v1::Event& event) { return Handle(event); });
    if (!environment_.out.good()) return kSuccess;  // Finish says what there is to say.
    if (!end.ok()) {
      // A cursor file in a folder that there is not is NOT_FOUND, too.
      const bool is_said_by_gateway = GatewayErrorOf(end).FromGateway();
      const int code = IsForeignCursor(end)                          ? kForeignCursor
                       : is_said_by_gateway && absl::IsNotFound(end) ? kNotFound
                                                                     : kFailed;
      return Fail(code, Advice(end), environment_);
    }
    if (!opened_) return kInterrupted;
    std::string summary = absl::StrCat(count_, count_ == 1 ? " event" : " events");
    if (cursors_ == nullptr) absl::StrAppend(&summary, "; to go on from here: --after ", cursor_);
    Say(summary);
    return kSuccess;
  }

 private:
  Subscriber::Options MakeOptions() {
    Subscriber::Options options;
    options.filter = FilterOf(flags_);
    options.start = StartOf(flags_, environment_.clock.WallNow());
    options.heartbeat_interval = flags_.Duration("heartbeat");
    options.open_timeout = flags_.Duration("timeout");
    options.client_name = flags_.Text("name");
    options.include_raw_body = flags_.Bool("raw");
    options.cursor_store = cursors_.get();
    options.clock = &environment_.clock;
    options.observers = {
        .opened = [this](const auto& opened) { OnOpened(opened); },
        .caught_up =
            [this](const auto& frame) {
              cursor_ = frame.cursor();
              Say("caught up; waiting for new events");
            },
        .heartbeat = [this](const auto& frame) { cursor_ = frame.cursor(); },
        .draining =
            [this](const auto& frame) {
              cursor_ = frame.cursor();
              Say("the gateway is shutting down gracefully");
            },
        .disconnected = [this](const absl::Status& why,
                               absl::Duration delay) { OnDisconnected(why, delay); }};
    return options;
  }

  void OnOpened(const v1::SubscribeResponse::Opened& opened) {
    if (!opened_) cursor_ = opened.cursor();
    opened_ = true;
    reason_.Forget();
    const bool empty = opened.head_sequence() < opened.earliest_sequence();
    Say(absl::StrCat("the stream from ", connection_->target(), " is open; ",
                     empty ? std::string("no events are held yet")
                           : absl::StrCat("events ", opened.earliest_sequence(), " to ",
                                          opened.head_sequence(), " are held")));
  }

  void OnDisconnected(const absl::Status& why, absl::Duration delay) {
    Say(absl::StrCat("reconnecting in ", DurationText(delay), ": ", reason_.Text(why)));
  }

  // An error means that the event was not printed: it comes again when the cursor file is used
  // again.
  absl::Status Handle(const v1::Event& event) {
    if (IsJson(flags_)) {
      environment_.out << EventJson(event) << "\n";
    } else {
      environment_.out << EventLine(event,
                                    {environment_.clock.WallNow(), environment_.zone, style_})
                       << "\n";
      if (flags_.Bool("raw")) environment_.out << Printable(event.raw_body()) << "\n";
    }
    environment_.out.flush();
    if (!environment_.out.good()) return absl::AbortedError("the output cannot be written");
    cursor_ = event.cursor();
    if (++count_ == max_events_) subscriber_->Stop();
    return absl::OkStatus();
  }

  // What is in the cursor file wins over every flag, so it has to go first.
  std::string Advice(const absl::Status& end) const {
    if (cursors_ == nullptr || !IsForeignCursor(end)) return std::string(end.message());
    return absl::StrCat(end.message(), " The cursor is the one in ", flags_.Text("cursor-file"),
                        ": remove that file, and name the other start with --after or --from.");
  }

  void Say(absl::string_view what) { cli::Say(what, environment_); }

  // Constant after construction.
  const Flags& flags_;
  Environment& environment_;
  const Style style_;
  const int64_t max_events_;  // 0: no end.
  const std::unique_ptr<Connection> connection_;
  std::unique_ptr<FileCursorStore> cursors_;
  std::unique_ptr<Subscriber> subscriber_;

  int64_t count_ = 0;
  std::string cursor_;  // Everything up to here is printed.
  bool opened_ = false;
  RepeatedReason reason_;
};

int Run(const Flags& flags, Environment& environment) {
  const absl::Status one_start = CheckAtMostOne(flags, {"from", "after", "since"});
  if (!one_start.ok()) return WrongUsage(kName, one_start.message(), environment);
  return Subscription(flags, environment).Run();
}

FlagSpec CursorFileFlag() {
  return {.name = "cursor-file",
          .value = "FILE",
          .help =
              "Keep the position in this file: the next run continues after the last event "
              "printed. --from, --after and --since are used only if the file does not exist.",
          .any_bytes = true};
}

std::vector<FlagSpec> StreamFlags() {
  return {{.name = "max-events",
           .kind = FlagKind::kInt,
           .value = "N",
           .help = "End after so many. Without it: when interrupted.",
           .minimum = 1},
          {.name = "raw",
           .kind = FlagKind::kBool,
           .help = "Also the body as received: on a line of its own, or in JSON as raw_body, in "
                   "base64."},
          {.name = "name",
           .value = "NAME",
           .help = "This client's name, for the gateway's log lines.",
           .default_value = "hookgate"},
          {.name = "heartbeat",
           .kind = FlagKind::kDuration,
           .value = "DURATION",
           .help = "How often the gateway shows that the stream lives when there is nothing to "
                   "send. After 2.5 times as long without a sign the stream is opened again.",
           .default_value = "15s",
           .shortest = absl::Milliseconds(100),
           .longest = absl::Minutes(10)},
          GrpcFlag(),
          TimeoutFlag("How long opening a stream may take before it is tried again.", "20s"),
          OutputFlag(),
          ColorFlag()};
}

}  // namespace

Command SubscribeCommand() {
  return {
      .name = kName,
      .summary = "Print events as they arrive",
      .description =
          "Prints the gateway's events, in order, each as soon as it is stored, until Ctrl-C. When "
          "the stream breaks, or no gateway answers, it is opened again, as long as it takes, and "
          "continues exactly after the last event printed. Events go to standard output, and what "
          "happens to the stream to standard error.",
      .flags = Join({StartFlags("latest"), {CursorFileFlag()}, FilterFlags(), StreamFlags()}),
      .examples = {{"hookgate subscribe --from earliest", "All stored events, then new ones."},
                   {"hookgate subscribe --type batch.failed --cursor-file cursor --output json",
                    "Failed batches for a script; the next run continues after the last one."},
                   {"hookgate subscribe --since 1h --max-events 1",
                    "Wait for one event, or take the first of the last hour."}},
      .exits =
          {{kSuccess,
            "It was ended by Ctrl-C or SIGTERM after a stream had opened, by "
            "--max-events, or by a reader that closed the pipe."},
           {kFailed,
            "The gateway refused permanently, such as a cursor that retention has "
            "overtaken; or the output or the cursor file could not be written."},
           {kForeignCursor,
            "The gateway refused the cursor because it belongs to another log, or to the log as "
            "it was before it was put back to an older state (a backup was restored). It will "
            "be refused again; the message says where to continue from."},
           {kWrongUsage, "The command line is wrong."},
           {kNotFound, "The gateway has no such source."},
           {kInterrupted, "It was ended by Ctrl-C or SIGTERM before any stream had opened."}},
      .run = Run};
}

}  // namespace hookgate::cli
