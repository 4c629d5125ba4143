#include "server/replication/libnats.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/shared_library.h"

namespace hookgate {
namespace {

absl::StatusOr<const LibNats*> LoadOnce() {
  // Its structures grow from one minor version to the next, and its name says which it is.
  const std::string version = absl::StrCat(NATS_VERSION_MAJOR, ".", NATS_VERSION_MINOR);
  ASSIGN_OR_RETURN(
      const SharedLibrary library,
      SharedLibrary::Open(absl::StrCat("libnats.so.", version), absl::StrCat("libnats", version)));
  auto* const functions = new LibNats;
#define HOOKGATE_FIND(name) RETURN_IF_ERROR(library.Find(#name, functions->name));
  HOOKGATE_LIBNATS_FUNCTIONS(HOOKGATE_FIND)
#undef HOOKGATE_FIND
  return functions;
}

}  // namespace

absl::StatusOr<const LibNats*> LibNats::Load() {
  static const auto* const loaded = new absl::StatusOr<const LibNats*>(LoadOnce());
  return *loaded;
}

}  // namespace hookgate
