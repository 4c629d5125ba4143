#include "client/cli/reader.h"

#include "absl/strings/str_cat.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {

using google::protobuf::Timestamp;

WhenText When(bool present, const Timestamp& timestamp, const Reader& reader) {
  const absl::StatusOr<absl::Time> time = FromProto(timestamp, "time");
  if (!present || !time.ok()) return {"-", "-"};
  return {LocalTime(*time, reader.zone), AgeText(*time, reader.now)};
}

std::string WhenLine(bool present, const Timestamp& timestamp, const Reader& reader) {
  const WhenText text = When(present, timestamp, reader);
  return text.local == "-" ? text.local : absl::StrCat(text.local, " (", text.age, ")");
}

}  // namespace hookgate::cli
