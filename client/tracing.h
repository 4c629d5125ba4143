// A hook around each event that a handler works on, for spans of a tracing system. This library
// depends on none: an application that has one implements HandlingTracer over it.
//
//   SpanTracer tracer;  // A hookgate::HandlingTracer
//   consumer.Run(hookgate::Traced(tracer, "billing", [](const hookgate::v1::Delivery& delivery) {
//     return Charge(delivery.event()) ? hookgate::Verdict::Ack() : hookgate::Verdict::Nack("no");
//   }));
//
// SpanName and SpanAttributes are those of the spans that the libraries in other languages make.
#ifndef HOOKGATE_CLIENT_TRACING_H_
#define HOOKGATE_CLIENT_TRACING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/consumer.h"
#include "client/subscriber.h"

namespace hookgate {

// An event that a handler begins to work on. References hold until the handler has returned.
struct Handling {
  // trace_parent is the parent of the span; sender_trace_parent and sender_trace_state are to be
  // linked. Each is W3C Trace Context's text, or empty.
  const v1::Event& event;
  // Of a Consumer: what was delivered, and of which durable subscription. Null with a Subscriber.
  const v1::Delivery* delivery = nullptr;
  std::string subscription = {};
};

// How a handler has ended.
struct HandlingEnd {
  enum class Outcome { kAck, kNack, kDeadLetter, kGiveBack };

  // A Subscriber's handler acks by OK, and nacks by an error. kNack and kDeadLetter are failures;
  // kGiveBack is none.
  Outcome outcome = Outcome::kAck;
  std::string reason;  // Why it failed; empty otherwise.
  bool failed() const { return outcome == Outcome::kNack || outcome == Outcome::kDeadLetter; }
};

// "ack", "nack", "dead_letter" or "give_back".
inline const char* OutcomeName(HandlingEnd::Outcome outcome) {
  switch (outcome) {
    case HandlingEnd::Outcome::kAck:
      return "ack";
    case HandlingEnd::Outcome::kNack:
      return "nack";
    case HandlingEnd::Outcome::kDeadLetter:
      return "dead_letter";
    case HandlingEnd::Outcome::kGiveBack:
      return "give_back";
  }
  return "";
}

// Lives while one handler runs, and is made, ended and destroyed on its thread: it may set what is
// current there. Destroyed without End if the handler leaves by an exception.
class HandlingSpan {
 public:
  virtual ~HandlingSpan() = default;
  virtual void End(const HandlingEnd& end) = 0;
};

// Called on each handler's thread: must be thread-safe if there are several.
class HandlingTracer {
 public:
  virtual ~HandlingTracer() = default;
  // Null: this event is not traced.
  virtual std::unique_ptr<HandlingSpan> Begin(const Handling& handling) = 0;
};

// The name of the span of `handling`, whose kind is CONSUMER: "process " and the event's type.
inline std::string SpanName(const Handling& handling) { return "process " + handling.event.type(); }

// Its attributes, by OpenTelemetry's names for messaging.
inline std::vector<std::pair<std::string, std::variant<std::string, int64_t>>> SpanAttributes(
    const Handling& handling) {
  std::vector<std::pair<std::string, std::variant<std::string, int64_t>>> attributes = {
      {"messaging.system", "hookgate"},
      {"messaging.operation.type", "process"},
      {"messaging.destination.name", handling.event.source()},
      {"messaging.message.id", handling.event.webhook_id()},
      {"hookgate.event.type", handling.event.type()},
      {"hookgate.event.sequence", int64_t{handling.event.sequence()}},
  };
  if (!handling.subscription.empty()) {
    attributes.emplace_back("messaging.destination.subscription.name", handling.subscription);
  }
  if (handling.delivery != nullptr) {
    attributes.emplace_back("hookgate.delivery.attempt", int64_t{handling.delivery->attempt()});
  }
  return attributes;
}

// `handler` with a span of `tracer` around each call, for Subscriber::Run. `tracer` outlives it.
inline Subscriber::Handler Traced(HandlingTracer& tracer, Subscriber::Handler handler) {
  return [&tracer, handler = std::move(handler)](const v1::Event& event) {
    const std::unique_ptr<HandlingSpan> span = tracer.Begin({.event = event});
    const absl::Status status = handler(event);
    HandlingEnd end;
    if (!status.ok()) end = {HandlingEnd::Outcome::kNack, std::string(status.message())};
    if (span != nullptr) span->End(end);
    return status;
  };
}

// The same for Consumer::Run. `subscription` is what the consumer works off.
inline Consumer::HoldingHandler Traced(HandlingTracer& tracer, std::string subscription,
                                       Consumer::HoldingHandler handler) {
  return [&tracer, subscription = std::move(subscription), handler = std::move(handler)](
             const v1::Delivery& delivery, Hold& hold) {
    const std::unique_ptr<HandlingSpan> span = tracer.Begin(
        {.event = delivery.event(), .delivery = &delivery, .subscription = subscription});
    const Verdict verdict = handler(delivery, hold);
    HandlingEnd end;
    switch (verdict.kind) {
      case Verdict::Kind::kAck:
        break;
      case Verdict::Kind::kNack:
        end = {HandlingEnd::Outcome::kNack, verdict.reason};
        break;
      case Verdict::Kind::kDeadLetter:
        end = {HandlingEnd::Outcome::kDeadLetter, verdict.reason};
        break;
      case Verdict::Kind::kGiveBack:
        end = {HandlingEnd::Outcome::kGiveBack, ""};
        break;
    }
    if (span != nullptr) span->End(end);
    return verdict;
  };
}
inline Consumer::HoldingHandler Traced(HandlingTracer& tracer, std::string subscription,
                                       Consumer::Handler handler) {
  return Traced(
      tracer, std::move(subscription),
      Consumer::HoldingHandler([handler = std::move(handler)](const v1::Delivery& delivery, Hold&) {
        return handler(delivery);
      }));
}

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_TRACING_H_
