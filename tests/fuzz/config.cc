// The input is a config file. It is right or it is refused, and no refusal shows a secret.

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/load_config.h"
#include "server/config/options.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

constexpr char kKey[] = "cHJpdmF0ZS1rZXktcHJpdmF0ZS1rZXk=";
constexpr char kSecret[] = "whsec_cHJpdmF0ZS1rZXktcHJpdmF0ZS1rZXk=";

// A file that exists in memory alone.
class MemoryFile {
 public:
  explicit MemoryFile(absl::string_view content) : fd_(memfd_create("config", MFD_CLOEXEC)) {
    Expect(fd_ >= 0, "a file in memory");
    Expect(write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()),
           "its content");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }

  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_); }

 private:
  const int fd_;
};

// Whether the key stands where secrets stand and nowhere else, so that no message may show it.
bool KeyIsSecretIn(absl::string_view text) {
  constexpr absl::string_view kBefore[] = {"inline: \"whsec_", "inline: whsec_"};
  for (size_t at = text.find(kKey); at != absl::string_view::npos; at = text.find(kKey, at + 1)) {
    const absl::string_view before = text.substr(0, at);
    if (!absl::EndsWith(before, kBefore[0]) && !absl::EndsWith(before, kBefore[1])) return false;
  }
  return true;
}

void CheckProblems(const Problems& problems, absl::string_view text) {
  for (const auto* all : {&problems.errors(), &problems.warnings()}) {
    for (const std::string& problem : *all) {
      Expect(!problem.empty() && problem.size() < 8000, "each says why, in a bounded length", text);
      if (KeyIsSecretIn(text))
        Expect(!absl::StrContains(problem, kKey), "no secret in it", problem);
    }
  }
}

void CheckOptions(const Options& options, absl::string_view text) {
  Expect(!options.sources.empty(), "a source", text);
  for (const WebhookSource& source : options.sources) {
    Expect(!source.secrets.empty(), "a secret a source", text);
    Expect(source.timestamp_tolerance > absl::ZeroDuration(), "a tolerance", text);
  }
  Expect(options.http.max_body_bytes > 0 && options.http.max_connections > 0, "limits", text);
  Expect(options.http.header_timeout > absl::ZeroDuration() &&
             options.http.body_timeout > absl::ZeroDuration() &&
             options.http.idle_timeout > absl::ZeroDuration(),
         "time-outs", text);
  Expect(options.retention.max_unsettled_age >= options.retention.max_event_age,
         "what nobody settled is kept as long as the rest", text);
}

void CheckConfig(const std::string& text) {
  const MemoryFile file(text);
  Problems problems;
  absl::optional<Config> config = LoadConfig(file.path(), problems);
  Expect(config.has_value() || !problems.ok(), "a config or an error", text);
  CheckProblems(problems, text);
  if (!config.has_value()) return;
  // The fuzzer must not choose what is read: there are files that do not end.
  for (auto& source : *config->mutable_sources()) {
    for (auto& secret : *source.mutable_secrets()) {
      if (secret.has_file()) secret.set_file("/dev/null");
    }
  }
  Problems of_options;
  const Options options = ResolveOptions(
      *config, [](const std::string&) { return absl::make_optional<std::string>(kSecret); },
      of_options);
  CheckProblems(of_options, text);
  if (of_options.ok()) CheckOptions(options, text);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hookgate::CheckConfig(hookgate::ToInput(data, size));
  return 0;
}
