#include "server/config/source_doors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

//   secrets  the texts of shared ones; their names are "k0", "k1", ...
WebhookSource Of(const std::string& name, const std::vector<std::string>& secrets,
                 const std::vector<std::string>& networks) {
  WebhookSource source;
  source.name = name;
  for (const std::string& secret : secrets) {
    source.secrets.push_back(
        *Secret::FromRawText(absl::StrCat("k", source.secrets.size()), secret));
  }
  for (const std::string& network : networks) {
    source.allowed_networks.push_back(*Network::Parse(network));
  }
  return source;
}

Problems Check(const std::vector<WebhookSource>& running, const std::vector<WebhookSource>& next,
               const std::vector<WebhookSource>& removed = {}) {
  Problems problems;
  CheckSourceDoors(running, removed, next, problems);
  return problems;
}

const std::vector<WebhookSource> kHeld = {Of("s", {"a"}, {"10.0.0.0/8", "192.0.2.0/24"})};

TEST(SourceDoorsTest, NetworksDoNotVanish) {
  EXPECT_THAT(Check(kHeld, {Of("s", {"a"}, {})}).errors(),
              ElementsAre(AllOf(HasSubstr("sources[0].allowed_networks: is empty"),
                                HasSubstr("it had networks"), HasSubstr("0.0.0.0/0"))));
  EXPECT_THAT(Check(kHeld, {Of("s", {"b"}, {})}).errors(), SizeIs(1));
  EXPECT_TRUE(Check(kHeld, {Of("s", {"a"}, {"0.0.0.0/0", "::/0"})}).ok());
  EXPECT_TRUE(Check(kHeld, kHeld).ok());
  EXPECT_TRUE(Check({Of("s", {"a"}, {"0.0.0.0/0", "::/0"})}, {Of("s", {"a"}, {})}).ok())
      << "it was open";
  EXPECT_FALSE(Check({Of("s", {"a"}, {"0.0.0.0/0"})}, {Of("s", {"a"}, {})}).ok());
  EXPECT_FALSE(Check({Of("s", {"a"}, {"::/0"})}, {Of("s", {"a"}, {})}).ok());
  EXPECT_TRUE(Check(kHeld, {}).ok()) << "it is gone";
}

// Under its new name a source took webhooks from everywhere.
TEST(SourceDoorsTest, NetworksDoNotVanishWithTheName) {
  std::vector<WebhookSource> running = kHeld;
  running.push_back(Of("open", {"o"}, {}));
  for (const char* const secret : {"a", "b"}) {
    EXPECT_THAT(Check(running, {Of("open", {"o"}, {}), Of("t", {secret}, {})}).errors(),
                ElementsAre(AllOf(HasSubstr("sources[1].allowed_networks"), HasSubstr("\"s\""))));
    EXPECT_TRUE(Check(running, {Of("open", {"o"}, {}), Of("t", {secret}, {"10.0.0.0/8"})}).ok());
  }
  EXPECT_TRUE(Check(running, {Of("t", {"o"}, {})}).ok()) << "it is the open one's new name";
}

TEST(SourceDoorsTest, ANewSourceBesideARenamedOneIsNotItsNewName) {
  const Problems problems = Check(
      kHeld, {Of("t", {"a"}, {"10.0.0.0/8"}), Of("new", {"n"}, {}), Of("n2", {"m"}, {"::/0"})});
  EXPECT_TRUE(problems.ok());
  EXPECT_THAT(problems.warnings(), IsEmpty());
}

// The secret that was held to some networks stood in another source as well, and what was answered
// 403 was answered 200.
TEST(SourceDoorsTest, NetworksDoNotVanishWithASecretThatMoves) {
  std::vector<WebhookSource> running = kHeld;
  running.push_back(Of("open", {"o"}, {}));
  // To a new source, while the old one stays with another one or keeps it.
  for (const char* const secret : {"a", "b"}) {
    EXPECT_THAT(Check(running, {Of("s", {secret}, {"10.0.0.0/8"}), Of("t", {"a"}, {})}).errors(),
                ElementsAre(AllOf(HasSubstr("sources[1].allowed_networks"),
                                  HasSubstr("\"s\", which had its secret \"k0\", had networks"))));
  }
  // To one that is there and open.
  EXPECT_THAT(Check(running, {Of("open", {"o", "a"}, {})}).errors(),
              ElementsAre(AllOf(HasSubstr("sources[0]"), HasSubstr("secret \"k1\""))));
  // To wider networks.
  const Problems wider = Check(running, {kHeld[0], Of("t", {"a"}, {"10.1.0.0/16", "::/0"})});
  EXPECT_TRUE(wider.ok());
  EXPECT_THAT(wider.warnings(), ElementsAre(AllOf(HasSubstr("sources[1].allowed_networks[1]"),
                                                  HasSubstr("from ::/0 now, and \"s\""))));
  // Where it was taken from everywhere before.
  running.push_back(Of("also", {"a"}, {}));
  EXPECT_TRUE(Check(running, {Of("t", {"a"}, {})}).ok());
}

// A typing mistake opened a source to everybody, and "config applied" was all that was said.
TEST(SourceDoorsTest, NetworksThatAreNewAreWarnedOf) {
  const auto warnings = [](const std::vector<WebhookSource>& running, const char* name,
                           const std::vector<std::string>& networks) {
    return Check(running, {Of(name, {"b"}, networks)}).warnings();
  };
  EXPECT_THAT(warnings(kHeld, "s", {"10.1.0.0/16", "192.0.2.7"}), IsEmpty());
  EXPECT_THAT(warnings(kHeld, "s", {"10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"}),
              ElementsAre(AllOf(HasSubstr("sources[0].allowed_networks[1]"), HasSubstr("0.0.0.0/0"),
                                HasSubstr("it did not before")),
                          HasSubstr("2001:db8::/32")));
  EXPECT_THAT(warnings({Of("s", {"a"}, {})}, "s", {"10.0.0.0/8"}), IsEmpty()) << "all could";
  // Under another name it was not said at all.
  EXPECT_THAT(warnings(kHeld, "t", {"0.0.0.0/1", "192.0.2.0/24", "128.0.0.0/1"}),
              ElementsAre(AllOf(HasSubstr("\"t\" takes webhooks from 0.0.0.0/1"),
                                HasSubstr("\"s\", which is gone")),
                          HasSubstr("128.0.0.0/1")));
  EXPECT_THAT(warnings({kHeld[0], Of("open", {"o"}, {})}, "t", {"::/0"}), IsEmpty())
      << "it may have been the open one";
  EXPECT_THAT(Check(kHeld, {kHeld[0], Of("t", {"b"}, {"::/0"})}).warnings(), IsEmpty())
      << "one that is added";
}

// Two halves that were joined were said to be new.
TEST(SourceDoorsTest, NetworksThatAreWrittenInAnotherWayAreNotNew) {
  EXPECT_THAT(Check({Of("s", {"a"}, {"192.0.2.0/25", "192.0.2.128/25"})},
                    {Of("s", {"a"}, {"192.0.2.0/24"})})
                  .warnings(),
              IsEmpty());
}

// One reload took the source out, and the next one brought it back without its networks.
TEST(SourceDoorsTest, NetworksDoNotVanishOverTwoReloads) {
  const std::vector<WebhookSource> open = {Of("open", {"o"}, {})};
  const std::vector<WebhookSource> back = {open[0], Of("s", {"a"}, {})};
  std::vector<WebhookSource> removed;
  NoteRemovedSources({open[0], kHeld[0]}, open, removed);
  ASSERT_THAT(removed, SizeIs(1));
  EXPECT_THAT(Check(open, back, removed).errors(),
              ElementsAre(AllOf(HasSubstr("sources[1].allowed_networks"),
                                HasSubstr("\"0.0.0.0/0\""), HasSubstr("it had networks"))));
  EXPECT_THAT(Check(open, {open[0], Of("s", {"a"}, {"::/0"})}, removed).warnings(), SizeIs(1));
  EXPECT_TRUE(Check(open, {open[0], Of("new", {"n"}, {})}, removed).ok()) << "another one";
  // With its secret, under another name, or in a source that is there.
  EXPECT_THAT(Check(open, {open[0], Of("t", {"a"}, {})}, removed).errors(),
              ElementsAre(HasSubstr("\"s\", which had its secret \"k0\", had networks")));
  EXPECT_FALSE(Check(open, {Of("open", {"o", "a"}, {})}, removed).ok());
  NoteRemovedSources(open, {open[0], kHeld[0]}, removed);
  EXPECT_THAT(removed, IsEmpty()) << "it is there again";
}

// What was remembered was a source with its name, whatever became of its secrets meanwhile.
TEST(SourceDoorsTest, EachSecretBringsTheNetworksThatItHadLast) {
  const WebhookSource held = kHeld[0];
  std::vector<WebhookSource> removed;
  // It was open under another name, before it was held.
  NoteRemovedSources({Of("u", {"a"}, {})}, {held}, removed);
  NoteRemovedSources({held}, {}, removed);
  EXPECT_FALSE(Check({}, {Of("t", {"a"}, {})}, removed).ok());
  EXPECT_TRUE(Check({}, {Of("u", {"b"}, {})}, removed).ok()) << "u was open";

  // The source went on without it.
  removed.clear();
  const std::vector<WebhookSource> rest = {Of("s", {"b"}, {"10.0.0.0/8"})};
  NoteRemovedSources({Of("s", {"a", "b"}, {"10.0.0.0/8"})}, rest, removed);
  EXPECT_FALSE(Check(rest, {rest[0], Of("t", {"a"}, {})}, removed).ok());
  EXPECT_TRUE(Check(rest, {rest[0], Of("t", {"c"}, {})}, removed).ok());

  // Its name came back with another secret, and was open, on purpose.
  removed.clear();
  const std::vector<WebhookSource> open = {Of("s", {"b"}, {"0.0.0.0/0", "::/0"})};
  NoteRemovedSources({held}, {}, removed);
  NoteRemovedSources({}, open, removed);
  EXPECT_FALSE(Check(open, {open[0], Of("t", {"a"}, {})}, removed).ok());
  NoteRemovedSources(open, {}, removed);
  EXPECT_TRUE(Check({}, {Of("s", {"b"}, {})}, removed).ok()) << "as it was last";
}

// A secret file that was missing was all that was told, and the lost networks came out at the next
// try.
TEST(SourceDoorsTest, LostNetworksAreToldBesideSecretsThatCannotBeRead) {
  const auto errors = [](const std::vector<WebhookSource>& next,
                         const std::vector<std::string>& networks_as_written) {
    hookgate::config::v1::Config config;
    for (const WebhookSource& source : next) config.add_sources()->set_name(source.name);
    for (const std::string& network : networks_as_written) {
      config.mutable_sources(1)->add_allowed_networks(network);
    }
    Problems problems;
    CheckNetworksStay(kHeld, {}, next, config, problems);
    EXPECT_THAT(problems.warnings(), IsEmpty());
    return problems.errors();
  };
  const WebhookSource unread = Of("new", {}, {});
  EXPECT_THAT(errors({Of("new", {"n"}, {}), Of("s", {}, {})}, {}),
              ElementsAre(HasSubstr("sources[1].allowed_networks: is empty")));
  EXPECT_THAT(errors({unread, Of("t", {"a"}, {})}, {}),
              testing::Contains(HasSubstr("sources[1].allowed_networks: is empty")))
      << "under another name";
  EXPECT_THAT(errors({unread, Of("s", {"a"}, {})}, {"no network"}), IsEmpty())
      << "it has some, which are wrong";
}

// A new source that is open, on purpose, was told to have the networks of one that had another name
// and a secret that could not be read.
TEST(SourceDoorsTest, BesideSecretsThatCannotBeReadNobodyIsGuessedToBeGone) {
  const std::vector<WebhookSource> next = {Of("n", {"n"}, {}), Of("t", {}, {})};
  hookgate::config::v1::Config config;
  for (const WebhookSource& source : next) {
    config.add_sources()->set_name(source.name);
    config.mutable_sources()->rbegin()->add_secrets();
  }
  config.mutable_sources(1)->add_allowed_networks("10.0.0.0/8");
  Problems problems;
  CheckNetworksStay(kHeld, {}, next, config, problems);
  EXPECT_THAT(problems.errors(), IsEmpty());
}

TEST(SourceDoorsTest, PublicKeysAreToldApart) {
  const auto of = [](const std::string& name, const char* key, const std::vector<std::string>& at) {
    WebhookSource source = Of(name, {}, at);
    source.secrets.push_back(*Secret::Parse("k", absl::StrCat("whpk_", key)));
    return source;
  };
  constexpr char kOne[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
  constexpr char kOther[] = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
  const std::vector<WebhookSource> running = {of("s", kOne, {"10.0.0.0/8"})};
  EXPECT_FALSE(Check(running, {running[0], of("t", kOne, {})}).ok());
  EXPECT_TRUE(Check(running, {running[0], of("t", kOther, {})}).ok());
  EXPECT_TRUE(Check(running, {running[0], Of("t", {"a"}, {})}).ok());
}

}  // namespace
}  // namespace hookgate
