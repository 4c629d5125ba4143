#include "server/rpc/stream_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/types/optional.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeStream : public OpenStream {
 public:
  // With a registry it removes itself as it hears of the end, as a stream may whose client is gone.
  explicit FakeStream(StreamRegistry* registry = nullptr, int64_t position = 0)
      : registry_(registry), position_(position) {}

  void Drain(absl::Duration reconnect_delay) override {
    delay = reconnect_delay;
    if (registry_ != nullptr) registry_->Remove(this);
  }
  void Recheck() override {
    ++rechecks;
    if (registry_ != nullptr) registry_->Remove(this);
  }
  void CountIfBehind(int64_t head, StreamsBehind& behind) override {
    if (head - position_ > kMaxLiveLag) ++behind.subscribe;
  }

  absl::optional<absl::Duration> delay;
  int rechecks = 0;

 private:
  StreamRegistry* const registry_;
  const int64_t position_;
};

std::vector<int64_t> IdsAfter(const StreamRegistry& registry, int64_t id, size_t max) {
  std::vector<int64_t> ids;
  for (const auto& [stream_id, stream] : registry.After(id, max)) ids.push_back(stream_id);
  return ids;
}

TEST(StreamRegistryTest, TheNumberIsBoundedAndOneThatEndsMakesRoom) {
  StreamRegistry registry(2);
  const auto first = std::make_shared<FakeStream>();
  EXPECT_TRUE(registry.Add(first).ok());
  EXPECT_TRUE(registry.Add(std::make_shared<FakeStream>()).ok());
  const auto third = std::make_shared<FakeStream>();
  const absl::Status refused = registry.Add(third);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ReasonOf(refused), reason::kTooManyStreams);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("2 streams"));
  // One that was never let in takes nobody's place with it.
  registry.Remove(third.get());
  EXPECT_EQ(registry.size(), 2u);
  registry.Remove(first.get());
  registry.Remove(first.get());
  EXPECT_EQ(registry.size(), 1u);
  EXPECT_TRUE(registry.Add(third).ok());
}

TEST(StreamRegistryTest, ItKeepsStreamsAliveUntilTheyAreRemoved) {
  StreamRegistry registry(1);
  auto stream = std::make_shared<FakeStream>();
  const std::weak_ptr<FakeStream> watched = stream;
  EXPECT_TRUE(registry.Add(stream).ok());
  FakeStream* const plain = stream.get();
  stream = nullptr;
  EXPECT_FALSE(watched.expired());
  registry.Remove(plain);
  EXPECT_TRUE(watched.expired());
}

TEST(StreamRegistryTest, APageGoesOnBehindTheLastIdThoughItsStreamHasEnded) {
  StreamRegistry registry(10);
  std::vector<std::shared_ptr<FakeStream>> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(std::make_shared<FakeStream>());
    EXPECT_TRUE(registry.Add(streams.back()).ok());
  }
  EXPECT_THAT(IdsAfter(registry, 0, 2), ElementsAre(1, 2));
  registry.Remove(streams[1].get());
  EXPECT_THAT(IdsAfter(registry, 2, 10), ElementsAre(3, 4));
  EXPECT_THAT(IdsAfter(registry, 4, 10), IsEmpty());
  // An id is not given twice.
  EXPECT_TRUE(registry.Add(streams[1]).ok());
  EXPECT_THAT(IdsAfter(registry, 0, 10), ElementsAre(1, 3, 4, 5));
}

TEST(StreamRegistryTest, ADrainTellsEachADelayWithinTheSpreadAndRefusesNewOnes) {
  StreamRegistry registry(100);
  std::vector<std::shared_ptr<FakeStream>> streams;
  for (int i = 0; i < 50; ++i) {
    streams.push_back(std::make_shared<FakeStream>());
    EXPECT_TRUE(registry.Add(streams.back()).ok());
  }
  registry.DrainAll(absl::Seconds(10));
  std::set<absl::Duration> delays;
  for (const auto& stream : streams) {
    ASSERT_TRUE(stream->delay.has_value());
    EXPECT_GE(*stream->delay, absl::ZeroDuration());
    EXPECT_LT(*stream->delay, absl::Seconds(10));
    delays.insert(*stream->delay);
  }
  EXPECT_GT(delays.size(), 40u) << "they would all come back at once";
  EXPECT_EQ(ReasonOf(registry.Add(std::make_shared<FakeStream>())), reason::kDraining);
}

// A stream may end while it is told something; a registry that held its lock would wait for itself.
TEST(StreamRegistryTest, AStreamMayRemoveItselfWhileItIsTold) {
  StreamRegistry registry(10);
  const auto first = std::make_shared<FakeStream>(&registry);
  EXPECT_TRUE(registry.Add(first).ok());
  registry.RecheckAll();
  EXPECT_EQ(first->rechecks, 1);
  EXPECT_EQ(registry.size(), 0u);
  EXPECT_TRUE(registry.Add(first).ok());
  registry.DrainAll(absl::ZeroDuration());
  EXPECT_EQ(first->delay, absl::ZeroDuration());
  EXPECT_EQ(registry.size(), 0u);
}

TEST(StreamRegistryTest, WaitsUntilTheLastOneIsGone) {
  StreamRegistry registry(10);
  EXPECT_TRUE(registry.WaitUntilEmpty(absl::ZeroDuration()));
  const auto stream = std::make_shared<FakeStream>();
  EXPECT_TRUE(registry.Add(stream).ok());
  EXPECT_FALSE(registry.WaitUntilEmpty(absl::Milliseconds(1)));
  std::thread other([&] { registry.Remove(stream.get()); });
  EXPECT_TRUE(registry.WaitUntilEmpty(absl::Seconds(45)));
  other.join();
}

TEST(StreamRegistryTest, CountsTheStreamsThatAreBehind) {
  StreamRegistry registry(10);
  EXPECT_TRUE(registry.Add(std::make_shared<FakeStream>(nullptr, 100)).ok());
  EXPECT_TRUE(registry.Add(std::make_shared<FakeStream>(nullptr, 5000)).ok());
  EXPECT_EQ(registry.CountBehind(100 + kMaxLiveLag).subscribe, 0);
  EXPECT_EQ(registry.CountBehind(101 + kMaxLiveLag).subscribe, 1);
  EXPECT_EQ(registry.CountBehind(5001 + kMaxLiveLag).subscribe, 2);
  EXPECT_EQ(registry.CountBehind(5001 + kMaxLiveLag).consume, 0);
}

}  // namespace
}  // namespace hookgate
