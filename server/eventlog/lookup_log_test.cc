#include "server/eventlog/lookup_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/eventlog/compose_event.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const auto kAll = [](const std::string&) { return true; };

std::vector<Sequence> FindAll(LookupLog& log, absl::string_view text,
                              const std::vector<std::string>& sources = {}) {
  const absl::StatusOr<FoundEvents> found = log.FindByText(text, sources, 20, kAll);
  EXPECT_TRUE(found.ok()) << found.status();
  std::vector<Sequence> sequences;
  for (const StoredEventPtr& event : found->events) sequences.push_back(event->sequence);
  return sequences;
}

// Appends what `body` decodes into, as hookgated does.
AppendResult AppendBody(EventLog& log, const std::string& webhook_id, const std::string& body,
                        absl::Time receive_time = absl::FromUnixSeconds(1'750'000'000)) {
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  absl::Notification done;
  AppendResult result;
  log.Append(ComposeEvent(*std::move(decoded),
                          {.source = "openai",
                           .webhook_id = webhook_id,
                           .webhook_time = receive_time,
                           .receive_time = receive_time,
                           .secrets = "old\nnew"},
                          body),
             [&](absl::StatusOr<AppendResult> outcome) {
               EXPECT_TRUE(outcome.ok()) << outcome.status();
               if (outcome.ok()) result = *outcome;
               done.Notify();
             });
  done.WaitForNotification();
  return result;
}

std::string Body(const std::string& id, const std::string& subject) {
  return absl::StrCat(R"({"id":")", id, R"(","type":"x.happened","data":{"id":")", subject, "\"}}");
}

TEST(LookupLogTest, EventIsFoundByEachOfItsTexts) {
  auto log = OpenTemporaryLog();
  AppendBody(*log, "wh_1", Body("evt_1", "batch_1"));
  AppendBody(*log, "wh_2", Body("evt_2", "batch_1"));
  EXPECT_THAT(FindAll(*log, "evt_1"), ElementsAre(1));
  EXPECT_THAT(FindAll(*log, "batch_1"), ElementsAre(2, 1));
  EXPECT_THAT(FindAll(*log, "wh_2", {"openai"}), ElementsAre(2));
  EXPECT_THAT(FindAll(*log, "wh_2", {"another"}), IsEmpty());
  EXPECT_THAT(FindAll(*log, "evt_3", {"openai"}), IsEmpty());
  EXPECT_THAT(FindAll(*log, ""), IsEmpty());
  EXPECT_THAT(FindAll(*log, std::string(1025, 'a')), IsEmpty());
  EXPECT_THAT(FindAll(*log, std::string("evt_1\0", 6)), IsEmpty());
}

// One text may be the id of one event, the subject of another and the webhook-id of a third.
TEST(LookupLogTest, TextMayNameEventsInSeveralWays) {
  auto log = OpenTemporaryLog();
  AppendBody(*log, "x", Body("evt_1", "batch_1"));
  AppendBody(*log, "wh_2", Body("x", "batch_2"));
  AppendBody(*log, "wh_3", Body("evt_3", "x"));
  AppendBody(*log, "wh_4", Body("evt_4", "batch_4"));
  EXPECT_THAT(FindAll(*log, "x", {"openai"}), ElementsAre(3, 2, 1));
}

TEST(LookupLogTest, ManyOfOneTextAreCutToTheNewest) {
  auto log = OpenTemporaryLog();
  for (int i = 1; i <= 30; ++i) AppendEvent(*log, {.subject = "batch_1"});
  const auto cut = log->FindByText("batch_1", {}, 20, kAll);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->events.size(), 20);
  EXPECT_EQ(cut->events.front()->sequence, 30);
  EXPECT_TRUE(cut->more);
  const auto whole = log->FindByText("batch_1", {}, 30, kAll);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->events.size(), 30);
  EXPECT_FALSE(whole->more);
}

TEST(LookupLogTest, EventsOfOtherSourcesArePassedOver) {
  auto log = OpenTemporaryLog();
  AppendEvent(*log, {.webhook_id = "wh_1", .source = "mine", .subject = "batch_1"});
  for (int i = 1; i <= 30; ++i) AppendEvent(*log, {.source = "other", .subject = "batch_1"});
  const auto found = log->FindByText("batch_1", {"mine", "other"}, 20,
                                     [](const std::string& source) { return source == "mine"; });
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->events.size(), 1);
  EXPECT_EQ(found->events[0]->source, "mine");
  EXPECT_FALSE(found->more);
}

TEST(LookupLogTest, ArrivalHasSecretsAndRepeats) {
  const std::string folder = FreshTestFolder();
  const absl::Time first = absl::FromUnixSeconds(1'750'000'000);
  {
    auto log = OpenTemporaryLog(nullptr, folder);
    AppendBody(*log, "wh_1", Body("evt_1", "batch_1"), first);
    auto arrival = log->GetArrival(1);
    ASSERT_TRUE(arrival.ok()) << arrival.status();
    EXPECT_THAT(arrival->secrets, ElementsAre("old", "new"));
    EXPECT_EQ(arrival->repeats.duplicates, 0);
    EXPECT_EQ(arrival->repeats.last, absl::InfinitePast());
    AppendBody(*log, "wh_1", Body("evt_1", "batch_1"), first + absl::Minutes(1));
    AppendBody(*log, "wh_1", Body("evt_1", "batch_2"), first + absl::Minutes(3));
    AppendBody(*log, "wh_1", Body("evt_1", "batch_1"), first + absl::Minutes(2));
    for (const bool written : {false, true}) {
      if (written) AppendEvent(*log);
      arrival = log->GetArrival(1);
      ASSERT_TRUE(arrival.ok()) << arrival.status();
      EXPECT_EQ(arrival->repeats.duplicates, 2);
      EXPECT_EQ(arrival->repeats.conflicts, 1);
      EXPECT_EQ(arrival->repeats.last, first + absl::Minutes(3));
    }
    AppendBody(*log, "wh_1", Body("evt_1", "batch_1"), first + absl::Minutes(4));
    AppendEvent(*log);
  }
  auto log = OpenTemporaryLog(nullptr, folder);
  const auto arrival = log->GetArrival(1);
  ASSERT_TRUE(arrival.ok()) << arrival.status();
  EXPECT_EQ(arrival->repeats.duplicates, 3);
  EXPECT_EQ(ReasonOf(log->GetArrival(9).status()), reason::kEventNotFound);
  ASSERT_TRUE(log->Trim({2, 2}).ok());
  const auto database = *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
  auto rows = *database->Prepare("SELECT count(*) FROM repeats");
  ASSERT_TRUE(*rows.Step());
  EXPECT_EQ(rows.ColumnInt(0), 0) << "counts go with their event";
}

// A repeat alone has nothing written: a full disk does not keep it from being answered.
TEST(LookupLogTest, RepeatAloneWritesNothing) {
  const std::string folder = FreshTestFolder();
  auto log = OpenTemporaryLog(nullptr, folder);
  AppendBody(*log, "wh_1", Body("evt_1", "batch_1"));
  const auto database = *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
  const auto data_version = [&database] {
    auto row = database->Prepare("PRAGMA data_version");
    EXPECT_TRUE(row.ok() && *row->Step());
    return row->ColumnInt(0);
  };
  const int64_t before = data_version();
  EXPECT_EQ(AppendBody(*log, "wh_1", Body("evt_1", "batch_1")).outcome,
            AppendResult::Outcome::kDuplicate);
  EXPECT_EQ(data_version(), before);
}

TEST(LookupLogTest, QuarantinedWebhookIsFoundByItsKey) {
  auto log = OpenTemporaryLog();
  PutIntoQuarantine(*log, {.source = "openai", .webhook_id = "wh_1", .reason = "body_not_json"});
  const auto found = log->FindQuarantined("openai", "wh_1", 10);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1);
  EXPECT_EQ(found->front().webhook.reason, "body_not_json");
  for (const char* const other : {"wh_2", "wh_", "wh_11", "wh_1 "}) {
    EXPECT_TRUE(log->FindQuarantined("openai", other, 10)->empty()) << other;
  }
  EXPECT_TRUE(log->FindQuarantined("another", "wh_1", 10)->empty());
}

TEST(LookupLogTest, EachBodyInQuarantineIsFoundUnderItsWebhookId) {
  auto log = OpenTemporaryLog();
  for (const char* const id : {"wh_1", "wh_10"}) {
    for (const char* const body : {"{", "[", "{"}) {
      PutIntoQuarantine(*log, {.source = "openai", .webhook_id = id, .raw_body = body});
    }
  }
  const auto found = log->FindQuarantined("openai", "wh_1", 10);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 2);
  EXPECT_EQ((*found)[0].id, 2);
  EXPECT_EQ((*found)[0].receive_count, 1);
  EXPECT_EQ((*found)[1].id, 1);
  EXPECT_EQ((*found)[1].receive_count, 2);
  for (const QuarantineEntry& entry : *found) EXPECT_EQ(entry.webhook.webhook_id, "wh_1");
  EXPECT_EQ(log->FindQuarantined("openai", "wh_1", 1)->size(), 1);
}

}  // namespace
}  // namespace hookgate
