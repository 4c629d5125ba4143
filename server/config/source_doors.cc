#include "server/config/source_doors.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hookgate {
namespace {

using Sources = std::vector<const WebhookSource*>;

// Running sources whose webhooks may be those of one that comes.
struct Former {
  Sources sources;
  std::string who;        // how a message calls the first one that was held
  bool is_guess = false;  // it may be any one of them
};

// One network for each kind of address.
const std::vector<Network>& EveryAddress() {
  static const auto* const kAll =
      new std::vector<Network>{*Network::Parse("0.0.0.0/0"), *Network::Parse("::/0")};
  return *kAll;
}

// Whether there is an address from which it takes no webhooks.
bool IsHeld(const WebhookSource* source) {
  const std::vector<Network>& networks = source->allowed_networks;
  return !networks.empty() &&
         std::any_of(EveryAddress().begin(), EveryAddress().end(),
                     [&](const Network& kind) { return !kind.IsCoveredBy(networks); });
}

// The newest one: of those that were removed, several may have had the name.
const WebhookSource* Find(const std::vector<WebhookSource>& sources, absl::string_view name) {
  const auto found = std::find_if(sources.rbegin(), sources.rend(),
                                  [name](const WebhookSource& one) { return one.name == name; });
  return found == sources.rend() ? nullptr : &*found;
}

bool IsSame(const Secret& one, const Secret& other) {
  if (one.public_key() == nullptr || other.public_key() == nullptr) {
    return one.public_key() == other.public_key() && one.key() == other.key();
  }
  return *one.public_key() == *other.public_key();
}

Sources HoldersOf(const Secret& secret, const std::vector<WebhookSource>& running) {
  Sources holders;
  for (const WebhookSource& source : running) {
    if (std::any_of(source.secrets.begin(), source.secrets.end(),
                    [&secret](const Secret& one) { return IsSame(one, secret); })) {
      holders.push_back(&source);
    }
  }
  return holders;
}

// Without a trace: no other one has its name, or a secret of it.
Sources GoneOnes(const std::vector<WebhookSource>& running,
                 const std::vector<WebhookSource>& next) {
  Sources gone;
  for (const WebhookSource& source : running) {
    const bool goes_on =
        Find(next, source.name) != nullptr ||
        std::any_of(source.secrets.begin(), source.secrets.end(),
                    [&next](const Secret& secret) { return !HoldersOf(secret, next).empty(); });
    if (!goes_on) gone.push_back(&source);
  }
  return gone;
}

// What `source` was before, each from another point of view. If it may guess, for want of anything
// better: one that is gone.
std::vector<Former> FormersOf(const WebhookSource& source,
                              const std::vector<WebhookSource>& running,
                              const std::vector<WebhookSource>& removed,
                              const std::vector<WebhookSource>& next, bool may_guess) {
  std::vector<Former> formers;
  const WebhookSource* same = Find(running, source.name);
  if (same == nullptr) same = Find(removed, source.name);
  if (same != nullptr) formers.push_back({{same}, "it"});
  for (const Secret& secret : source.secrets) {
    Sources holders = HoldersOf(secret, running);
    if (holders.empty()) holders = HoldersOf(secret, removed);
    if (holders.empty() || std::find(holders.begin(), holders.end(), same) != holders.end())
      continue;
    std::string who = absl::StrCat("\"", holders.front()->name, "\", which had its secret \"",
                                   secret.name(), "\",");
    formers.push_back({std::move(holders), std::move(who)});
  }
  if (!formers.empty() || !may_guess) return formers;
  Sources gone = GoneOnes(running, next);
  const auto held = std::find_if(gone.begin(), gone.end(), IsHeld);
  if (held == gone.end()) return {};
  std::string who = absl::StrCat("\"", (*held)->name, "\", which is gone,");
  return {{std::move(gone), std::move(who), true}};
}

// Nobody but from some networks.
bool WereHeld(const Former& former) {
  return std::all_of(former.sources.begin(), former.sources.end(), IsHeld);
}

std::string KeyOfNetworks(size_t source) {
  return absl::StrCat("sources[", source, "].allowed_networks");
}

void CheckNotOpen(const std::string& key, const std::vector<Former>& formers, Problems& problems) {
  for (const Former& former : formers) {
    if (!former.is_guess && !WereHeld(former)) continue;
    problems.AddError(
        key, absl::StrCat("is empty, which would admit every address, and ", former.who,
                          " had networks: put them ",
                          former.is_guess ? "here if this is its new name" : "here",
                          "; if every address is meant, write \"0.0.0.0/0\" and \"::/0\""));
    return;
  }
}

bool WasAdmittedBy(const Former& former, const Network& network) {
  std::vector<Network> networks;
  for (const WebhookSource* const source : former.sources) {
    networks.insert(networks.end(), source->allowed_networks.begin(),
                    source->allowed_networks.end());
  }
  return network.IsCoveredBy(networks);
}

void NoteNewNetworks(const std::string& key, const WebhookSource& source,
                     const std::vector<Former>& formers, Problems& problems) {
  for (size_t i = 0; i < source.allowed_networks.size(); ++i) {
    const Network& network = source.allowed_networks[i];
    const auto former = std::find_if(formers.begin(), formers.end(), [&](const Former& one) {
      return WereHeld(one) && !WasAdmittedBy(one, network);
    });
    if (former == formers.end()) continue;
    problems.AddWarning(absl::StrCat(key, "[", i, "]"),
                        absl::StrCat("\"", source.name, "\" takes webhooks from ", network.text(),
                                     " now, and ", former->who, " did not before"));
  }
}

void CheckDoors(const std::vector<WebhookSource>& running,
                const std::vector<WebhookSource>& removed, const std::vector<WebhookSource>& next,
                bool may_guess, Problems& problems) {
  for (size_t i = 0; i < next.size(); ++i) {
    const std::string key = KeyOfNetworks(i);
    const std::vector<Former> formers = FormersOf(next[i], running, removed, next, may_guess);
    if (next[i].allowed_networks.empty()) {
      CheckNotOpen(key, formers, problems);
    } else {
      NoteNewNetworks(key, next[i], formers, problems);
    }
  }
}

// Its secrets that no source of `next` has.
std::vector<Secret> LostSecrets(const WebhookSource& source,
                                const std::vector<WebhookSource>& next) {
  std::vector<Secret> lost;
  std::copy_if(source.secrets.begin(), source.secrets.end(), std::back_inserter(lost),
               [&next](const Secret& secret) { return HoldersOf(secret, next).empty(); });
  return lost;
}

}  // namespace

void CheckSourceDoors(const std::vector<WebhookSource>& running,
                      const std::vector<WebhookSource>& removed,
                      const std::vector<WebhookSource>& next, Problems& problems) {
  CheckDoors(running, removed, next, /*may_guess=*/true, problems);
}

void CheckNetworksStay(const std::vector<WebhookSource>& running,
                       const std::vector<WebhookSource>& removed, std::vector<WebhookSource> next,
                       const hookgate::config::v1::Config& config, Problems& problems) {
  if (static_cast<int>(next.size()) != config.sources_size()) return;
  bool has_all_secrets = true;
  for (int i = 0; i < config.sources_size(); ++i) {
    WebhookSource& source = next[static_cast<size_t>(i)];
    const auto secrets = static_cast<size_t>(config.sources(i).secrets_size());
    has_all_secrets = has_all_secrets && source.secrets.size() >= secrets;
    // What is wrong with them is told already.
    if (config.sources(i).allowed_networks_size() > 0) source.allowed_networks = EveryAddress();
  }
  Problems found;
  // A source may seem to be gone that goes on under the secret that could not be read.
  CheckDoors(running, removed, next, /*may_guess=*/has_all_secrets, found);
  problems.AddErrors(found);
}

void NoteRemovedSources(const std::vector<WebhookSource>& running,
                        const std::vector<WebhookSource>& next,
                        std::vector<WebhookSource>& removed) {
  constexpr size_t kMost = 1000;
  for (WebhookSource& source : removed) source.secrets = LostSecrets(source, next);
  for (const WebhookSource& source : running) {
    WebhookSource lost = source;
    lost.secrets = LostSecrets(source, next);
    removed.push_back(std::move(lost));
  }
  // What has no secret any more is still known by its name, if nothing has it now.
  removed.erase(std::remove_if(removed.begin(), removed.end(),
                               [&next](const WebhookSource& source) {
                                 return source.secrets.empty() &&
                                        Find(next, source.name) != nullptr;
                               }),
                removed.end());
  if (removed.size() <= kMost) return;
  removed.erase(removed.begin(), removed.end() - static_cast<std::ptrdiff_t>(kMost));
}

}  // namespace hookgate
