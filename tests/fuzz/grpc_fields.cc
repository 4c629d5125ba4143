// The input is "NAME:VALUE" lines, the header fields of a request to the gRPC port. They are read
// as a call, or refused by a message that can be sent; nothing is kept beyond the limit. The same
// bytes, as the message of a status, can be sent in a header field, and are what the client reads.

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/grpc_server/percent_encoding.h"
#include "server/grpc_server/request_head.h"
#include "server/grpc_server/status_trailers.h"
#include "server/grpc_server/timeout.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

constexpr size_t kMaxListBytes = 2000;

bool IsPrintable(absl::string_view text) {
  for (const char byte : text) {
    if (byte < 0x20 || byte > 0x7e) return false;
  }
  return true;
}

std::string PercentDecode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      Expect(i + 2 < text.size(), "whole escapes", text);
      int byte = 0;
      Expect(absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte), "hex digits", text);
      decoded.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

void CheckStatus(const absl::Status& status) {
  const StatusTrailers trailers = ToTrailers(status);
  Expect(
      IsPrintable(trailers.code) && IsPrintable(trailers.message) && IsPrintable(trailers.details),
      "fields that HTTP/2 can carry");
  Expect(trailers.message.size() + trailers.details.size() < 8000, "trailers that clients take");
}

void CheckHead(const std::string& input) {
  RequestHead head;
  head.Begin(kMaxListBytes);
  for (const absl::string_view line : absl::StrSplit(input, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    head.Add(field.first, field.second);
  }
  const absl::Status checked = head.Check();
  if (!checked.ok()) CheckStatus(checked);
  Expect(head.http_status() == 200 || head.http_status() == 405 || head.http_status() == 415,
         "a status of HTTP");
  if (head.timeout().has_value()) {
    Expect(*head.timeout() >= absl::ZeroDuration(), "no time before now");
  }
  size_t kept = head.path().size();
  const Metadata metadata = head.TakeMetadata();
  for (const auto& [name, value] : metadata.entries()) kept += name.size() + value.size();
  Expect(kept <= kMaxListBytes, "no more than the limit");
}

void CheckEncoding(const std::string& input) {
  const std::string encoded = PercentEncode(input, 3 * input.size());
  Expect(IsPrintable(encoded), "a field that HTTP/2 can carry", encoded);
  Expect(PercentDecode(encoded) == input, "what the client reads is what was said", input);
  for (const size_t limit : {0, 1, 2, 3, 10}) {
    const std::string cut = PercentEncode(input, limit);
    Expect(cut.size() <= limit, "no more than allowed");
    Expect(encoded.compare(0, cut.size(), cut) == 0, "the beginning of it");
    PercentDecode(cut);
  }
  CheckStatus(absl::InternalError(input));
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input = hookgate::ToInput(data, size);
  hookgate::CheckHead(input);
  hookgate::CheckEncoding(input);
  hookgate::ParseGrpcTimeout(input);
  return 0;
}
