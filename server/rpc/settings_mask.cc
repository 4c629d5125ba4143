#include "server/rpc/settings_mask.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using hookgate::v1::EventFilter;
using hookgate::v1::SubscriptionSettings;

// Each takes a copy of all settings.
constexpr int kMaxPaths = 32;
constexpr size_t kMaxShownBytes = 60;
constexpr absl::string_view kAll = "*";
constexpr absl::string_view kFilter = "filter";
constexpr absl::string_view kFilterDot = "filter.";

const FieldDescriptor* FieldNamed(const Descriptor* message, absl::string_view name) {
  return message->FindFieldByName(std::string(name));
}

// Of the filter, for "filter.types"; null: it is no such path.
const FieldDescriptor* FilterFieldNamed(absl::string_view path) {
  if (path.substr(0, kFilterDot.size()) != kFilterDot) return nullptr;
  return FieldNamed(EventFilter::descriptor(), path.substr(kFilterDot.size()));
}

bool IsPath(absl::string_view path) {
  return path == kAll || FieldNamed(SubscriptionSettings::descriptor(), path) != nullptr ||
         FilterFieldNamed(path) != nullptr;
}

std::string AllPaths() {
  std::vector<std::string> paths;
  for (int i = 0; i < SubscriptionSettings::descriptor()->field_count(); ++i) {
    paths.push_back(SubscriptionSettings::descriptor()->field(i)->name());
  }
  for (int i = 0; i < EventFilter::descriptor()->field_count(); ++i) {
    paths.push_back(absl::StrCat(kFilterDot, EventFilter::descriptor()->field(i)->name()));
  }
  return absl::StrCat(absl::StrJoin(paths, ", "), " and ", kAll);
}

// Of two messages of one type.
void TakeField(const FieldDescriptor* field, google::protobuf::Message& from,
               google::protobuf::Message& to) {
  to.GetReflection()->SwapFields(&from, &to, {field});
}

}  // namespace

absl::Status CheckSettingsMask(const google::protobuf::FieldMask& mask, absl::string_view field) {
  if (mask.paths().empty()) {
    return InvalidField(field, absl::StrCat("is empty: leave it out to change all settings, or "
                                            "give paths. Known paths are ",
                                            AllPaths()));
  }
  if (mask.paths_size() > kMaxPaths) {
    return InvalidField(field, absl::StrCat("has ", mask.paths_size(), " paths; at most ",
                                            kMaxPaths, " are allowed"));
  }
  for (int i = 0; i < mask.paths_size(); ++i) {
    if (IsPath(mask.paths(i))) continue;
    return InvalidField(
        absl::StrCat(field, ".paths[", i, "]"),
        absl::StrCat("is \"", absl::Utf8SafeCHexEscape(mask.paths(i).substr(0, kMaxShownBytes)),
                     "\", which is not a setting. Known paths are ", AllPaths()));
  }
  return absl::OkStatus();
}

bool MaskHasFilter(const google::protobuf::FieldMask& mask) {
  return MaskHasSources(mask) ||
         std::any_of(mask.paths().begin(), mask.paths().end(),
                     [](const std::string& path) { return FilterFieldNamed(path) != nullptr; });
}

bool MaskHasSources(const google::protobuf::FieldMask& mask) {
  return std::any_of(mask.paths().begin(), mask.paths().end(), [](const std::string& path) {
    return path == kAll || path == kFilter || path == "filter.sources";
  });
}

SubscriptionSettings MaskedSettings(const SubscriptionSettings& current,
                                    const SubscriptionSettings& given,
                                    const google::protobuf::FieldMask& mask) {
  SubscriptionSettings merged = current;
  for (const std::string& path : mask.paths()) {
    SubscriptionSettings source = given;
    if (path == kAll) return source;
    const FieldDescriptor* const of_filter = FilterFieldNamed(path);
    if (of_filter != nullptr) {
      TakeField(of_filter, *source.mutable_filter(), *merged.mutable_filter());
    } else {
      TakeField(FieldNamed(SubscriptionSettings::descriptor(), path), source, merged);
    }
  }
  return merged;
}

}  // namespace hookgate
