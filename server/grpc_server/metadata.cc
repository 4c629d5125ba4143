#include "server/grpc_server/metadata.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace hookgate {

bool Metadata::AddFromWire(absl::string_view name, absl::string_view value) {
  if (!absl::EndsWith(name, "-bin")) {
    entries_.emplace_back(std::string(name), std::string(value));
    return true;
  }
  const size_t before = entries_.size();
  for (const absl::string_view part : absl::StrSplit(value, ',')) {
    std::string bytes;
    // It takes base64 with padding and without.
    if (!absl::Base64Unescape(part, &bytes)) {
      entries_.resize(before);
      return false;
    }
    entries_.emplace_back(std::string(name), std::move(bytes));
  }
  return true;
}

std::vector<absl::string_view> Metadata::All(absl::string_view name) const {
  std::vector<absl::string_view> values;
  for (const auto& [key, value] : entries_) {
    if (key == name) values.emplace_back(value);
  }
  return values;
}

absl::optional<absl::string_view> Metadata::First(absl::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (key == name) return absl::string_view(value);
  }
  return absl::nullopt;
}

std::string MetadataToWire(absl::string_view name, absl::string_view value) {
  if (!absl::EndsWith(name, "-bin")) return std::string(value);
  std::string encoded;
  absl::Base64Escape(value, &encoded);
  while (!encoded.empty() && encoded.back() == '=') encoded.pop_back();
  return encoded;
}

}  // namespace hookgate
