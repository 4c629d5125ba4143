#include "server/config/reload.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/message_differencer.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;
using hookgate::config::v1::Principal;
using hookgate::config::v1::Source;

// What is left after what may change has been taken out. Empty messages mean the same as none.
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
  config.mutable_http();
  config.mutable_grpc()->mutable_limits();
  config.mutable_admin();
  config.mutable_metrics();
  return config;
}

void CheckFixedPart(const Config& running, const Config& next, Problems& problems) {
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (differencer.Compare(FixedPart(running), FixedPart(next))) return;
  for (const absl::string_view difference : absl::StrSplit(differences, '\n', absl::SkipEmpty())) {
    problems.AddError("config", absl::StrCat("this can only change with a restart: ", difference));
  }
}

void CheckNoSectionIsLost(const Config& running, const Config& next, Problems& problems) {
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

template <typename Named>
const Named* Find(const google::protobuf::RepeatedPtrField<Named>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&name](const Named& one) { return one.name() == name; });
  return found == all.end() ? nullptr : &*found;
}

void CheckSources(const Config& running, const Config& next, Problems& problems) {
  for (int i = 0; i < next.sources_size(); ++i) {
    const Source* const before = Find(running.sources(), next.sources(i).name());
    if (before == nullptr || before->allowed_networks().empty() ||
        !next.sources(i).allowed_networks().empty()) {
      continue;
    }
    problems.AddError(
        absl::StrCat("sources[", i, "].allowed_networks"),
        absl::StrCat("there were ", before->allowed_networks_size(),
                     ", and now there are 0, which would admit every address: put them back; "
                     "if every address is meant, write \"0.0.0.0/0\" and \"::/0\""));
  }
}

bool HasAll(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return std::find(names.begin(), names.end(), "*") != names.end();
}

void NoteLargerRights(const Config& running, const Config& next, Problems& problems) {
  for (int i = 0; i < next.principals_size(); ++i) {
    const Principal& principal = next.principals(i);
    const Principal* const before = Find(running.principals(), principal.name());
    if (before == nullptr) continue;
    const auto note = [&](const char* right, bool had, bool has) {
      if (had || !has) return;
      problems.AddWarning(
          absl::StrCat("principals[", i, "].rights.", right),
          absl::StrCat("\"", principal.name(), "\" has this right ",
                       right == absl::string_view("admin") ? "" : "for all (\"*\") ",
                       "now, and had not before"));
    };
    note("subscribe", HasAll(before->rights().subscribe()), HasAll(principal.rights().subscribe()));
    note("query", HasAll(before->rights().query()), HasAll(principal.rights().query()));
    note("consume", HasAll(before->rights().consume()), HasAll(principal.rights().consume()));
    note("admin", before->rights().admin(), principal.rights().admin());
  }
}

}  // namespace

void CheckReload(const AppliedConfig& running, const AppliedConfig& next, Problems& problems) {
  CheckFixedPart(running.whole, next.whole, problems);
  CheckNoSectionIsLost(running.file, next.file, problems);
  CheckSources(running.whole, next.whole, problems);
  NoteLargerRights(running.whole, next.whole, problems);
}

}  // namespace hookgate
