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
#include "server/eventlog/event_log_history.h"
#include "server/rpc/page_token.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int64_t kSubscription = 7;
constexpr char kEpoch[] = "0123456789abcdef";
constexpr HistoryMark kMark = 0x0a0b0c0d;
constexpr uint64_t kFingerprint = 42;

// Holds 3 to 5: 1 and 2 are behind retention.
EventLog& Log() {
  static EventLog& log = *[] {
    auto made = OpenTemporaryLog();
    for (int i = 1; i <= 5; ++i) AppendEvent(*made, {.receive_time = absl::FromUnixSeconds(i)});
    Expect(made->Trim({2, 2}).ok(), "two are gone");
    return made.release();
  }();
  return log;
}

void CheckCursor(absl::string_view text) {
  const absl::StatusOr<Sequence> sequence = ResolveCursor(text, "after_cursor", Log());
  if (sequence.ok()) {
    const std::string written = FormatCursor(Log().history(), *sequence);
    const std::string without_mark = absl::StrCat(Log().epoch(), "-", *sequence);
    Expect(text == written || text == without_mark, "two texts a cursor", text);
    const EventLogPosition position = Log().Position();
    Expect(*sequence + 1 >= position.earliest && *sequence <= position.head, "in the log", text);
    return;
  }
  const std::string reason = ReasonOf(sequence.status());
  Expect(reason == reason::kInvalidRequest || reason == reason::kCursorOfAnotherLog ||
             reason == reason::kCursorOfAnotherHistory || reason == reason::kCursorOvertaken,
         "a reason of its own", sequence.status().ToString());
  if (reason == reason::kInvalidRequest) return;
  const std::string earliest = MetadataOf(sequence.status())["earliest_cursor"];
  Expect(ResolveCursor(earliest, "after_cursor", Log()).ok(), "a way on", text);
  const auto metadata = MetadataOf(sequence.status());
  if (const auto common = metadata.find("common_cursor"); common != metadata.end()) {
    Expect(ResolveCursor(common->second, "after_cursor", Log()).ok(), "a common way on", text);
  }
}

// Ends at sequence 9.
const EventLogHistory& History() {
  static const EventLogHistory& history = *new EventLogHistory{
      .epoch = kEpoch, .mark = kMark, .sequences = Stretches({{1, 0xa}, {5, kMark}})};
  return history;
}

void CheckPageToken(absl::string_view text) {
  const LogPoint point = {History(), 9};
  const absl::StatusOr<PageToken> token = ParsePageToken(text, point, kFingerprint);
  if (!token.ok()) {
    Expect(FieldOf(token.status()) == "page_token", "the field at fault", text);
    return;
  }
  const std::string written = FormatPageToken(*token, point, kFingerprint);
  Expect(ParsePageToken(written, point, kFingerprint).ok(), "comes back", text);
  Expect(!ParsePageToken(text, point, kFingerprint + 1).ok(), "not for another request", text);
}

void CheckDeliveryId(absl::string_view text) {
  const DeliveryIds ids = {kSubscription, Stretches({{10, kMark}})};
  const absl::optional<DeliveryId> id = ParseDeliveryId(text, ids);
  if (!id.has_value()) return;
  const std::string written = FormatDeliveryId(ids, *id);
  Expect(written == text || written == absl::StrCat(text, ".00000000"), "two texts a delivery",
         text);
  const DeliveryIds other = {kSubscription + 1, ids.numbers};
  Expect(!ParseDeliveryId(text, other).has_value(), "not of another one", text);
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
  const std::string page = absl::StrCat(hookgate::kEpoch, ".", hookgate::kFingerprint, ".", input);
  hookgate::CheckPageToken(absl::WebSafeBase64Escape(page));
  // Nor can the checksum.
  hookgate::CheckPageToken(absl::WebSafeBase64Escape(
      absl::StrCat(page, ".", absl::Hex(hookgate::RequestFingerprint(page), absl::kZeroPad16))));
  hookgate::CheckDeliveryId(input);
  hookgate::CheckDeliveryId(absl::StrCat(hookgate::kSubscription, ".", input));
  return 0;
}
