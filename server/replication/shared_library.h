// A library of an engine's client, loaded when a config asks for that engine: hookgated runs where
// it is not installed.
#ifndef HOOKGATE_SERVER_REPLICATION_SHARED_LIBRARY_H_
#define HOOKGATE_SERVER_REPLICATION_SHARED_LIBRARY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace hookgate {

class SharedLibrary {
 public:
  // `file` is what the dynamic linker looks for: "libpq.so.5". FAILED_PRECONDITION, with the Debian
  // package that has it, if it is not there.
  static absl::StatusOr<SharedLibrary> Open(const std::string& file, const std::string& package);

  // Sets `function` to what has this name. FAILED_PRECONDITION if the library has none: it is older
  // than the one that this program was built for.
  template <typename Function>
  absl::Status Find(const char* name, Function*& function) const {
    void* const symbol = Symbol(name);
    if (symbol == nullptr) return Missing(name);
    function = reinterpret_cast<Function*>(symbol);
    return absl::OkStatus();
  }

 private:
  SharedLibrary(std::string file, void* handle) : file_(std::move(file)), handle_(handle) {}

  void* Symbol(const char* name) const;
  absl::Status Missing(const char* name) const;

  std::string file_;
  void* handle_;  // never closed: its threads and its functions may be in use to the end
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_SHARED_LIBRARY_H_
