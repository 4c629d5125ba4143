#include "tests/soak/ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hookgate {
namespace {

constexpr size_t kMaxExamples = 20;
constexpr absl::string_view kIdPrefix = "wh_soak_";

bool IsSet(const std::vector<bool>& bits, int64_t index) {
  return static_cast<size_t>(index) < bits.size() && bits[static_cast<size_t>(index)];
}

void Set(std::vector<bool>& bits, int64_t index) {
  const auto at = static_cast<size_t>(index);
  if (at >= bits.size()) bits.resize(at + 1);
  bits[at] = true;
}

}  // namespace

int64_t Ledger::NewWebhook() {
  absl::MutexLock lock(&mu_);
  return ++webhooks_;
}

std::string Ledger::WebhookId(int64_t webhook) { return absl::StrCat(kIdPrefix, webhook); }

int64_t Ledger::WebhookOf(absl::string_view webhook_id) {
  int64_t webhook = 0;
  return absl::ConsumePrefix(&webhook_id, kIdPrefix) && absl::SimpleAtoi(webhook_id, &webhook)
             ? webhook
             : 0;
}

void Ledger::NoteAnswer(int64_t webhook, int64_t sequence) {
  absl::MutexLock lock(&mu_);
  if (sequence <= 0) {
    Find(counts_.others, absl::StrCat(WebhookId(webhook), " was answered 200 without a sequence"));
    return;
  }
  int64_t& answered = At(answered_, webhook);
  if (answered == 0) {
    ++counts_.answered;
    answered = sequence;
    highest_answered_ = std::max(highest_answered_, sequence);
    return;
  }
  ++counts_.repeats;
  if (answered != sequence) {
    Find(counts_.duplicates, absl::StrCat(WebhookId(webhook), " was answered sequence ", answered,
                                          ", and then ", sequence));
  }
}

void Ledger::NoteUnavailable() {
  absl::MutexLock lock(&mu_);
  ++counts_.unavailable;
}

void Ledger::NoteEvent(int64_t sequence, absl::string_view webhook_id, const std::string& cursor,
                       Position& position) {
  absl::MutexLock lock(&mu_);
  ++counts_.delivered;
  if (sequence != position.sequence + 1) {
    Find(counts_.out_of_order,
         absl::StrCat(position.reader, " got sequence ", sequence, " after ", position.sequence));
  }
  position.sequence = sequence;
  position.cursor = cursor;
  CheckStored(sequence, WebhookOf(webhook_id));
}

void Ledger::NoteDelivery(int64_t sequence, absl::string_view webhook_id) {
  absl::MutexLock lock(&mu_);
  ++counts_.delivered;
  if (IsSet(acked_, sequence)) {
    Find(counts_.came_back,
         absl::StrCat("sequence ", sequence, " was delivered after its ack was answered"));
  }
  Set(delivered_, sequence);
  CheckStored(sequence, WebhookOf(webhook_id));
}

void Ledger::NoteAck(int64_t sequence) {
  absl::MutexLock lock(&mu_);
  ++counts_.acked;
  Set(acked_, sequence);
}

void Ledger::NoteFinding(absl::string_view what) {
  absl::MutexLock lock(&mu_);
  Find(counts_.others, std::string(what));
}

void Ledger::Settle() {
  absl::MutexLock lock(&mu_);
  for (int64_t webhook = 1; webhook <= webhooks_; ++webhook) {
    const int64_t answered = At(answered_, webhook);
    if (answered != 0 && At(stored_, webhook) != answered) {
      Find(counts_.lost, absl::StrCat(WebhookId(webhook), " was answered sequence ", answered,
                                      ", and no reader got it there"));
    }
  }
  const auto sequences = static_cast<int64_t>(webhook_of_.size());
  for (int64_t sequence = 1; sequence < sequences; ++sequence) {
    if (At(webhook_of_, sequence) != 0 && !IsSet(delivered_, sequence)) {
      Find(counts_.lost,
           absl::StrCat("the durable subscription was not delivered sequence ", sequence));
    }
  }
}

bool Ledger::WaitForAnswers(int64_t count, absl::Duration patience) {
  const auto enough = [this, count]()
                          ABSL_SHARED_LOCKS_REQUIRED(mu_) { return counts_.answered >= count; };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&enough), patience);
}

Ledger::Counts Ledger::counts() const {
  absl::MutexLock lock(&mu_);
  return counts_;
}

int64_t Ledger::highest_answered() const {
  absl::MutexLock lock(&mu_);
  return highest_answered_;
}

std::vector<std::string> Ledger::examples() const {
  absl::MutexLock lock(&mu_);
  return examples_;
}

int64_t& Ledger::At(Table& table, int64_t index) {
  const auto at = static_cast<size_t>(index);
  if (at >= table.size()) table.resize(at + 1);
  return table[at];
}

void Ledger::Find(int64_t& count, std::string what) {
  ++count;
  if (examples_.size() < kMaxExamples) examples_.push_back(std::move(what));
}

void Ledger::CheckStored(int64_t sequence, int64_t webhook) {
  if (webhook < 1 || webhook > webhooks_) {
    Find(counts_.others, absl::StrCat("sequence ", sequence, " holds what nobody sent"));
    return;
  }
  int64_t& held = At(webhook_of_, sequence);
  int64_t& stored = At(stored_, webhook);
  if (held == 0 && stored == 0) {
    held = webhook;
    stored = sequence;
  } else if (held != webhook || stored != sequence) {
    Find(counts_.duplicates,
         absl::StrCat(WebhookId(webhook), " is under sequence ", sequence, ", and was under ",
                      stored, "; there was ", WebhookId(held)));
  }
}

}  // namespace hookgate
