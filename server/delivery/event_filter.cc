#include "server/delivery/event_filter.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr int kMaxEntries = 100;
constexpr size_t kMaxEntryBytes = 1024;  // As long as a type or a subject can be.

using Entries = google::protobuf::RepeatedPtrField<std::string>;

std::string PathOf(absl::string_view list, int index) {
  return absl::StrCat(list, "[", index, "]");
}

// `list` is its path.
absl::Status CheckEntries(const std::string& list, const Entries& entries) {
  if (entries.size() > kMaxEntries) {
    return InvalidField(list, absl::StrCat("has ", entries.size(), " entries; at most ",
                                           kMaxEntries, " are allowed"));
  }
  for (int i = 0; i < entries.size(); ++i) {
    if (entries[i].empty()) {
      return InvalidField(PathOf(list, i), "is empty; leave the list empty to admit everything");
    }
    if (entries[i].size() > kMaxEntryBytes) {
      return InvalidField(PathOf(list, i),
                          absl::StrCat("is longer than ", kMaxEntryBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

// The entries of `list` in one order, each with its length before it, so that no two lists look
// alike.
std::string KeyOf(char list, const Entries& entries) {
  std::vector<std::string> sorted(entries.begin(), entries.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string key;
  for (const std::string& entry : sorted) absl::StrAppend(&key, entry.size(), ":", entry);
  return key.empty() ? "" : absl::StrCat(std::string(1, list), sorted.size(), "[", key);
}

}  // namespace

absl::StatusOr<EventFilter> EventFilter::Create(const hookgate::v1::EventFilter& filter,
                                                absl::string_view field) {
  const std::string types = absl::StrCat(field, ".types");
  RETURN_IF_ERROR(CheckEntries(absl::StrCat(field, ".sources"), filter.sources()));
  RETURN_IF_ERROR(CheckEntries(types, filter.types()));
  RETURN_IF_ERROR(CheckEntries(absl::StrCat(field, ".subjects"), filter.subjects()));
  EventFilter result;
  result.sources_.insert(filter.sources().begin(), filter.sources().end());
  result.subjects_.insert(filter.subjects().begin(), filter.subjects().end());
  result.any_type_ = filter.types().empty();
  for (int i = 0; i < filter.types_size(); ++i) {
    const std::string& type = filter.types(i);
    if (type == "*") {
      result.any_type_ = true;
    } else if (absl::EndsWith(type, ".*") && type.find('*') == type.size() - 1) {
      result.type_prefixes_.push_back(type.substr(0, type.size() - 1));
    } else if (absl::StrContains(type, '*')) {
      return InvalidField(PathOf(types, i),
                          "has a '*' that is not all of it or after its last dot; write an exact "
                          "type, \"batch.*\" or \"*\"");
    } else {
      result.types_.insert(type);
    }
  }
  result.key_ = absl::StrCat(KeyOf('s', filter.sources()), KeyOf('t', filter.types()),
                             KeyOf('i', filter.subjects()));
  return result;
}

std::vector<std::string> EventFilter::sources() const {
  std::vector<std::string> sources(sources_.begin(), sources_.end());
  std::sort(sources.begin(), sources.end());
  return sources;
}

hookgate::v1::EventFilter EventFilter::ToProto() const {
  hookgate::v1::EventFilter filter;
  for (std::string& source : sources()) filter.add_sources(std::move(source));
  if (!any_type_) {
    for (const std::string& type : types_) filter.add_types(type);
    for (const std::string& prefix : type_prefixes_) filter.add_types(absl::StrCat(prefix, "*"));
  }
  for (const std::string& subject : subjects_) filter.add_subjects(subject);
  std::sort(filter.mutable_types()->begin(), filter.mutable_types()->end());
  std::sort(filter.mutable_subjects()->begin(), filter.mutable_subjects()->end());
  return filter;
}

bool EventFilter::AdmitsType(absl::string_view type) const {
  if (any_type_ || types_.contains(type)) return true;
  return std::any_of(type_prefixes_.begin(), type_prefixes_.end(),
                     [&](const std::string& prefix) { return absl::StartsWith(type, prefix); });
}

bool EventFilter::Matches(const StoredEvent& event) const { return !RefusedBy(event).has_value(); }

absl::optional<FilterList> EventFilter::RefusedBy(const StoredEvent& event) const {
  if (!sources_.empty() && !sources_.contains(event.source)) return FilterList::kSources;
  if (!subjects_.empty() && !subjects_.contains(event.subject)) return FilterList::kSubjects;
  if (!AdmitsType(event.type)) return FilterList::kTypes;
  return absl::nullopt;
}

}  // namespace hookgate
