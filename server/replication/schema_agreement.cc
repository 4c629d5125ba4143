#include "server/replication/schema_agreement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hookgate {

SchemaAgreement::SchemaAgreement(int own, const std::vector<std::string>& peers) : own_(own) {
  for (const std::string& peer : peers) peers_[peer];
}

void SchemaAgreement::Heard(const std::string& peer, int version, absl::Duration now) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second = {.version = version == 0 ? kUnsaid : version, .at = now};
}

absl::optional<int> SchemaAgreement::MayAgreeOn(int agreed, absl::Duration now) const {
  int newest = own_;
  for (const auto& [name, said] : peers_) {
    if (now - said.at > kFresh) return absl::nullopt;
    newest = std::min(newest, said.version);
  }
  if (newest <= agreed) return absl::nullopt;
  return newest;
}

std::string SchemaAgreement::WhatIsMissing(int version, absl::Duration now) const {
  std::vector<std::string> missing;
  for (const auto& [name, said] : peers_) {
    if (now - said.at > kFresh) {
      missing.push_back(absl::StrCat("replica ", name, " has not been heard of",
                                     said.version == 0 ? "" : " for a moment"));
    } else if (said.version < version) {
      missing.push_back(absl::StrCat("replica ", name, " reads schema ", said.version));
    }
  }
  return absl::StrJoin(missing, ", ");
}

int SchemaAgreement::Reads(const std::string& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second.version;
}

}  // namespace hookgate
