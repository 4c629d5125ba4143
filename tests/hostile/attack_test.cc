// Every attack on a real gateway under load, one after the other. As a test each lasts a moment:
// what it may cost at most is in siege.h. The longer form compares webhooks with and without:
//
//   bazel run -c opt //tests/hostile:attack_report -- --only=flood
//
// With --decoy the same attacks go to a server that does nothing, beside a gateway that nobody
// attacks: what webhooks suffer then, the machine does to them.
//
// Both print what each attack has cost as a table.

#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/decoy.h"
#include "tests/hostile/siege.h"

ABSL_FLAG(double, seconds, 0.1, "How long each attack lasts at least");
ABSL_FLAG(double, calm_seconds, 0,
          "How long webhooks are watched before; if not 0, an attack must not triple their 99th "
          "percentile");
ABSL_FLAG(bool, fresh, false, "A gateway of its own for each attack: its peak is its own then");
ABSL_FLAG(int, scale, 1, "Multiplies the connections of crowds");
ABSL_FLAG(bool, decoy, false, "Attacks a server that does nothing, in the place of the gateway");
ABSL_FLAG(std::string, only, "", "Only attacks whose name holds this");

namespace hookgate {
namespace {

constexpr int kMaxSlowdown = 3;

class AttackTest : public SiegeTest {
 protected:
  void RunAll(bool tls) {
    std::cout << "| attack | over | s | MiB sent | peak MiB | kept MiB | back s | CPU s |"
                 " p99 before ms | p99 during ms | silence ms | new call ms | connections | ended |"
                 " borne |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    std::unique_ptr<Decoy> decoy;
    if (absl::GetFlag(FLAGS_decoy)) {
      decoy = std::make_unique<Decoy>();
      Divert(decoy->address());
    }
    const auto unwanted = tls ? Attack::Transport::kPlain : Attack::Transport::kTls;
    bool lives = false;
    for (const Attack& attack : AllAttacks(Token(), absl::GetFlag(FLAGS_scale))) {
      if (attack.transport == unwanted ||
          !absl::StrContains(attack.name, absl::GetFlag(FLAGS_only))) {
        continue;
      }
      SCOPED_TRACE(attack.name);
      if (!lives) StartSiege(tls);
      if (HasFatalFailure()) return;
      const bool borne = Run(attack);
      // What one has broken is not to be blamed on the next one.
      lives = borne && !absl::GetFlag(FLAGS_fresh);
      if (!borne) std::cerr << gateway_->log();
      if (!lives) EndSiege();
    }
    if (lives) EndSiege();
  }

 private:
  bool Run(const Attack& attack) {
    const absl::Duration calm = absl::Seconds(absl::GetFlag(FLAGS_calm_seconds));
    const int failures =
        testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    const Toll toll = Suffer(attack, absl::Seconds(absl::GetFlag(FLAGS_seconds)), calm);
    ExpectBearable(attack, toll);
    const auto ms = [](absl::Duration time) { return absl::ToDoubleMilliseconds(time); };
    const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    const double before = ms(toll.before.WebhookPercentile(99));
    const double during = ms(toll.during.WebhookPercentile(99));
    if (calm > absl::ZeroDuration()) {
      EXPECT_LT(during, kMaxSlowdown * before) << "ms, 99th percentile of webhooks";
    }
    const bool borne =
        testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() ==
        failures;
    std::cout << absl::StreamFormat(
        "| %-40s | %-5s | %5.2f | %7.1f | %6.1f | %6.1f | %5.1f | %5.2f | %6.1f | %6.1f | %5.0f |"
        " %5.0f | %5d | %5d | %s |\n",
        attack.name, tls() ? "TLS" : "plain", absl::ToDoubleSeconds(toll.lasted),
        mib(toll.attack.sent_bytes), mib(toll.peak_bytes), mib(toll.kept_bytes),
        absl::ToDoubleSeconds(toll.back_after), absl::ToDoubleSeconds(toll.cpu), before, during,
        ms(toll.during.longest_silence), ms(toll.during.longest_call), toll.attack.connected,
        toll.attack.ended, borne ? "yes" : "NO");
    std::cout.flush();
    return borne;
  }
};

TEST_F(AttackTest, InPlainText) { RunAll(/*tls=*/false); }

TEST_F(AttackTest, OverTls) { RunAll(/*tls=*/true); }

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
