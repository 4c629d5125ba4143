// What replicated_log.h says, as tests that every engine passes. An engine's own test makes the
// suite run on it:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ReplicatedLogConformanceTest,
//                            testing::Values(ConformanceEngineMaker{&MakeMemoryEngine}));
#ifndef HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_CONFORMANCE_H_
#define HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/replication/replicated_log.h"

namespace hookgate {

// An engine that runs, and what the suite needs to happen to it.
class ConformanceEngine {
 public:
  virtual ~ConformanceEngine() = default;

  // A replica's handle.
  virtual std::unique_ptr<ReplicatedLog> Open(const ReplicatedLogOptions& options) = 0;
  // Every connection of a handle breaks; a new one can be made.
  virtual void BreakConnections() = 0;
  // From here on the engine answers nobody, as if its machines hung.
  virtual void Freeze() = 0;
  virtual void Thaw() = 0;
};

struct ConformanceEngineMaker {
  // The engine, which all tests of the process share and the maker keeps; null, once it has printed
  // why, if it is not installed here: the tests are skipped then.
  ConformanceEngine* (*make)() = nullptr;
};

class ReplicatedLogConformanceTest : public testing::TestWithParam<ConformanceEngineMaker> {
 protected:
  void SetUp() override;

  // Options for a log that no other test uses.
  const ReplicatedLogOptions& options() const { return options_; }
  std::unique_ptr<ReplicatedLog> Open() { return engine_->Open(options_); }

  ConformanceEngine* engine_ = nullptr;
  ReplicatedLogOptions options_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_REPLICATED_LOG_CONFORMANCE_H_
