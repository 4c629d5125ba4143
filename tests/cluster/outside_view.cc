#include "tests/cluster/outside_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hookgate {

void OutsideView::Note(const std::string& who, const std::string& webhook_id, int64_t sequence) {
  newest_ = std::max(newest_, sequence);
  const auto [at, is_new] = sequence_of_.emplace(webhook_id, sequence);
  if (!is_new && at->second != sequence) {
    broken_.push_back(
        absl::StrCat(who, ": ", webhook_id, " is ", sequence, ", and was ", at->second));
  }
  const auto [id, is_new_id] = id_of_.emplace(sequence, webhook_id);
  if (!is_new_id && id->second != webhook_id) {
    broken_.push_back(
        absl::StrCat(who, ": ", sequence, " is ", webhook_id, ", and was ", id->second));
  }
}

void OutsideView::Answered(const std::string& webhook_id, int64_t sequence) {
  answered_.emplace(webhook_id, sequence);
  Note("a sender", webhook_id, sequence);
}

void OutsideView::Got(const std::string& subscriber, int64_t sequence,
                      const std::string& webhook_id, size_t hash) {
  int64_t& next = next_.try_emplace(subscriber, 1).first->second;
  if (sequence != next) {
    broken_.push_back(absl::StrCat(subscriber, " got ", sequence, " where ", next, " was to come"));
  }
  next = sequence + 1;
  got_[subscriber].emplace(webhook_id, sequence);
  Note(subscriber, webhook_id, sequence);
  if (hash == 0) return;
  const auto [known, is_new] = hash_of_.emplace(sequence, hash);
  if (!is_new && known->second != hash) {
    broken_.push_back(
        absl::StrCat(subscriber, " got ", sequence, " with other bytes than somebody before"));
  }
}

void OutsideView::Forget(const std::string& subscriber) {
  next_.erase(subscriber);
  got_.erase(subscriber);
}

void OutsideView::Delivered(int64_t sequence, const std::string& webhook_id, int attempt) {
  Note("a consumer", webhook_id, sequence);
  ++deliveries_;
  Delivery& delivery = delivered_[sequence];
  delivery.ack_sent = false;
  if (delivery.acked) {
    broken_.push_back(
        absl::StrCat(sequence, " was delivered after its ack was answered, attempt ", attempt));
  }
  if (attempt < 1 + delivery.nacks_answered || attempt > 1 + delivery.nacks_sent) {
    broken_.push_back(absl::StrCat(sequence, " is attempt ", attempt, " after ",
                                   delivery.nacks_sent, " nacks, ", delivery.nacks_answered,
                                   " of them answered"));
  }
}

void OutsideView::NackSent(int64_t sequence) { ++delivered_[sequence].nacks_sent; }

void OutsideView::Nacked(int64_t sequence) { ++delivered_[sequence].nacks_answered; }

void OutsideView::AckSent(int64_t sequence) { delivered_[sequence].ack_sent = true; }

void OutsideView::Acked(int64_t sequence) { delivered_[sequence].acked = true; }

int64_t OutsideView::ReachedBy(const std::string& subscriber) const {
  const auto found = next_.find(subscriber);
  return found == next_.end() ? 0 : found->second - 1;
}

std::vector<int64_t> OutsideView::Undelivered() const {
  std::vector<int64_t> undelivered;
  for (int64_t sequence = 1; sequence <= newest_; ++sequence) {
    const auto found = delivered_.find(sequence);
    if (found == delivered_.end() || !(found->second.acked || found->second.ack_sent)) {
      undelivered.push_back(sequence);
    }
  }
  return undelivered;
}

std::vector<std::string> OutsideView::MissingFrom(const std::string& subscriber) const {
  static const std::map<std::string, int64_t> kNothing;
  const auto found = got_.find(subscriber);
  const auto& got = found == got_.end() ? kNothing : found->second;
  std::vector<std::string> missing;
  for (const auto& [webhook_id, sequence] : answered_) {
    if (got.find(webhook_id) == got.end()) {
      missing.push_back(absl::StrCat(webhook_id, " (", sequence, ")"));
    }
  }
  return missing;
}

}  // namespace hookgate
