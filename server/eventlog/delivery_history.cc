#include "server/eventlog/delivery_history.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {
namespace {

void AppendVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendSigned(int64_t value, std::string& out) {
  AppendVarint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63), out);
}

void AppendText(absl::string_view text, std::string& out) {
  AppendVarint(text.size(), out);
  out.append(text.data(), text.size());
}

// Takes values off the front of `bytes`; once one is not there, all that follow are 0 or empty.
class Decoder {
 public:
  explicit Decoder(absl::string_view bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty() || failed_; }
  bool failed() const { return failed_; }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    failed_ = true;
    bytes_ = {};
    return 0;
  }

  int64_t Signed() {
    const uint64_t value = Varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }

  std::string Text() {
    const uint64_t size = Varint();
    if (size > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return "";
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }

 private:
  absl::string_view bytes_;
  bool failed_ = false;
};

void KeepWithinBounds(std::vector<DeliveryAttempt>& attempts) {
  if (attempts.size() > DeliveryHistory::kMaxAttempts) attempts.erase(attempts.begin());
  size_t bytes = 0;
  for (auto at = attempts.rbegin(); at != attempts.rend(); ++at) {
    bytes += at->reason.size();
    if (bytes > DeliveryHistory::kMaxReasonBytes) at->reason.clear();
  }
}

// Of one that was acked at its first attempt, the attempt is not stored: the other fields say all
// of it, until there is more.
void AddAttemptThatWasLeftOut(DeliveryHistory& history) {
  if (history.outcome != DeliveryOutcome::kAcked || history.count != 1) return;
  if (!history.attempts.empty()) return;
  history.attempts.push_back({.number = history.number,
                              .consumer = history.consumer,
                              .begin = history.first_delivery_time,
                              .end = history.time});
}

}  // namespace

void AddEntry(const HistoryEntry& entry, DeliveryHistory& history) {
  AddAttemptThatWasLeftOut(history);
  history.time = entry.time;
  if (entry.attempt.has_value()) {
    const DeliveryAttempt& attempt = *entry.attempt;
    if (history.count == 0) history.first_delivery_time = attempt.begin;
    history.last_delivery_time = attempt.begin;
    ++history.count;
    // One that ended because an earlier one was acked is not the one that counts.
    if (attempt.how != DeliveryEnd::kSettled) {
      history.consumer = attempt.consumer;
      history.number = attempt.number;
    }
    history.attempts.push_back(attempt);
    KeepWithinBounds(history.attempts);
  }
  if (entry.late_ack.has_value()) {
    const auto acked = std::find_if(
        history.attempts.begin(), history.attempts.end(),
        [&](const DeliveryAttempt& attempt) { return attempt.delivery == *entry.late_ack; });
    const bool known = acked != history.attempts.end();
    history.consumer = known ? acked->consumer : "";
    history.number = known ? acked->number : 0;
  }
  if (entry.outcome.has_value()) history.outcome = *entry.outcome;
}

std::string EncodeAttempts(const std::vector<DeliveryAttempt>& attempts) {
  std::string bytes;
  for (const DeliveryAttempt& attempt : attempts) {
    const int64_t begin = absl::ToUnixMicros(attempt.begin);
    AppendSigned(attempt.number, bytes);
    AppendSigned(attempt.delivery, bytes);
    AppendSigned(begin, bytes);
    AppendSigned(absl::ToUnixMicros(attempt.end) - begin, bytes);
    AppendVarint(static_cast<uint64_t>(attempt.how), bytes);
    AppendText(attempt.consumer, bytes);
    AppendText(attempt.reason, bytes);
  }
  return bytes;
}

absl::StatusOr<std::vector<DeliveryAttempt>> DecodeAttempts(absl::string_view bytes) {
  std::vector<DeliveryAttempt> attempts;
  Decoder decoder(bytes);
  while (!decoder.done()) {
    DeliveryAttempt attempt;
    attempt.number = static_cast<int>(decoder.Signed());
    attempt.delivery = decoder.Signed();
    const int64_t begin = decoder.Signed();
    attempt.begin = absl::FromUnixMicros(begin);
    attempt.end = attempt.begin + absl::Microseconds(decoder.Signed());
    const uint64_t how = decoder.Varint();
    attempt.how = static_cast<DeliveryEnd>(how);
    attempt.consumer = decoder.Text();
    attempt.reason = decoder.Text();
    if (decoder.failed() || how < 1 || how > static_cast<uint64_t>(DeliveryEnd::kSettled)) {
      return absl::DataLossError("the attempts of a delivery cannot be read");
    }
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

}  // namespace hookgate
