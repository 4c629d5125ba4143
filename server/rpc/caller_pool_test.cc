#include "server/rpc/caller_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access_control.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

class CallerPoolTest : public testing::Test {
 protected:
  std::shared_ptr<const Caller> Share(const std::string& peer, const std::string& token,
                                      const std::vector<CertificateName>& names = {}) {
    CallInfo info = {.peer = peer, .certificate_names = names};
    if (!token.empty()) info.metadata.AddFromWire("authorization", absl::StrCat("Bearer ", token));
    return callers_.Share(info);
  }

  FakeClock clock_;
  AccessControl access_;
  CallGate gate_{access_, clock_, nullptr};
  CallerPool callers_{gate_};
};

TEST_F(CallerPoolTest, WhoShowsTheSameOnOneConnectionIsOneCaller) {
  const auto first = Share("ipv4:192.0.2.1:1", "token");
  EXPECT_EQ(Share("ipv4:192.0.2.1:1", "token"), first);
  EXPECT_NE(Share("ipv4:192.0.2.1:2", "token"), first);
  EXPECT_EQ(first->peer(), "ipv4:192.0.2.1:1");
}

// A proxy's connection is many callers'.
TEST_F(CallerPoolTest, WhoShowsSomethingElseIsSomebodyElse) {
  const std::string peer = "ipv4:192.0.2.1:1";
  const std::vector<CertificateName> names = {{CertificateName::Kind::kDns, "a.example"}};
  const auto nobody = Share(peer, "");
  const auto first = Share(peer, "token");
  const auto second = Share(peer, "another");
  const auto named = Share(peer, "another", names);
  const auto uri = Share(peer, "another", {{CertificateName::Kind::kUri, "a.example"}});
  EXPECT_NE(first, nobody);
  EXPECT_NE(second, first);
  EXPECT_NE(named, second);
  EXPECT_NE(uri, named);
  EXPECT_EQ(Share(peer, "another", {{CertificateName::Kind::kUri, "a.example"}}), uri);
}

TEST_F(CallerPoolTest, ConnectionsThatHaveGoneAreForgotten) {
  for (int i = 0; i < 10'000; ++i) Share(absl::StrCat("ipv4:192.0.2.1:", i), "token");
  EXPECT_LE(callers_.size(), 65);
  const auto held = Share("ipv4:192.0.2.1:1", "token");
  for (int i = 10'000; i < 20'000; ++i) Share(absl::StrCat("ipv4:192.0.2.1:", i), "token");
  EXPECT_EQ(Share("ipv4:192.0.2.1:1", "token"), held);
}

}  // namespace
}  // namespace hookgate
