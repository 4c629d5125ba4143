// Drives the C++ library for the suite in this folder. README.md says what it reads and writes.

#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/consumer.h"
#include "client/cursor_store.h"
#include "client/gateway_error.h"
#include "client/subscriber.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "tests/clients/adapter_calls.h"
#include "tests/clients/adapter_json.h"
#include "version/version.h"

namespace hookgate::adapter {
namespace {

constexpr absl::Duration kDefaultTimeout = absl::Seconds(20);

// Lines of standard output, each whole. Thread-safe.
class Output {
 public:
  void Write(const std::string& line) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    std::cout << line << "\n" << std::flush;
  }
  // {"id": ID, `name`: `value`}
  void Tell(int64_t id, const std::string& name, const std::string& value) {
    Write(MakeObject({{"id", absl::StrCat(id)}, {name, value}}));
  }

 private:
  absl::Mutex mu_;
};

std::string ContentOf(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

ConnectionSecurity SecurityOf(const Object& connection) {
  ConnectionSecurity security;
  security.tls = connection.Bool("tls");
  if (connection.Has("tls_ca_file")) security.ca = ContentOf(connection.Text("tls_ca_file"));
  if (connection.Has("tls_certificate_file")) {
    security.certificate = ContentOf(connection.Text("tls_certificate_file"));
    security.key = ContentOf(connection.Text("tls_key_file"));
  }
  security.token = connection.Text("token");
  security.token_file = connection.Text("token_file");
  return security;
}

BackoffPolicy BackoffOf(const Object& command) {
  BackoffPolicy backoff;
  command.Milliseconds("backoff_initial_ms", backoff.initial);
  command.Milliseconds("backoff_maximum_ms", backoff.maximum);
  return backoff;
}

// "OUT_OF_RANGE".
std::string CodeName(absl::StatusCode code) { return absl::StatusCodeToString(code); }

// gRPC's error, for people or not.
std::string CallError(const GatewayError& error) {
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const auto& [key, value] : error.metadata) metadata.emplace_back(key, Quote(value));
  return MakeObject({{"kind", Quote("call")},
                     {"code", Quote(CodeName(error.status.code()))},
                     {"reason", Quote(error.reason)},
                     {"retryable", IsPermanent(error) ? "false" : "true"},
                     {"metadata", MakeObject(metadata)},
                     {"message", Quote(std::string(error.status.message()))}});
}

std::string OtherError(const std::string& kind, absl::string_view message) {
  return MakeObject({{"kind", Quote(kind)}, {"message", Quote(message)}});
}

std::string EndWith(const std::string& error) { return MakeObject({{"error", error}}); }

std::string EventOf(const v1::Event& event, const Object& command) {
  const auto* const payload =
      event.GetReflection()->GetOneofFieldDescriptor(event, v1::Event::descriptor()->oneof_decl(0));
  std::vector<std::pair<std::string, std::string>> members = {
      {"sequence", absl::StrCat(event.sequence())},
      {"cursor", Quote(event.cursor())},
      {"source", Quote(event.source())},
      {"webhook_id", Quote(event.webhook_id())},
      {"type", Quote(event.type())},
      {"subject", Quote(event.subject())},
      {"payload", Quote(payload == nullptr ? "" : payload->name())}};
  if (command.Bool("include_raw_body")) {
    members.emplace_back("raw_body", Quote(absl::Base64Escape(event.raw_body())));
  }
  if (command.Bool("json")) members.emplace_back("json", MessageJson(event));
  return MakeObject(members);
}

std::string DeliveryOf(const v1::Delivery& delivery, const Object& command) {
  const std::string reason(
      absl::StripPrefix(v1::DeliveryReason_Name(delivery.reason()), "DELIVERY_REASON_"));
  return MakeObject({{"delivery_id", Quote(delivery.delivery_id())},
                     {"attempt", absl::StrCat(delivery.attempt())},
                     {"reason", Quote(reason)},
                     {"nack_reason", Quote(delivery.nack_reason())},
                     {"event", EventOf(delivery.event(), command)}});
}

// The value of the member "state", with the members behind it.
std::string State(const std::string& state,
                  std::vector<std::pair<std::string, std::string>> more = {}) {
  std::string text = Quote(state);
  for (const auto& [name, value] : more) absl::StrAppend(&text, ",", Quote(name), ":", value);
  return text;
}

// The member "capabilities" of an Opened frame.
template <typename Opened>
std::pair<std::string, std::string> Capabilities(const Opened& opened) {
  std::vector<std::string> names;
  for (const std::string& name : opened.capabilities()) names.push_back(Quote(name));
  return {"capabilities", MakeList(names)};
}

std::string DelayOf(const google::protobuf::Duration& delay) {
  return absl::StrCat(delay.seconds() * 1000 + delay.nanos() / 1'000'000);
}

std::string Disconnected(const absl::Status& why, absl::Duration delay) {
  return State("disconnected", {{"delay_ms", absl::StrCat(absl::ToInt64Milliseconds(delay))},
                                {"error", CallError(GatewayErrorOf(why))}});
}

// Verdicts on their way to the handlers that wait for them. Thread-safe.
class Verdicts {
 public:
  // From here on a verdict under `key` is kept: to be called before the suite can give one.
  void Expect(const std::string& key) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    ++awaited_[key];
  }
  // Waits for the verdict under `key`, which is expected; nullopt once Close was called.
  std::optional<Object> Await(const std::string& key) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (!closed_ && verdicts_.count(key) == 0) changed_.Wait(&mu_);
    if (--awaited_[key] == 0) awaited_.erase(key);
    const auto found = verdicts_.find(key);
    if (found == verdicts_.end()) return std::nullopt;
    Object verdict = std::move(found->second);
    verdicts_.erase(found);
    return verdict;
  }
  void Put(const std::string& key, Object verdict) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (awaited_.count(key) == 0) return;
    verdicts_[key] = std::move(verdict);
    changed_.SignalAll();
  }
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    changed_.SignalAll();
  }

 private:
  absl::Mutex mu_;
  absl::CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, int> awaited_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Object> verdicts_ ABSL_GUARDED_BY(mu_);
};

// A subscribe or consume that runs. The constructor starts it.
class Running {
 public:
  virtual ~Running() = default;
  virtual void Judge(const Object& verdict) = 0;
  virtual void Stop(bool give_back) = 0;
  // Ends it without waiting for handlers.
  virtual void Close() = 0;
};

class Subscription final : public Running {
 public:
  Subscription(Object command, Output& output)
      : command_(std::move(command)),
        id_(command_.Number("id")),
        output_(output),
        subscriber_(MakeOptions()),
        thread_([this] { Run(); }) {}
  ~Subscription() override { thread_.join(); }

  void Judge(const Object& verdict) override {
    verdicts_.Put(absl::StrCat(verdict.Number("sequence")), verdict);
  }
  void Stop(bool) override { subscriber_.Stop(); }
  void Close() override {
    verdicts_.Close();
    subscriber_.Stop();
  }

 private:
  // Tells errors of the file from those of calls, and counts.
  class Cursors final : public CursorStore {
   public:
    Cursors(const std::string& path, std::string& error) : file_(path), error_(error) {}
    absl::StatusOr<std::optional<std::string>> Load() override {
      auto loaded = file_.Load();
      if (!loaded.ok()) error_ = std::string(loaded.status().message());
      return loaded;
    }
    absl::Status Save(absl::string_view cursor) override {
      const absl::Status saved = file_.Save(cursor);
      if (!saved.ok()) error_ = std::string(saved.message());
      return saved;
    }

   private:
    FileCursorStore file_;
    std::string& error_;
  };

  Subscriber::Options MakeOptions() {
    const Object connection = command_.Member("connection");
    Subscriber::Options options;
    options.target = connection.Text("target");
    options.security = SecurityOf(connection);
    const Object filter = command_.Member("filter");
    for (const std::string& text : filter.Texts("sources")) options.filter.add_sources(text);
    for (const std::string& text : filter.Texts("types")) options.filter.add_types(text);
    for (const std::string& text : filter.Texts("subjects")) options.filter.add_subjects(text);
    const Object start = command_.Member("start");
    if (command_.Text("start") == "earliest") options.start = Subscriber::Earliest{};
    if (start.Has("after")) options.start = Subscriber::After{start.Text("after")};
    if (start.Has("since_ms")) {
      options.start = Subscriber::Since{absl::FromUnixMillis(start.Number("since_ms"))};
    }
    command_.Milliseconds("heartbeat_ms", options.heartbeat_interval);
    command_.Milliseconds("open_timeout_ms", options.open_timeout);
    command_.Milliseconds("save_interval_ms", options.save_interval);
    options.client_name = command_.Text("client_name");
    options.include_raw_body = command_.Bool("include_raw_body");
    options.backoff = BackoffOf(command_);
    if (command_.Has("cursor_file")) {
      cursors_ = std::make_unique<Cursors>(command_.Text("cursor_file"), cursor_error_);
      options.cursor_store = cursors_.get();
    }
    const auto with_cursor = [this](const std::string& state) {
      return [this, state](const auto& frame) {
        Tell("state", State(state, {{"cursor", Quote(frame.cursor())}}));
      };
    };
    options.observers = {
        .opened =
            [this](const auto& frame) {
              Tell("state",
                   State("opened", {{"cursor", Quote(frame.cursor())}, Capabilities(frame)}));
            },
        .caught_up = with_cursor("caught_up"),
        .heartbeat = with_cursor("heartbeat"),
        .draining =
            [this](const auto& frame) {
              Tell("state", State("draining", {{"delay_ms", DelayOf(frame.reconnect_delay())}}));
            },
        .disconnected = [this](const absl::Status& why,
                               absl::Duration delay) { Tell("state", Disconnected(why, delay)); }};
    return options;
  }

  void Tell(const std::string& name, const std::string& value) { output_.Tell(id_, name, value); }

  // OK, or what the handler failed with.
  absl::Status Handle(const v1::Event& event) {
    if (command_.Bool("hold")) verdicts_.Expect(absl::StrCat(event.sequence()));
    Tell("event", EventOf(event, command_));
    if (!command_.Bool("hold")) return absl::OkStatus();
    const std::optional<Object> verdict = verdicts_.Await(absl::StrCat(event.sequence()));
    if (verdict.has_value() && verdict->Text("kind") == "ack") return absl::OkStatus();
    handler_error_ = verdict.has_value() ? verdict->Text("reason") : "closed";
    handler_failed_ = true;
    return absl::AbortedError(handler_error_);
  }

  absl::Status RunLoop() {
    for (const v1::Event& event : subscriber_.Events()) {
      const absl::Status handled = Handle(event);
      if (!handled.ok()) return handled;
    }
    return subscriber_.end();
  }

  void Run() {
    const absl::Status end =
        command_.Text("form") == "iterator"
            ? RunLoop()
            : subscriber_.Run([this](const v1::Event& event) { return Handle(event); });
    if (handler_failed_) {
      Tell("end", EndWith(OtherError("handler", handler_error_)));
    } else if (!cursor_error_.empty()) {
      Tell("end", EndWith(OtherError("cursor_store", cursor_error_)));
    } else if (end.ok()) {
      Tell("end", MakeObject({{"ok", "true"}}));
    } else if (GatewayErrorOf(end).FromGateway() || !absl::IsInvalidArgument(end)) {
      Tell("end", EndWith(CallError(GatewayErrorOf(end))));
    } else {
      Tell("end", EndWith(OtherError("usage", end.message())));
    }
  }

  // Constant after construction.
  const Object command_;
  const int64_t id_;
  Output& output_;
  Verdicts verdicts_;

  // Touched by the thread alone.
  std::string cursor_error_;
  std::string handler_error_;
  bool handler_failed_ = false;
  std::unique_ptr<Cursors> cursors_;

  Subscriber subscriber_;
  std::thread thread_;  // Last: it uses the above.
};

class Consumption final : public Running {
 public:
  Consumption(Object command, Output& output)
      : command_(std::move(command)),
        id_(command_.Number("id")),
        output_(output),
        consumer_(MakeOptions()),
        thread_([this] { Run(); }) {}
  ~Consumption() override { thread_.join(); }

  void Judge(const Object& verdict) override {
    verdicts_.Put(verdict.Text("delivery_id"), verdict);
  }
  void Stop(bool give_back) override {
    if (give_back) {
      consumer_.StopAndGiveBack();
    } else {
      consumer_.Stop();
    }
  }
  void Close() override {
    consumer_.StopAndGiveBack();
    verdicts_.Close();
  }

 private:
  Consumer::Options MakeOptions() {
    const Object connection = command_.Member("connection");
    Consumer::Options options;
    options.target = connection.Text("target");
    options.security = SecurityOf(connection);
    options.subscription = command_.Text("subscription");
    options.consumer_name = command_.Text("consumer_name");
    if (command_.Has("concurrency")) {
      options.concurrency = static_cast<int>(command_.Number("concurrency"));
    }
    command_.Milliseconds("longest_lease_ms", options.longest_lease);
    command_.Milliseconds("stop_grace_ms", options.stop_grace);
    command_.Milliseconds("give_back_grace_ms", options.give_back_grace);
    command_.Milliseconds("heartbeat_ms", options.heartbeat_interval);
    command_.Milliseconds("open_timeout_ms", options.open_timeout);
    options.include_raw_body = command_.Bool("include_raw_body");
    options.backoff = BackoffOf(command_);
    options.observers = {
        .opened =
            [this](const auto& frame) { Tell("state", State("opened", {Capabilities(frame)})); },
        .heartbeat = [this](const auto&) { Tell("state", State("heartbeat")); },
        .draining =
            [this](const auto& frame) {
              Tell("state", State("draining", {{"delay_ms", DelayOf(frame.reconnect_delay())}}));
            },
        .disconnected = [this](const absl::Status& why,
                               absl::Duration delay) { Tell("state", Disconnected(why, delay)); }};
    return options;
  }

  void Tell(const std::string& name, const std::string& value) { output_.Tell(id_, name, value); }

  Verdict Handle(const v1::Delivery& delivery, Hold& hold) {
    verdicts_.Expect(delivery.delivery_id());
    Tell("delivery", DeliveryOf(delivery, command_));
    hold.OnLost([this, &delivery] {
      Tell("lost", MakeObject({{"delivery_id", Quote(delivery.delivery_id())}}));
    });
    const std::optional<Object> verdict = verdicts_.Await(delivery.delivery_id());
    if (!verdict.has_value() || verdict->Text("kind") == "give_back") return Verdict::GiveBack();
    const std::string reason = verdict->Text("reason");
    if (verdict->Text("kind") == "dead_letter") return Verdict::DeadLetter(reason);
    if (verdict->Text("kind") == "ack") return Verdict::Ack();
    if (!verdict->Has("delay_ms")) return Verdict::Nack(reason);
    return Verdict::Nack(reason, absl::Milliseconds(verdict->Number("delay_ms")));
  }

  void Run() {
    const absl::Status end = consumer_.Run(
        [this](const v1::Delivery& delivery, Hold& hold) { return Handle(delivery, hold); });
    if (end.ok()) {
      Tell("end", MakeObject({{"ok", "true"}}));
    } else if (GatewayErrorOf(end).FromGateway() || !absl::IsInvalidArgument(end)) {
      Tell("end", EndWith(CallError(GatewayErrorOf(end))));
    } else {
      Tell("end", EndWith(OtherError("usage", end.message())));
    }
  }

  // Constant after construction.
  const Object command_;
  const int64_t id_;
  Output& output_;
  Verdicts verdicts_;

  Consumer consumer_;
  std::thread thread_;  // Last: it uses the above.
};

// What a command's connection cannot be, or nothing.
bool TellUsage(const Connection& connection, int64_t id, Output& output) {
  if (connection.status().ok()) return false;
  output.Tell(id, "end", EndWith(OtherError("usage", connection.status().message())));
  return true;
}

void TellAnswer(const GatewayError& error, const std::string& answer, int64_t id, Output& output) {
  if (error.status.ok()) {
    output.Tell(id, "answer", answer);
  } else {
    output.Tell(id, "end", EndWith(CallError(error)));
  }
}

void Pull(const Object& command, Connection& connection, Output& output) {
  v1::PullRequest request;
  request.set_subscription(command.Text("subscription"));
  request.set_consumer_name(command.Text("consumer_name"));
  request.set_max_events(static_cast<int32_t>(command.Number("max_events")));
  request.set_include_raw_body(command.Bool("include_raw_body"));
  absl::Duration wait;
  command.Milliseconds("wait_ms", wait);
  request.mutable_wait()->set_seconds(absl::ToInt64Seconds(wait));
  request.mutable_wait()->set_nanos(
      static_cast<int32_t>((wait % absl::Seconds(1)) / absl::Nanoseconds(1)));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + wait + kDefaultTimeout));
  v1::PullResponse response;
  const grpc::Status status = connection.subscriptions().Pull(&context, request, &response);
  std::vector<std::string> deliveries;
  for (const v1::Delivery& delivery : response.deliveries()) {
    deliveries.push_back(DeliveryOf(delivery, command));
  }
  TellAnswer(ReadGatewayError(status), MakeObject({{"deliveries", MakeList(deliveries)}}),
             command.Number("id"), output);
}

google::protobuf::Duration FromMilliseconds(int64_t milliseconds) {
  google::protobuf::Duration duration;
  duration.set_seconds(milliseconds / 1000);
  duration.set_nanos(static_cast<int32_t>(milliseconds % 1000) * 1'000'000);
  return duration;
}

void Settle(const Object& command, Connection& connection, Output& output) {
  v1::AcknowledgeRequest request;
  request.set_subscription(command.Text("subscription"));
  const std::vector<Object> verdicts = command.Objects("verdicts");
  for (const Object& verdict : verdicts) {
    const std::string id = verdict.Text("delivery_id");
    const std::string kind = verdict.Text("kind");
    if (kind == "ack") {
      request.mutable_ack()->add_delivery_ids(id);
    } else if (kind == "extend") {
      v1::Extend::Item& item = *request.mutable_extend()->add_items();
      item.set_delivery_id(id);
      if (verdict.Has("deadline_ms")) {
        *item.mutable_deadline() = FromMilliseconds(verdict.Number("deadline_ms"));
      }
    } else {
      v1::Nack::Item& item = *request.mutable_nack()->add_items();
      item.set_delivery_id(id);
      item.set_reason(verdict.Text("reason"));
      if (kind == "dead_letter") {
        item.set_dead_letter(true);
      } else if (verdict.Has("delay_ms")) {
        *item.mutable_delay() = FromMilliseconds(verdict.Number("delay_ms"));
      }
    }
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDefaultTimeout));
  v1::AcknowledgeResponse response;
  const grpc::Status status = connection.subscriptions().Acknowledge(&context, request, &response);
  // The gateway answers acks first, then nacks, then extensions.
  std::map<std::string, std::string> results;
  for (const v1::AckResult& result : response.results()) {
    const std::string name(
        absl::StripPrefix(v1::AckResult::Result_Name(result.result()), "RESULT_"));
    results[result.delivery_id()] =
        MakeObject({{"delivery_id", Quote(result.delivery_id())}, {"result", Quote(name)}});
  }
  std::vector<std::string> in_order;
  for (const Object& verdict : verdicts) in_order.push_back(results[verdict.Text("delivery_id")]);
  TellAnswer(ReadGatewayError(status), MakeObject({{"results", MakeList(in_order)}}),
             command.Number("id"), output);
}

void Call(const Object& command, Connection& connection, Output& output) {
  absl::Duration timeout = kDefaultTimeout;
  command.Milliseconds("timeout_ms", timeout);
  std::string answer;
  const GatewayError error = CallByName(connection, command.Text("method"),
                                        command.Member("request").Json(), timeout, &answer);
  TellAnswer(error, answer, command.Number("id"), output);
}

void CallOnce(const Object& command, Output& output) {
  const Object options = command.Member("connection");
  Connection connection(options.Text("target"), SecurityOf(options));
  if (TellUsage(connection, command.Number("id"), output)) return;
  const std::string what = command.Text("do");
  if (what == "pull") Pull(command, connection, output);
  if (what == "settle") Settle(command, connection, output);
  if (what == "call") Call(command, connection, output);
}

int Main() {
  Output output;
  output.Write(MakeObject(
      {{"ready", MakeObject({{"language", Quote("c++")}, {"version", Quote(Version())}})}}));
  std::map<int64_t, std::unique_ptr<Running>> running;
  std::vector<std::thread> calls;
  std::string line;
  while (std::getline(std::cin, line)) {
    Object command;
    if (!command.Parse(line)) {
      std::cerr << "not a JSON object: " << line << "\n";
      continue;
    }
    const std::string what = command.Text("do");
    const auto of = running.find(command.Number("of"));
    if (what == "subscribe") {
      running[command.Number("id")] = std::make_unique<Subscription>(command, output);
    } else if (what == "consume") {
      running[command.Number("id")] = std::make_unique<Consumption>(command, output);
    } else if (what == "verdict") {
      if (of != running.end()) of->second->Judge(command);
    } else if (what == "stop") {
      if (of != running.end()) of->second->Stop(command.Text("mode") == "give_back");
    } else {
      calls.emplace_back([command, &output] { CallOnce(command, output); });
    }
  }
  for (const auto& [id, one] : running) one->Close();
  running.clear();
  for (std::thread& call : calls) call.join();
  return 0;
}

}  // namespace
}  // namespace hookgate::adapter

int main() { return hookgate::adapter::Main(); }
