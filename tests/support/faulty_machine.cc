#include "tests/support/faulty_machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/support/program.h"

namespace hookgate {
namespace {

constexpr char kShim[] = "tests/support/libfault_shim.so";

}  // namespace

FaultyMachine::FaultyMachine() : path_(FreshTestFile("fault_control")) {
  const int file = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_GE(file, 0) << path_;
  EXPECT_EQ(ftruncate(file, sizeof(FaultControl)), 0);
  void* const memory =
      mmap(nullptr, sizeof(FaultControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  EXPECT_NE(memory, MAP_FAILED);
  close(file);
  control_ = static_cast<FaultControl*>(memory);
}

FaultyMachine::~FaultyMachine() { munmap(control_, sizeof(FaultControl)); }

std::vector<std::string> FaultyMachine::environment() const {
  return {absl::StrCat("LD_PRELOAD=", PathOfProgram(kShim)),
          absl::StrCat(kFaultControlVariable, "=", path_),
          // The shim need not come before the sanitizer's library.
          "ASAN_OPTIONS=verify_asan_link_order=0"};
}

}  // namespace hookgate
