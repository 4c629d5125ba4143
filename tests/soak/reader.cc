#include "tests/soak/reader.h"

#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

// Longer than a life: a stream ends when the gateway does, or when its reader wants it.
constexpr std::chrono::hours kPatience(1000);
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr int64_t kMostBeforeChurn = 2000;

}  // namespace

Reader::Reader(Ledger& ledger, std::string name, bool churns, uint64_t seed)
    : ledger_(ledger), churns_(churns), random_(seed), position_{.reader = std::move(name)} {}

void Reader::Run(const Life& life) {
  while (!life.ending.HasBeenNotified()) {
    ReadStream(life, churns_ ? std::uniform_int_distribution<int64_t>(1, kMostBeforeChurn)(random_)
                             : kForever);
  }
}

void Reader::ReadStream(const Life& life, int64_t at_most) {
  EventStream stream(life.grpc, StartOfStream(), kPatience);
  for (int64_t events = 0; events < at_most;) {
    const v1::SubscribeResponse frame = stream.Next();
    if (frame.frame_case() == v1::SubscribeResponse::FRAME_NOT_SET) {
      const grpc::Status status = stream.Finish();
      if (!life.ending.HasBeenNotified()) {
        ledger_.NoteFinding(absl::StrCat(
            name(), "'s stream ended while the gateway was up: ", status.error_message()));
      }
      return;
    }
    events += NoteEvents(frame);
  }
  stream.Cancel();
  stream.Finish();
}

void Reader::ReadToTheEnd(const Life& life) {
  EventStream stream(life.grpc, StartOfStream(), kPatience);
  while (true) {
    const v1::SubscribeResponse frame = stream.Next();
    if (frame.has_caught_up()) break;
    if (frame.frame_case() == v1::SubscribeResponse::FRAME_NOT_SET) {
      ledger_.NoteFinding(absl::StrCat(
          name(), "'s stream ended before it had caught up: ", stream.Finish().error_message()));
      return;
    }
    NoteEvents(frame);
  }
  stream.Cancel();
  stream.Finish();
}

bool Reader::WaitFor(int64_t sequence, absl::Duration patience) {
  const auto reached = [this, sequence]()
                           ABSL_SHARED_LOCKS_REQUIRED(mu_) { return reached_ >= sequence; };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&reached), patience);
}

std::string Reader::StartOfStream() const {
  return position_.cursor.empty() ? "start_position: START_POSITION_EARLIEST"
                                  : absl::StrCat("after_cursor: '", position_.cursor, "'");
}

int64_t Reader::NoteEvents(const v1::SubscribeResponse& frame) {
  for (const v1::Event& event : frame.event_batch().events()) {
    ledger_.NoteEvent(event.sequence(), event.webhook_id(), event.cursor(), position_);
  }
  absl::MutexLock lock(&mu_);
  reached_ = position_.sequence;
  return frame.event_batch().events_size();
}

void Stall(const Life& life) {
  EventStream stream(life.grpc, "start_position: START_POSITION_EARLIEST", kPatience);
  stream.Next();  // It is open.
  life.over.WaitForNotification();
  stream.Cancel();
}

}  // namespace hookgate
