#include "server/replication/libpq.h"

#include "server/base/status.h"
#include "server/replication/shared_library.h"

namespace hookgate {
namespace {

absl::StatusOr<const LibPq*> LoadOnce() {
  ASSIGN_OR_RETURN(const SharedLibrary library, SharedLibrary::Open("libpq.so.5", "libpq5"));
  auto* const functions = new LibPq;
#define HOOKGATE_FIND(name) RETURN_IF_ERROR(library.Find(#name, functions->name));
  HOOKGATE_LIBPQ_FUNCTIONS(HOOKGATE_FIND)
#undef HOOKGATE_FIND
  return functions;
}

}  // namespace

absl::StatusOr<const LibPq*> LibPq::Load() {
  static const auto* const loaded = new absl::StatusOr<const LibPq*>(LoadOnce());
  return *loaded;
}

}  // namespace hookgate
