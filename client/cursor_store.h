// Where a subscriber keeps its position while it is not running.
#ifndef HOOKGATE_CLIENT_CURSOR_STORE_H_
#define HOOKGATE_CLIENT_CURSOR_STORE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hookgate {

// Holds one cursor. Implement it over what the service has already: a row that is written in the
// transaction that handles the event makes the handling exactly once. A Subscriber calls it from
// the thread in Run only.
class CursorStore {
 public:
  virtual ~CursorStore() = default;

  // The cursor saved last, or nothing if none ever was. An error ends Subscriber::Run: to go on
  // without the position would lose or repeat events in silence.
  virtual absl::StatusOr<std::optional<std::string>> Load() = 0;

  // Returns OK only when `cursor` survives a crash. An error ends Subscriber::Run.
  virtual absl::Status Save(absl::string_view cursor) = 0;
};

// A file that holds the cursor and a line feed, replaced as a whole: a crash leaves the old cursor
// or the new one. For one writer at a time.
class FileCursorStore final : public CursorStore {
 public:
  // `path`: the file, or a symbolic link to it, which stays; the file's folder must exist. A
  // neighbour of the file, called as it is with .tmp at the end, is used while saving.
  explicit FileCursorStore(absl::string_view path);

  // DATA_LOSS if the file is there but holds no cursor (empty, cut off, not text);
  // PERMISSION_DENIED, INTERNAL... as the system reports. Messages name the file.
  absl::StatusOr<std::optional<std::string>> Load() override;
  // INVALID_ARGUMENT for what Load would refuse.
  absl::Status Save(absl::string_view cursor) override;

 private:
  const std::string path_;
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CURSOR_STORE_H_
