// The input is a text that clients hand back: a cursor, a page token, a delivery id. Only what the
// gateway had written is taken, and means what it meant.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/delivery/delivery_id.h"
#include "server/rpc/page_token.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int64_t kSubscription = 7;
constexpr char kEpoch[] = "0123456789abcdef";
constexpr uint64_t kFingerprint = 42;

// Holds 3 to 5: 1 and 2 are behind retention.
EventLog& Log() {
  static EventLog& log = *[] {
    auto made = OpenTemporaryLog();
    for (int i = 1; i <= 5; ++i) AppendEvent(*made, {.receive_time = absl::FromUnixSeconds(i)});
    Expect(made->Trim({absl::FromUnixSeconds(3), absl::FromUnixSeconds(3)}).ok(), "two are gone");
    return made.release();
  }();
  return log;
}

void CheckCursor(absl::string_view text) {
  const absl::StatusOr<Sequence> sequence = ResolveCursor(text, "after_cursor", Log());
  if (sequence.ok()) {
    Expect(FormatCursor(Log().epoch(), *sequence) == text, "one text a cursor", text);
    const LogPosition position = Log().Position();
    Expect(*sequence + 1 >= position.earliest && *sequence <= position.head, "in the log", text);
    return;
  }
  const std::string reason = ReasonOf(sequence.status());
  Expect(reason == reason::kInvalidRequest || reason == reason::kCursorOfAnotherLog ||
             reason == reason::kCursorOvertaken,
         "a reason of its own", sequence.status().ToString());
  if (reason == reason::kInvalidRequest) return;
  const std::string earliest = MetadataOf(sequence.status())["earliest_cursor"];
  Expect(ResolveCursor(earliest, "after_cursor", Log()).ok(), "a way on", text);
}

void CheckPageToken(absl::string_view text) {
  const absl::StatusOr<PageToken> token = ParsePageToken(text, kEpoch, kFingerprint);
  if (!token.ok()) {
    Expect(FieldOf(token.status()) == "page_token", "the field at fault", text);
    return;
  }
  const std::string written = FormatPageToken(*token, kEpoch, kFingerprint);
  Expect(written == text, "one text a page token", text);
  Expect(!ParsePageToken(text, kEpoch, kFingerprint + 1).ok(), "not for another request", text);
}

void CheckDeliveryId(absl::string_view text) {
  const absl::optional<DeliveryId> id = ParseDeliveryId(text, kSubscription);
  if (!id.has_value()) return;
  Expect(FormatDeliveryId(kSubscription, *id) == text, "one text a delivery", text);
  Expect(!ParseDeliveryId(text, kSubscription + 1).has_value(), "not of another one", text);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input = hookgate::ToInput(data, size);
  hookgate::CheckCursor(input);
  // Each log has an epoch of its own, and base64 hides its structure: neither can be guessed.
  hookgate::CheckCursor(absl::StrCat(hookgate::Log().epoch(), input));
  hookgate::CheckPageToken(input);
  hookgate::CheckPageToken(absl::WebSafeBase64Escape(input));
  hookgate::CheckPageToken(absl::WebSafeBase64Escape(
      absl::StrCat(hookgate::kEpoch, ".", hookgate::kFingerprint, ".", input)));
  hookgate::CheckDeliveryId(input);
  hookgate::CheckDeliveryId(absl::StrCat(hookgate::kSubscription, ".", input));
  return 0;
}
