#include "server/cluster/caller_metadata.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hookgate {
namespace {

constexpr char kPeer[] = "hookgate-caller-peer";
constexpr char kAgent[] = "hookgate-caller-agent";
constexpr char kName[] = "hookgate-caller-name-bin";
constexpr char kToken[] = "hookgate-caller-authorization";
// gRPC C++ ends the process that gives it a value with other bytes.
bool IsSendable(absl::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

PeerConnection::Metadata ToCallerMetadata(const CallInfo& info) {
  PeerConnection::Metadata metadata;
  const auto add = [&metadata](const char* name, absl::string_view value) {
    if (IsSendable(value)) metadata.emplace_back(name, std::string(value));
  };
  add(kPeer, info.peer);
  for (const absl::string_view token : info.metadata.All("authorization")) {
    // A token that cannot be sent is as wrong there as it is here.
    add(kToken, IsSendable(token) ? token : "unreadable");
  }
  for (const absl::string_view agent : info.metadata.All("user-agent")) add(kAgent, agent);
  for (const CertificateName& name : info.certificate_names) {
    metadata.emplace_back(
        kName, absl::StrCat(std::string(1, static_cast<char>('0' + static_cast<int>(name.kind))),
                            name.text));
  }
  return metadata;
}

ForwardedCaller FromCallerMetadata(const Metadata& metadata) {
  ForwardedCaller caller;
  caller.peer = std::string(metadata.First(kPeer).value_or(""));
  for (const absl::string_view name : metadata.All(kName)) {
    if (name.empty() || name[0] < '0' ||
        name[0] > '0' + static_cast<int>(CertificateName::Kind::kIp)) {
      continue;
    }
    caller.certificate_names.push_back(
        {static_cast<CertificateName::Kind>(name[0] - '0'), std::string(name.substr(1))});
  }
  for (const absl::string_view token : metadata.All(kToken)) {
    caller.metadata.AddFromWire("authorization", token);
  }
  for (const absl::string_view agent : metadata.All(kAgent)) {
    caller.metadata.AddFromWire("user-agent", agent);
  }
  return caller;
}

}  // namespace hookgate
