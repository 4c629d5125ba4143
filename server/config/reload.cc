#include "server/config/reload.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "google/protobuf/util/message_differencer.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;
using hookgate::config::v1::Principal;
using hookgate::config::v1::Rights;

// What is left after what may change has been taken out, and what is not to be quoted. Empty
// messages mean the same as none.
Config FixedPart(Config config) {
  config.clear_sources();
  config.clear_principals();
  config.mutable_storage()->clear_retention();
  config.mutable_storage()->clear_max_unsettled_age();
  config.mutable_storage()->clear_max_bytes();
  config.mutable_storage()->clear_quarantine();
  config.mutable_storage()->clear_history();
  config.mutable_storage()->clear_conflicts();
  config.mutable_logging()->clear_level();
  config.clear_tracing();
  config.clear_operator_events();
  config.clear_cluster();
  config.mutable_http();
  config.mutable_grpc()->mutable_limits();
  config.mutable_admin();
  config.mutable_metrics();
  return config;
}

void CheckFixedPart(const Config& running, const Config& next, Problems& problems) {
  // Addresses of engines may hold passwords.
  if (!google::protobuf::util::MessageDifferencer::Equals(running.cluster(), next.cluster())) {
    problems.AddError("cluster", "this can only change with a restart");
  }
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (differencer.Compare(FixedPart(running), FixedPart(next))) return;
  for (const absl::string_view difference : absl::StrSplit(differences, '\n', absl::SkipEmpty())) {
    problems.AddError("config", absl::StrCat("this can only change with a restart: ", difference));
  }
}

bool HasAll(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return std::find(names.begin(), names.end(), "*") != names.end();
}

// Whether a caller of the one may be taken for the other: by a token or a name of its certificate.
bool ShareCredentials(const Principal& one, const Principal& other) {
  const auto share = [](const auto& left, const auto& right) {
    return std::any_of(left.begin(), left.end(), [&right](const std::string& text) {
      return std::any_of(right.begin(), right.end(), [&text](const std::string& same) {
        return absl::EqualsIgnoreCase(text, same);
      });
    });
  };
  return share(one.token_sha256(), other.token_sha256()) ||
         share(one.certificate_names(), other.certificate_names());
}

// As whom those who are `principal` now may have called before, and how a message calls each.
std::vector<std::pair<const Principal*, std::string>> FormersOf(const Config& running,
                                                                const Principal& principal) {
  std::vector<std::pair<const Principal*, std::string>> formers;
  for (const Principal& before : running.principals()) {
    if (before.name() == principal.name()) {
      formers.emplace_back(&before, "");
    } else if (ShareCredentials(before, principal)) {
      formers.emplace_back(&before,
                           absl::StrCat("\"", before.name(),
                                        "\", of which it has a token or a certificate's name, "));
    }
  }
  return formers;
}

void NoteLargerRights(const Config& running, const Config& next, Problems& problems) {
  for (int i = 0; i < next.principals_size(); ++i) {
    const Principal& principal = next.principals(i);
    const auto formers = FormersOf(running, principal);
    const auto note = [&](const char* right, auto has) {
      if (!has(principal.rights())) return;
      const auto former = std::find_if(formers.begin(), formers.end(), [&has](const auto& before) {
        return !has(before.first->rights());
      });
      if (former == formers.end()) return;
      problems.AddWarning(
          absl::StrCat("principals[", i, "].rights.", right),
          absl::StrCat("\"", principal.name(), "\" has this right ",
                       right == absl::string_view("admin") ? "" : "for all (\"*\") ", "now, and ",
                       former->second, "had not before"));
    };
    note("subscribe", [](const Rights& rights) { return HasAll(rights.subscribe()); });
    note("query", [](const Rights& rights) { return HasAll(rights.query()); });
    note("consume", [](const Rights& rights) { return HasAll(rights.consume()); });
    note("admin", [](const Rights& rights) { return rights.admin(); });
  }
}

void NoteSmaller(absl::string_view key, absl::Duration running, absl::Duration next,
                 Problems& problems) {
  if (next >= running) return;
  problems.AddWarning(
      key, absl::StrCat("is ", absl::FormatDuration(next), " now, and was ",
                        absl::FormatDuration(running), ": what is older than that is removed"));
}

void NoteSmaller(absl::string_view key, int64_t running, int64_t next, Problems& problems) {
  if (next >= running) return;
  const std::string before = running == kNoMaxBytes ? "without a limit" : absl::StrCat(running);
  problems.AddWarning(key, absl::StrCat("is ", next, " now, and was ", before,
                                        ": the oldest of what is beyond that is removed"));
}

// Collects the names of settings that differ, as deep as an operator looks for them.
class SettingNames : public google::protobuf::util::MessageDifferencer::Reporter {
 public:
  using Path = std::vector<google::protobuf::util::MessageDifferencer::SpecificField>;
  using Message = google::protobuf::Message;

  void ReportAdded(const Message&, const Message&, const Path& path) override { Add(path); }
  void ReportDeleted(const Message&, const Message&, const Path& path) override { Add(path); }
  void ReportModified(const Message&, const Message&, const Path& path) override { Add(path); }

  const std::vector<std::string>& names() const { return names_; }

 private:
  void Add(const Path& path) {
    constexpr size_t kMostParts = 2;
    std::string name;
    for (size_t i = 0; i < path.size() && i < kMostParts; ++i) {
      absl::StrAppend(&name, i > 0 ? "." : "", path[i].field->name());
      const int index = path[i].new_index >= 0 ? path[i].new_index : path[i].index;
      if (path[i].field->is_repeated()) absl::StrAppend(&name, "[", index, "]");
    }
    // What is around a setting is reported after it.
    const auto is_named = [&name](const std::string& other) {
      return other == name || absl::StartsWith(other, name + ".");
    };
    if (std::none_of(names_.begin(), names_.end(), is_named)) names_.push_back(name);
  }

  std::vector<std::string> names_;
};

}  // namespace

void NoteSmallerLimits(const RetentionLimits& running, const RetentionLimits& next,
                       Problems& problems) {
  const auto note = [&](absl::string_view key, auto limit) {
    NoteSmaller(absl::StrCat("storage.", key), running.*limit, next.*limit, problems);
  };
  note("retention", &RetentionLimits::max_event_age);
  note("max_unsettled_age", &RetentionLimits::max_unsettled_age);
  note("max_bytes", &RetentionLimits::max_bytes);
  note("quarantine.max_age", &RetentionLimits::max_quarantine_age);
  note("quarantine.max_entries", &RetentionLimits::max_quarantine_entries);
  note("history.max_age", &RetentionLimits::max_history_age);
  note("history.max_rows", &RetentionLimits::max_history_rows);
  note("conflicts.max_age", &RetentionLimits::max_conflict_age);
  note("conflicts.max_entries", &RetentionLimits::max_conflict_entries);
  note("conflicts.max_bytes", &RetentionLimits::max_conflict_bytes);
}

std::string ChangedSettings(const AppliedConfig& running, const AppliedConfig& next) {
  constexpr size_t kMostNames = 20;
  SettingNames names;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesTo(&names);
  differencer.Compare(running.whole, next.whole);
  const std::vector<std::string>& all = names.names();
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kMostNames));
  std::string text = absl::StrJoin(all.begin(), end, " ");
  if (all.size() > kMostNames) absl::StrAppend(&text, " and ", all.size() - kMostNames, " more");
  return text;
}

void CheckNothingIsLost(const AppliedConfig& running_config, const AppliedConfig& next_config,
                        Problems& problems) {
  const Config& running = running_config.file;
  const Config& next = next_config.file;
  if (running.principals_size() > 0 && next.principals_size() == 0) {
    problems.AddError(
        "principals",
        absl::StrCat(
            "there were ", running.principals_size(),
            ", and now there are 0, which would open gRPC to everyone: is the file truncated "
            "or empty? Put them back; if everyone is meant, restart hookgated"));
  }
  if (running.sources_size() > 0 && next.sources_size() == 0) {
    problems.AddError(
        "sources",
        absl::StrCat(
            "there were ", running.sources_size(),
            ", and now there are 0: is the file truncated or empty? Put them back; if the one "
            "source that has its secret in the environment is meant, restart hookgated"));
  }
  const auto check = [&problems](const char* section, bool was, bool is) {
    if (!was || is) return;
    problems.AddError(section,
                      absl::StrCat("this section has been removed: is the file truncated or empty? "
                                   "Put it back; if its defaults are meant, write ",
                                   section, " { }"));
  };
  check("storage", running.has_storage(), next.has_storage());
  check("logging", running.has_logging(), next.has_logging());
}

void CheckReload(const AppliedConfig& running, const AppliedConfig& next, Problems& problems) {
  CheckFixedPart(running.whole, next.whole, problems);
  CheckNothingIsLost(running, next, problems);
  NoteLargerRights(running.whole, next.whole, problems);
}

}  // namespace hookgate
