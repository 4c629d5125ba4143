#include "server/replication/shared_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"

namespace hookgate {

absl::StatusOr<SharedLibrary> SharedLibrary::Open(const std::string& file,
                                                  const std::string& package) {
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("the library ", file, " cannot be loaded (",
                                                      dlerror(), "): install Debian's package ",
                                                      package));
  }
  return SharedLibrary(file, handle);
}

void* SharedLibrary::Symbol(const char* name) const { return dlsym(handle_, name); }

absl::Status SharedLibrary::Missing(const char* name) const {
  return absl::FailedPreconditionError(
      absl::StrCat("the library ", file_, " has no function ", name, ": it is too old"));
}

}  // namespace hookgate
