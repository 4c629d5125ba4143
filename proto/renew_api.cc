// Writes proto/api.txt again from the .proto files: bazel run //proto:renew_api.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "proto/api_listing.h"

int main(int argc, char** argv) {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (argc != 2 || workspace == nullptr) {
    std::cerr << "run it with: bazel run //proto:renew_api\n";
    return 2;
  }
  const std::string path = std::string(workspace) + "/proto/api.txt";
  std::ofstream file(path);
  for (const std::string& line : hookgate::ListApi(hookgate::ReadDescriptorSet(argv[1]))) {
    file << line << "\n";
  }
  file.close();
  if (!file) {
    std::cerr << "cannot write " << path << "\n";
    return 1;
  }
  std::cout << "written: " << path << "\n";
  return 0;
}
