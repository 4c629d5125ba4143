// What is wrong with flags, config and secrets: all of it, so that it can be mended at once.
#ifndef HOOKGATE_SERVER_CONFIG_PROBLEMS_H_
#define HOOKGATE_SERVER_CONFIG_PROBLEMS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hookgate {

// Each problem is one line "KEY: what is wrong; what would be right", in which nothing that stands
// in the config can do harm (printable.h). None holds a secret, if none is added; what may be one
// that was pasted into the wrong place is left out. Not thread-safe.
class Problems {
 public:
  // More than these are only counted: a file that is not a config at all has one in each line.
  static constexpr size_t kMost = 50;

  // With these a gateway does not start, and a reload changes nothing.
  void AddError(absl::string_view key, absl::string_view what);
  // One whose message has its key. OK adds nothing.
  void AddError(const absl::Status& status);
  // Those of `other`, behind these.
  void AddErrors(const Problems& other);
  // With these it works, but perhaps not as meant.
  void AddWarning(absl::string_view key, absl::string_view what);

  // The value, or after adding the error of `value` an empty one.
  template <typename T>
  T ValueOrDefault(absl::StatusOr<T> value) {
    if (value.ok()) return *std::move(value);
    AddError(value.status());
    return T();
  }

  bool ok() const { return errors_.empty(); }
  // In the order in which they were found.
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  static void Add(std::string problem, std::vector<std::string>& problems);

  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_PROBLEMS_H_
