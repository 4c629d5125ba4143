// The input is what a client sends in one call of a gRPC method. The messages that are found in it
// do not depend on the pieces in which it came, and what is kept of it is no more than what came.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/grpc_server/message_reader.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

constexpr size_t kMaxBytes = 1000;

struct Found {
  std::vector<std::string> messages;
  MessageReader::Result last = MessageReader::Result::kIncomplete;
  size_t used = 0;

  bool operator==(const Found& other) const {
    return messages == other.messages && last == other.last;
  }
};

Found FindIn(absl::string_view bytes, size_t piece) {
  MessageReader reader;
  Found found;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const absl::string_view more = bytes.substr(at, piece);
    reader.Add(more);
    std::string message;
    while ((found.last = reader.Next(kMaxBytes, message, found.used)) ==
           MessageReader::Result::kMessage) {
      Expect(message.size() <= kMaxBytes, "no message beyond the limit");
      found.messages.push_back(message);
    }
    if (found.last != MessageReader::Result::kIncomplete) return found;
    Expect(reader.held_bytes() <= kMaxBytes + MessageReader::kPrefixBytes, "a message at most");
  }
  Expect(found.used == bytes.size(), "all of it is taken");
  return found;
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes = hookgate::ToInput(data, size);
  const hookgate::Found whole = hookgate::FindIn(bytes, std::max<size_t>(1, bytes.size()));
  for (const size_t piece : {1, 3, 64}) {
    hookgate::Expect(hookgate::FindIn(bytes, piece) == whole, "the same messages", bytes);
  }
  return 0;
}
