// What the outside of a gateway knows: which webhooks were answered, under which sequence, and what
// each reader got. Whatever does not fit together is a finding.
#ifndef HOOKGATE_TESTS_SOAK_LEDGER_H_
#define HOOKGATE_TESTS_SOAK_LEDGER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace hookgate {

// Thread-safe. Memory: 24 bytes a webhook.
class Ledger {
 public:
  struct Counts {
    int64_t answered = 0;      // webhooks that were answered 200
    int64_t repeats = 0;       // 200 for one that had been answered before
    int64_t unavailable = 0;   // 503, each of which is sent again
    int64_t delivered = 0;     // events, over all readers
    int64_t acked = 0;         // answered acks of the durable subscription
    int64_t duplicates = 0;    // a webhook under two sequences, or one that readers got twice
    int64_t out_of_order = 0;  // a hole or a step back in what one reader got
    int64_t came_back = 0;     // deliveries after their ack was answered
    int64_t lost = 0;          // answered 200, and not what readers got; known after Settle
    int64_t others = 0;        // whatever else went wrong
    int64_t findings() const { return duplicates + out_of_order + came_back + lost + others; }
  };

  // What one reader got so far. Its reader's alone.
  struct Position {
    std::string reader;    // names it in findings
    int64_t sequence = 0;  // of the newest event
    std::string cursor;    // after it; "": at the beginning
  };

  // A webhook that is about to be sent; numbers count from 1.
  int64_t NewWebhook() ABSL_LOCKS_EXCLUDED(mu_);
  // The webhook-id under which it is sent, and back; 0 if it is none of these.
  static std::string WebhookId(int64_t webhook);
  static int64_t WebhookOf(absl::string_view webhook_id);

  void NoteAnswer(int64_t webhook, int64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteUnavailable() ABSL_LOCKS_EXCLUDED(mu_);
  // An event of a stream that must have no hole; moves `position` on.
  void NoteEvent(int64_t sequence, absl::string_view webhook_id, const std::string& cursor,
                 Position& position) ABSL_LOCKS_EXCLUDED(mu_);
  // A delivery of the durable subscription, and an answered ack of one.
  void NoteDelivery(int64_t sequence, absl::string_view webhook_id) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteAck(int64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);
  // Something else that must not be.
  void NoteFinding(absl::string_view what) ABSL_LOCKS_EXCLUDED(mu_);

  // All readers have read to the end: counts what was answered and is not there, and what the
  // durable subscription was never delivered.
  void Settle() ABSL_LOCKS_EXCLUDED(mu_);

  // Whether so many webhooks are answered, after at most `patience`.
  bool WaitForAnswers(int64_t count, absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);

  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  // The highest sequence that an answer named.
  int64_t highest_answered() const ABSL_LOCKS_EXCLUDED(mu_);
  // The first findings, in words.
  std::vector<std::string> examples() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // By number or by sequence; 0 where nothing is known.
  using Table = std::vector<int64_t>;
  static int64_t& At(Table& table, int64_t index);

  void Find(int64_t& count, std::string what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // `sequence` holds `webhook`, somebody says.
  void CheckStored(int64_t sequence, int64_t webhook) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  Counts counts_ ABSL_GUARDED_BY(mu_);
  int64_t webhooks_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t highest_answered_ ABSL_GUARDED_BY(mu_) = 0;
  Table answered_ ABSL_GUARDED_BY(mu_);    // webhook to the sequence in its answer
  Table stored_ ABSL_GUARDED_BY(mu_);      // webhook to the sequence under which readers got it
  Table webhook_of_ ABSL_GUARDED_BY(mu_);  // sequence to the webhook that readers got
  // Of the durable subscription, by sequence.
  std::vector<bool> delivered_ ABSL_GUARDED_BY(mu_);
  std::vector<bool> acked_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> examples_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_LEDGER_H_
