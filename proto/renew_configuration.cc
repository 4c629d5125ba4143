// Writes docs/configuration.md again from config.proto: bazel run //proto:renew_configuration.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "proto/api_listing.h"
#include "proto/config_manual.h"

int main(int argc, char** argv) {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (argc != 2 || workspace == nullptr) {
    std::cerr << "run it with: bazel run //proto:renew_configuration\n";
    return 2;
  }
  const std::string path = std::string(workspace) + "/docs/configuration.md";
  std::ofstream file(path);
  file << hookgate::ConfigManual(hookgate::ReadDescriptorSet(argv[1]), "hookgate.config.v1.Config");
  file.close();
  if (!file) {
    std::cerr << "cannot write " << path << "\n";
    return 1;
  }
  std::cout << "written: " << path << "\n";
  return 0;
}
