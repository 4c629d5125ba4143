// What every call passes: the policy in force, the sources that exist, and how many log lines each
// principal may cause. One for the gRPC edge; each Caller refers to it.
#ifndef HOOKGATE_SERVER_RPC_CALL_GATE_H_
#define HOOKGATE_SERVER_RPC_CALL_GATE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "google/protobuf/repeated_field.h"
#include "server/access/access_control.h"
#include "server/base/log_limiter.h"

namespace hookgate {

// Thread-safe.
class CallGate {
 public:
  // The names of the sources that are configured now. Any thread.
  using SourceNames = std::function<std::vector<std::string>()>;

  // `access` and `clock` outlive the gate. Null `source_names`: every name is a source.
  CallGate(const AccessControl& access, const Clock& clock, SourceNames source_names)
      : access_(access), clock_(clock), source_names_(std::move(source_names)) {}

  std::shared_ptr<const AccessPolicy> policy() const { return access_.policy(); }

  // Sources are a closed list, so a name that is not on it is a typo and not a source that has
  // sent nothing yet. NOT_FOUND unknown_source that names the first one and those there are, except
  // that callers who may not know all of them hear of none.
  //   field  the path of the list, "filter.sources"
  absl::Status CheckSourcesExist(const google::protobuf::RepeatedPtrField<std::string>& sources,
                                 absl::string_view field, bool may_know_all) const;
  // The same of one; `field` is its own path.
  absl::Status CheckSourceExists(const std::string& source, absl::string_view field,
                                 bool may_know_all) const;

  // Whether `principal` may cause one more log line now: how many of its lines were left out since
  // the last, or nullopt if this one is left out as well. One budget for each principal, so that
  // none of them can fill the disk with lines, or hide those of another.
  absl::optional<int64_t> TakeLine(const std::string& principal) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const AccessControl& access_;
  const Clock& clock_;
  const SourceNames source_names_;

  absl::Mutex mu_;
  // As many as the config has ever named principals.
  std::map<std::string, LogLimiter> lines_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CALL_GATE_H_
