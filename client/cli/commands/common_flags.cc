#include "client/cli/commands/common_flags.h"

#include <set>
#include <utility>

#include "server/event/event_schema.h"

namespace hookgate::cli {
namespace {

// Families before their members: "batch" is more likely to mean all of them.
std::vector<std::string> UsualTypes() {
  std::set<std::string> families;
  std::vector<std::string> types;
  for (const EventType& type : KnownEventTypes()) {
    types.push_back(type.name);
    families.insert(type.name.substr(0, type.name.rfind('.') + 1) + "*");
  }
  types.insert(types.begin(), families.begin(), families.end());
  return types;
}

}  // namespace

FlagSpec GrpcFlag() {
  return {.name = "grpc",
          .value = "HOST:PORT",
          .help = "The gateway's gRPC address. A proxy is used only if $grpc_proxy names one.",
          .default_value = "127.0.0.1:50051",
          .variable = "HOOKGATE_GRPC"};
}

FlagSpec OutputFlag() {
  return {.name = "output",
          .kind = FlagKind::kChoice,
          .help =
              "Text for people, or one JSON object per line. In JSON the 64-bit numbers, such as "
              "sequences and counts, are strings, since JavaScript would round them: in jq, "
              "(.sequence | tonumber).",
          .default_value = "text",
          .choices = {"text", "json"}};
}

FlagSpec ColorFlag() {
  return {.name = "color",
          .kind = FlagKind::kChoice,
          .help = "auto: on a terminal, unless $NO_COLOR is set.",
          .default_value = "auto",
          .choices = {"auto", "always", "never"}};
}

FlagSpec TimeoutFlag(const std::string& help, const std::string& default_value) {
  return {.name = "timeout",
          .kind = FlagKind::kDuration,
          .value = "DURATION",
          .help = help,
          .default_value = default_value,
          .shortest = absl::Milliseconds(1),
          .longest = absl::Hours(1)};
}

std::vector<FlagSpec> CallFlags(const std::string& timeout_help,
                                const std::string& timeout_default) {
  return {GrpcFlag(), TimeoutFlag(timeout_help, timeout_default), OutputFlag(), ColorFlag()};
}

std::vector<FlagSpec> FilterFlags() {
  return {{.name = "source",
           .value = "NAME",
           .help = "Only from this source. Given several times: from any of them.",
           .repeated = true},
          {.name = "type",
           .value = "TYPE",
           .help = "Only of this type, such as batch.failed; batch.* is every type below batch. "
                   "Several: any of them.",
           .repeated = true,
           .usual = UsualTypes()},
          {.name = "subject",
           .value = "ID",
           .help = "Only about this id, such as a batch's. Several: any of them.",
           .repeated = true}};
}

std::vector<FlagSpec> Join(std::vector<std::vector<FlagSpec>> parts) {
  std::vector<FlagSpec> all;
  for (std::vector<FlagSpec>& part : parts) {
    for (FlagSpec& flag : part) all.push_back(std::move(flag));
  }
  return all;
}

v1::EventFilter FilterOf(const Flags& flags) {
  v1::EventFilter filter;
  for (const std::string& source : flags.List("source")) filter.add_sources(source);
  for (const std::string& type : flags.List("type")) filter.add_types(type);
  for (const std::string& subject : flags.List("subject")) filter.add_subjects(subject);
  return filter;
}

bool IsJson(const Flags& flags) { return flags.Text("output") == "json"; }

Style StyleOf(const Flags& flags, const Environment& environment) {
  const std::string& color = flags.Text("color");
  if (color != "auto") return Style(color == "always");
  // https://no-color.org: any value but an empty one.
  const bool unwanted = !environment.get_variable("NO_COLOR").value_or("").empty();
  return Style(environment.out_is_terminal && !unwanted);
}

Reader ReaderOf(const Flags& flags, const Environment& environment) {
  return {environment.clock.WallNow(), environment.zone, StyleOf(flags, environment)};
}

}  // namespace hookgate::cli
