// The main of a corpus test: the inputs whose paths it is given, and the empty one, each once. An
// input that does not hold what its target expects aborts; the last path printed is that input's.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/fuzz/fuzz_target.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "no seeds: a fuzz target has some in corpus/\n";
    return EXIT_FAILURE;
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (int i = 1; i < argc; ++i) {
    std::cerr << argv[i] << std::endl;
    std::ifstream file(argv[i], std::ios::binary);
    if (!file.is_open()) {
      std::cerr << "cannot be read\n";
      return EXIT_FAILURE;
    }
    const std::string seed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(seed.data()), seed.size());
  }
  return EXIT_SUCCESS;
}
