#include "server/delivery/selection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr size_t kAFew = 64;

}  // namespace

Selection::Selection(EventFilter filter, bool include_raw_body)
    : filter_(std::move(filter)),
      include_raw_body_(include_raw_body),
      key_(absl::StrCat(include_raw_body ? "+" : "", filter_.key())) {}

SelectionPtr SelectionPool::Share(EventFilter filter, bool include_raw_body) {
  auto selection = std::make_shared<const Selection>(std::move(filter), include_raw_body);
  absl::MutexLock lock(&mu_);
  if (known_.size() >= forget_at_) ForgetUnheld();
  std::weak_ptr<const Selection>& known = known_[selection->key()];
  if (SelectionPtr held = known.lock(); held != nullptr) return held;
  known = selection;
  return selection;
}

size_t SelectionPool::size() const {
  absl::MutexLock lock(&mu_);
  return known_.size();
}

void SelectionPool::ForgetUnheld() {
  absl::erase_if(known_, [](const auto& known) { return known.second.expired(); });
  forget_at_ = std::max(kAFew, 2 * known_.size());
}

}  // namespace hookgate
