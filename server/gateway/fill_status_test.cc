#include "server/gateway/fill_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/status/status_book.h"
#include "tests/support/fake_clock.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using hookgate::v1::GetStatusResponse;
using SecretStatusMessage = GetStatusResponse::Secret;

class FillStatusTest : public testing::Test {
 protected:
  Source MakeSource() {
    WebhookSource config;
    config.name = "openai";
    config.secrets = {*Secret::Parse("old", kTestSecret), *Secret::Parse("new", kNewSecret)};
    SourceRecords records =
        book_.Configure({{.name = config.name, .secrets = config.secrets}}).front();
    return Source(std::move(config), std::move(records), nullptr, clock_);
  }

  FakeClock clock_;
  StatusBook book_{clock_};
};

TEST_F(FillStatusTest, ASourceIsToldWithTheUseOfEachSecret) {
  const Source source = MakeSource();
  const absl::Time configured = clock_.WallNow();
  GetStatusResponse::Source before;
  FillSource(source, before);
  EXPECT_EQ(before.name(), "openai");
  EXPECT_FALSE(before.has_last_webhook_time());
  EXPECT_EQ(before.secrets(0).use(), SecretStatusMessage::USE_NO_WEBHOOKS);
  EXPECT_EQ(*FromProto(before.secrets(0).first_configured_time(), ""), configured);

  source.NoteWebhook({0}, configured + absl::Seconds(1));
  source.NoteWebhook({1}, configured + absl::Seconds(2));
  GetStatusResponse::Source rotating;
  FillSource(source, rotating);
  EXPECT_EQ(rotating.webhooks(), 2);
  EXPECT_EQ(*FromProto(rotating.last_webhook_time(), ""), configured + absl::Seconds(2));
  EXPECT_EQ(rotating.secrets(0).use(), SecretStatusMessage::USE_WAIT);
  EXPECT_EQ(rotating.secrets(0).webhooks_since_needed(), 1);
  EXPECT_EQ(*FromProto(rotating.secrets(0).last_needed_time(), ""), configured + absl::Seconds(1));
  EXPECT_EQ(*FromProto(rotating.secrets(0).wait_until_time(), ""),
            configured + absl::Seconds(1) + absl::Hours(72));
  EXPECT_EQ(rotating.secrets(1).use(), SecretStatusMessage::USE_NEEDED);

  source.NoteWebhook({1}, configured + absl::Hours(73));
  GetStatusResponse::Source rotated;
  FillSource(source, rotated);
  EXPECT_EQ(rotated.secrets(0).use(), SecretStatusMessage::USE_NOT_NEEDED);
  EXPECT_FALSE(rotated.secrets(0).has_wait_until_time());
}

TEST_F(FillStatusTest, RefusalsAreToldByReasonAndInAll) {
  book_.counters().stored = 4;
  for (int i = 0; i < 2; ++i) book_.counters().CountRefused("signature_mismatch");
  book_.counters().CountRefused("draining");
  GetStatusResponse::Ingest ingest;
  FillIngest(book_.counters(), clock_.WallNow(), ingest);
  EXPECT_EQ(ingest.stored(), 4);
  EXPECT_EQ(ingest.refused(), 3);
  ASSERT_EQ(ingest.refusals_size(), 2);
  EXPECT_EQ(ingest.refusals(0).reason(), "signature_mismatch");
  EXPECT_EQ(ingest.refusals(0).count(), 2);
  EXPECT_EQ(*FromProto(ingest.since_time(), ""), clock_.WallNow());
}

// What is stored of a reload is bounded, however wrong its file was.
TEST_F(FillStatusTest, AReloadWithAnyNumberOfLongErrorsIsBounded) {
  Problems problems;
  for (int i = 0; i < 500; ++i) {
    problems.AddError(absl::StrCat("key", i), std::string(5000, '\x01'));
    problems.AddWarning(absl::StrCat("key", i), std::string(5000, '\xff'));
  }
  const GetStatusResponse::Reload reload = ReloadStatus(clock_.WallNow(), problems);
  EXPECT_FALSE(reload.applied());
  EXPECT_EQ(reload.errors_size(), 51);
  EXPECT_EQ(*FromProto(reload.time(), ""), clock_.WallNow());
  EXPECT_LT(reload.ByteSizeLong(), size_t{1} << 20);
  GetStatusResponse::Reload again;
  EXPECT_TRUE(again.ParseFromString(reload.SerializeAsString()));
  EXPECT_EQ(again.SerializeAsString(), reload.SerializeAsString());
}

}  // namespace
}  // namespace hookgate
