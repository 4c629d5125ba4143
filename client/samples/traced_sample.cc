// Prints a line for each event that a gateway holds, as spans of a tracing library would have it:
// the parent, the attributes, and how the handler has ended. A real HandlingTracer hands the same
// to its library.
//
//   traced_sample [HOST:PORT]

#include <iostream>
#include <memory>
#include <string>
#include <variant>

#include "client/subscriber.h"
#include "client/tracing.h"

namespace {

class PrintingTracer final : public hookgate::HandlingTracer {
 public:
  std::unique_ptr<hookgate::HandlingSpan> Begin(const hookgate::Handling& handling) override {
    std::cout << hookgate::SpanName(handling) << " parent=" << handling.event.trace_parent();
    for (const auto& [name, value] : hookgate::SpanAttributes(handling)) {
      std::visit([&name = name](const auto& text) { std::cout << " " << name << "=" << text; },
                 value);
    }
    return std::make_unique<Span>();
  }

 private:
  class Span final : public hookgate::HandlingSpan {
   public:
    void End(const hookgate::HandlingEnd& end) override {
      std::cout << " outcome=" << hookgate::OutcomeName(end.outcome);
      if (end.failed()) std::cout << " error: " << end.reason;
      std::cout << std::endl;
    }
  };
};

}  // namespace

int main(int argc, char** argv) {
  PrintingTracer tracer;
  hookgate::Subscriber subscriber({.target = argc > 1 ? argv[1] : "127.0.0.1:50051",
                                   .start = hookgate::Subscriber::Earliest{}});
  const absl::Status end = subscriber.Run(
      hookgate::Traced(tracer, [](const hookgate::v1::Event&) { return absl::OkStatus(); }));
  std::cerr << end << "\n";
  return 1;
}
