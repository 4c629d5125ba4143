// Shows operator events how the gateway's subscriptions and sources are.
#ifndef HOOKGATE_SERVER_GATEWAY_GATEWAY_PROBE_H_
#define HOOKGATE_SERVER_GATEWAY_GATEWAY_PROBE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/event_log.h"
#include "server/ingest/source_registry.h"
#include "server/operator_events/operator_events.h"

namespace hookgate {

// Not thread-safe, as OperatorProbe says.
class GatewayProbe final : public OperatorProbe {
 public:
  // Of one that nobody consumes, nobody knows whether an event waits: its filter has to be asked. A
  // look reads so many pages for that, and goes on with the next look.
  static constexpr size_t kMaxPages = 16;
  static constexpr int64_t kEventsPerPage = 4096;

  // All of it outlives the probe.
  GatewayProbe(SubscriptionRegistry& subscriptions, const SourceRegistry& sources, EventLog& log)
      : subscriptions_(subscriptions), sources_(sources), log_(log) {}

  std::vector<SubscriptionVitals> Subscriptions(bool find_waiting) override;
  std::vector<SourceVitals> Sources() override;

 private:
  // What is remembered of one from look to look.
  struct Memory {
    int64_t dead_lettered = 0;
    SubscriptionVitals::DeadLetter last_dead;
    // The search for an event that waits beyond the position, by these settings.
    std::shared_ptr<const SubscriptionSettings> settings;
    Sequence position = 0;
    Sequence scanned_to = 0;
    absl::optional<Sequence> found;
    int64_t last_scan = 0;  // the number of the page
    // The oldest that is taken and not settled, and whether the gateway itself has made it: then it
    // is what waits beyond the position that counts.
    absl::optional<Sequence> front;
    bool waits_for_own = false;
  };

  void CountDead(const SubscriptionPulse& pulse, Memory& memory);
  bool IsOperatorEvent(Sequence sequence);
  void Search(std::vector<std::pair<SubscriptionPulse, Memory*>>& pulses);
  static bool LooksBeyondPosition(const SubscriptionPulse& pulse, const Memory& memory);
  // Whether there is more to look at.
  bool Prepare(const SubscriptionPulse& pulse, Sequence head, Memory& memory);
  void SearchPage(const SubscriptionPulse& pulse, Memory& memory);

  SubscriptionRegistry& subscriptions_;
  const SourceRegistry& sources_;
  EventLog& log_;
  std::map<int64_t, Memory> memories_;
  int64_t pages_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_GATEWAY_PROBE_H_
