#include "server/base/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/reason.h"

namespace hookgate {
namespace {

// An absl::Status carries payloads by URL.
constexpr char kReasonUrl[] = "hookgate/reason";
constexpr char kFieldUrl[] = "hookgate/field";
constexpr char kMetadataUrlPrefix[] = "hookgate/metadata/";

std::string PayloadOf(const absl::Status& status, absl::string_view url) {
  const auto payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status ErrorWithReason(absl::StatusCode code, absl::string_view reason,
                             absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  return status;
}

std::string ReasonOf(const absl::Status& status) { return PayloadOf(status, kReasonUrl); }

absl::Status InvalidField(absl::string_view path, absl::string_view problem) {
  absl::Status status = ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                                        absl::StrCat(path, ": ", problem));
  status.SetPayload(kFieldUrl, absl::Cord(path));
  return status;
}

std::string FieldOf(const absl::Status& status) { return PayloadOf(status, kFieldUrl); }

void SetMetadata(absl::Status& status, absl::string_view key, absl::string_view value) {
  status.SetPayload(absl::StrCat(kMetadataUrlPrefix, key), absl::Cord(value));
}

std::map<std::string, std::string> MetadataOf(const absl::Status& status) {
  std::map<std::string, std::string> metadata;
  status.ForEachPayload([&metadata](absl::string_view url, const absl::Cord& value) {
    if (absl::ConsumePrefix(&url, kMetadataUrlPrefix)) {
      metadata.emplace(std::string(url), std::string(value));
    }
  });
  return metadata;
}

absl::Status Annotate(const absl::Status& status, absl::string_view what) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(what, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

}  // namespace hookgate
