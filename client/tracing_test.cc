#include "client/tracing.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

// Notes each begin and end as a line.
class NotingTracer : public HandlingTracer {
 public:
  explicit NotingTracer(bool traces = true) : traces_(traces) {}

  std::unique_ptr<HandlingSpan> Begin(const Handling& handling) override {
    if (!traces_) return nullptr;
    lines.push_back(absl::StrCat(SpanName(handling), " ", handling.event.trace_parent(), " ",
                                 handling.subscription));
    attributes = SpanAttributes(handling);
    return std::make_unique<Span>(*this);
  }

  std::vector<std::string> lines;
  std::vector<std::pair<std::string, std::variant<std::string, int64_t>>> attributes;

 private:
  class Span : public HandlingSpan {
   public:
    explicit Span(NotingTracer& tracer) : tracer_(tracer) {}
    void End(const HandlingEnd& end) override {
      tracer_.lines.push_back(
          absl::StrCat(OutcomeName(end.outcome), end.failed() ? " failed " : " ", end.reason));
    }

   private:
    NotingTracer& tracer_;
  };

  const bool traces_;
};

v1::Event AnEvent() {
  v1::Event event;
  event.set_type("batch.failed");
  event.set_source("openai");
  event.set_webhook_id("w1");
  event.set_sequence(7);
  event.set_trace_parent("00-1-2-01");
  return event;
}

TEST(TracingTest, ASubscribersHandlerIsSurrounded) {
  NotingTracer tracer;
  absl::Status result;
  const Subscriber::Handler handler =
      Traced(tracer, [&result](const v1::Event&) { return result; });
  EXPECT_TRUE(handler(AnEvent()).ok());
  result = absl::NotFoundError("no such batch");
  EXPECT_EQ(handler(AnEvent()), result);
  EXPECT_THAT(tracer.lines,
              ElementsAre("process batch.failed 00-1-2-01 ", "ack ",
                          "process batch.failed 00-1-2-01 ", "nack failed no such batch"));
  EXPECT_THAT(tracer.attributes, Not(Contains(Key("hookgate.delivery.attempt"))));
}

TEST(TracingTest, AConsumersHandlerTellsItsVerdict) {
  NotingTracer tracer;
  v1::Delivery delivery;
  *delivery.mutable_event() = AnEvent();
  delivery.set_attempt(3);
  Hold hold;
  for (const Verdict& verdict :
       {Verdict::Ack(), Verdict::Nack("busy"), Verdict::DeadLetter("never"), Verdict::GiveBack()}) {
    tracer.lines.clear();
    const auto handler =
        Traced(tracer, "billing", Consumer::Handler([&](const v1::Delivery&) { return verdict; }));
    EXPECT_EQ(handler(delivery, hold).kind, verdict.kind);
    const char* const ends[] = {"ack ", "nack failed busy", "dead_letter failed never",
                                "give_back "};
    EXPECT_THAT(tracer.lines, ElementsAre("process batch.failed 00-1-2-01 billing",
                                          ends[static_cast<int>(verdict.kind)]));
  }
  using Value = std::variant<std::string, int64_t>;
  EXPECT_THAT(tracer.attributes, Contains(Pair("hookgate.delivery.attempt", Value(int64_t{3}))));
  EXPECT_THAT(tracer.attributes, Contains(Pair("messaging.message.id", Value("w1"))));
  EXPECT_THAT(tracer.attributes,
              Contains(Pair("messaging.destination.subscription.name", Value("billing"))));
}

TEST(TracingTest, ATracerMayLeaveAnEventOut) {
  NotingTracer tracer(/*traces=*/false);
  const auto handler = Traced(tracer, [](const v1::Event&) { return absl::OkStatus(); });
  EXPECT_TRUE(handler(AnEvent()).ok());
  EXPECT_THAT(tracer.lines, ElementsAre());
}

}  // namespace
}  // namespace hookgate
