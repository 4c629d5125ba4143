// W3C Trace Context: the headers `traceparent` and `tracestate`.
//
// Reading is pure. Source: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3; the keys of
// `tracestate` as in Level 2, which admits all that Level 1 does.
#ifndef HOOKGATE_SERVER_TRACE_TRACE_CONTEXT_H_
#define HOOKGATE_SERVER_TRACE_TRACE_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"

namespace hookgate {

// The trace fields of hookgate.v1.Event.
struct EventTrace {
  std::string trace_parent;
  std::string sender_trace_parent;
  std::string sender_trace_state;
};

// `value` as version 00: "00-", the trace id, "-", the parent id, "-", and "01" if the trace is
// sampled, otherwise "00"; 55 bytes. Other flags are left out: Level 1 has none, and readers of it
// refuse what they do not know. Nullopt if it is not valid: hexadecimal digits must be lower-case,
// neither id may be zero alone, version 00 has exactly four parts, and version ff does not exist.
// Of later versions, the first four parts count.
absl::optional<std::string> ReadTraceParent(absl::string_view value);

// Whether `value` is a list of at most 32 members KEY=VALUE in at most 512 bytes, each key once,
// and not empty. What the standard lets a receiver drop is dropped here: longer lists.
bool IsTraceState(absl::string_view value);

// The 32 digits of the trace id in a valid `trace_parent`; "" of an empty one.
absl::string_view TraceIdOf(absl::string_view trace_parent);

// Makes new contexts. Thread-safe.
class TraceParents {
 public:
  // `sample_ratio` as in SetSampleRatio.
  explicit TraceParents(double sample_ratio = 1) { SetSampleRatio(sample_ratio); }

  // From now on this share of the contexts says that its trace is sampled, from 0 to 1. The lowest
  // 56 bits of the trace id decide, as samplers of OpenTelemetry do.
  void SetSampleRatio(double sample_ratio);

  // A trace of its own with its first span, both random: as ReadTraceParent returns it. Takes no
  // system call.
  std::string Next() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::atomic<uint64_t> sampled_from_;  // of 2^56: trace ids whose lowest bits are not below it

  absl::Mutex mu_;
  absl::BitGen random_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_TRACE_TRACE_CONTEXT_H_
