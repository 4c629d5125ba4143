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
                      const std::string& webhook_id) {
  int64_t& next = next_.try_emplace(subscriber, 1).first->second;
  if (sequence != next) {
    broken_.push_back(absl::StrCat(subscriber, " got ", sequence, " where ", next, " was to come"));
  }
  next = sequence + 1;
  got_[subscriber].emplace(webhook_id, sequence);
  Note(subscriber, webhook_id, sequence);
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
