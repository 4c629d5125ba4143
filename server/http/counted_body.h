// A request's body: a string that grows with what has come, and asks a BodyBudget before it does.
// Beast's own string_body takes as much memory as the head announces.
#ifndef HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_
#define HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "server/net/body_budget.h"

namespace hookgate {

class CountedBody {
 public:
  // `share` outlives it.
  explicit CountedBody(BodyBudget::Share& share) : share_(share) {}

  // How much there will be, if it is known before it comes.
  void Announce(size_t bytes) { announced_ = bytes; }
  // Whether there was room for it.
  bool Append(absl::string_view more) {
    no_room_ = no_room_ || !Reserve(text_.size() + more.size());
    if (!no_room_) text_.append(more.data(), more.size());
    return !no_room_;
  }
  bool no_room() const { return no_room_; }

  std::string& text() { return text_; }

 private:
  // Twice as much each time, but not beyond what is announced.
  bool Reserve(size_t bytes) {
    const size_t capacity = text_.capacity();
    if (bytes <= capacity) return true;
    size_t wanted = std::max(bytes, 2 * capacity);
    if (announced_ >= bytes) wanted = std::min(wanted, announced_);
    if (!share_.Grow(static_cast<int64_t>(wanted))) return false;
    std::string larger;
    larger.reserve(wanted);
    larger.append(text_);
    text_.swap(larger);
    return true;
  }

  BodyBudget::Share& share_;
  std::string text_;
  size_t announced_ = 0;
  bool no_room_ = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_COUNTED_BODY_H_
