// What a check of a log has found, as it goes on.
#ifndef HOOKGATE_SERVER_VERIFY_FINDINGS_H_
#define HOOKGATE_SERVER_VERIFY_FINDINGS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hookgate {

// Something that is not as it must be.
struct Finding {
  std::string where;  // "event 42", "subscription billing", "events.db"
  std::string what;   // for people; holds nothing of a body
};

// Keeps the first findings and counts all of them.
class Findings {
 public:
  explicit Findings(size_t max_kept) : max_kept_(max_kept) {}

  void Add(std::string where, std::string what) {
    ++total_;
    if (kept_.size() < max_kept_) kept_.push_back({std::move(where), std::move(what)});
  }

  int64_t total() const { return total_; }
  const std::vector<Finding>& kept() const { return kept_; }

 private:
  const size_t max_kept_;
  std::vector<Finding> kept_;
  int64_t total_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_FINDINGS_H_
