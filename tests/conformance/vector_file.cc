#include "tests/conformance/vector_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hookgate {

std::vector<VectorBlock> ReadVectorFile(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::vector<VectorBlock> blocks;
  std::string line;
  bool in_block = false;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line[0] == '#') continue;
    if (line.empty()) {
      in_block = false;
      continue;
    }
    if (!in_block) blocks.push_back({.where = absl::StrCat(path, ":", number)});
    in_block = true;
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    blocks.back().lines.emplace_back(parts.first,
                                     parts.second.empty() ? "" : parts.second.substr(1));
  }
  return blocks;
}

}  // namespace hookgate
