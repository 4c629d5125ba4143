// The test's side of fault_control.h: a machine of which a test decides what fails.
#ifndef HOOKGATE_TESTS_SUPPORT_FAULTY_MACHINE_H_
#define HOOKGATE_TESTS_SUPPORT_FAULTY_MACHINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/fault_control.h"

namespace hookgate {

class FaultyMachine {
 public:
  FaultyMachine();
  ~FaultyMachine();
  FaultyMachine(const FaultyMachine&) = delete;
  FaultyMachine& operator=(const FaultyMachine&) = delete;

  // Variables for the environment of a process that is to run on this machine.
  std::vector<std::string> environment() const;

  // Errno of each such call on the log's files from now on; 0: none fails.
  void FailWrites(int error) { control_->write_errno = error; }
  void FailSyncs(int error) { control_->sync_errno = error; }
  void FailOpens(int error) { control_->open_errno = error; }
  // Calls that failed so far.
  int64_t faults() const { return control_->faults; }

  // Sets the wall clock this far ahead of the test's.
  void SetWallOffset(absl::Duration offset) {
    control_->wall_offset_ns = absl::ToInt64Nanoseconds(offset);
  }

 private:
  const std::string path_;
  FaultControl* control_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FAULTY_MACHINE_H_
