// Who reads, when and where; and times as that reader sees them. Pure.
#ifndef HOOKGATE_CLIENT_CLI_READER_H_
#define HOOKGATE_CLIENT_CLI_READER_H_

#include <string>

#include "absl/time/time.h"
#include "client/cli/style.h"
#include "google/protobuf/timestamp.pb.h"

namespace hookgate::cli {

struct Reader {
  absl::Time now;
  absl::TimeZone zone;
  Style style;
};

struct WhenText {
  std::string local;  // LocalTime
  std::string age;    // AgeText
};

// Both "-" if `timestamp` is no time, or not `present`.
WhenText When(bool present, const google::protobuf::Timestamp& timestamp, const Reader& reader);

// "2026-03-01 13:00:00+01:00 (3 min ago)", or "-".
std::string WhenLine(bool present, const google::protobuf::Timestamp& timestamp,
                     const Reader& reader);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_READER_H_
