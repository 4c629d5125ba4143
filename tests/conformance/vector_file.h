// The form of the vector files in this folder.
//
// A case is a block of lines "name: value", closed by an empty line. The value is all that follows
// the first ": "; "name:" alone is an empty value. Lines that begin with # are comments. Which
// names there are, and what they mean, stands at the head of each file.
#ifndef HOOKGATE_TESTS_CONFORMANCE_VECTOR_FILE_H_
#define HOOKGATE_TESTS_CONFORMANCE_VECTOR_FILE_H_

#include <string>
#include <utility>
#include <vector>

namespace hookgate {

struct VectorBlock {
  std::string where;                                       // "FILE:LINE" of its first line
  std::vector<std::pair<std::string, std::string>> lines;  // name and value, in order
};

// Fails the test if there is no such file in the runfiles.
std::vector<VectorBlock> ReadVectorFile(const std::string& path);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CONFORMANCE_VECTOR_FILE_H_
