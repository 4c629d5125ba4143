#include "server/delivery/bulk_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::v1::DeadLetter;
using hookgate::v1::Job;
using testing::IsEmpty;
using testing::SizeIs;

const absl::Time kMade = absl::FromUnixSeconds(1'750'000'000);
constexpr AttachmentId kStream = 1;

Job EventsJob(Sequence after = 0, Sequence last = 10) {
  Job job;
  job.set_kind(Job::KIND_REDELIVER_EVENTS);
  job.set_state(Job::STATE_RUNNING);
  *job.mutable_events()->mutable_start_time() = ToProto(kMade - absl::Hours(1));
  job.set_after_sequence(after);
  job.set_reached_sequence(after);
  job.set_last_sequence(last);
  return job;
}

Job LettersJob(Job::Kind kind, Sequence last = 10) {
  Job job;
  job.set_kind(kind);
  job.set_state(Job::STATE_RUNNING);
  job.mutable_dead_letters();
  job.set_last_sequence(last);
  *job.mutable_create_time() = ToProto(kMade);
  return job;
}

BulkJob Make(const Job& proto) {
  absl::StatusOr<BulkJob> job = BulkJob::Create(proto, "selection");
  EXPECT_TRUE(job.ok()) << job.status();
  return *std::move(job);
}

std::string WrongField(const Job& proto) {
  return FieldOf(BulkSelection::Create(proto, "selection").status());
}

BulkPage Page(const std::vector<Sequence>& matching, Sequence scanned_to) {
  BulkPage page;
  for (const Sequence sequence : matching) {
    ++page.examined;
    page.matching.push_back({.event = {.sequence = sequence}, .examined = page.examined});
  }
  page.scanned_to = scanned_to;
  return page;
}

// A subscription that has acked events 1 to 10 and has room for jobs for 4.
class BulkJobTest : public testing::Test {
 protected:
  BulkJobTest() {
    state_.Attach(kStream, "a", {});
    for (Sequence s = 1; s <= 10; ++s) state_.Offer({{.sequence = s}}, s);
    for (const Lease& lease : Take()) EXPECT_EQ(state_.Ack(lease.id, now_), AckOutcome::kOk);
    EXPECT_EQ(state_.unsettled(), 0);
  }
  std::vector<Lease> Take() {
    std::vector<Lease> all;
    while (true) {
      const std::vector<Lease> leases = state_.Assign(
          {kStream}, 100, 1000, now_, [](Sequence, bool) { return absl::optional<int64_t>(1); });
      if (leases.empty()) return all;
      for (const Lease& lease : leases) {
        EXPECT_TRUE(state_.HandOut(lease.id, now_).has_value());
        all.push_back(lease);
      }
    }
  }
  void TakeAndAck() {
    for (const Lease& lease : Take()) EXPECT_EQ(state_.Ack(lease.id, now_), AckOutcome::kOk);
  }
  void MakeDead(const std::vector<Sequence>& sequences) {
    for (const Sequence sequence : sequences) {
      state_.Redeliver({.sequence = sequence}, 1, now_);
      for (const Lease& lease : Take()) {
        state_.Nack(lease.id, {.reason = "no", .dead_letter = true}, now_, random_);
      }
    }
  }

  std::mt19937_64 random_;
  Instant now_{kMade, absl::Hours(1)};
  SubscriptionState state_{
      StoredSubscription(), DeliveryPolicy(), now_, {.max_unsettled_by_jobs = 4}};
};

TEST_F(BulkJobTest, RedeliversAPageAndEndsWithTheLast) {
  BulkJob job = Make(EventsJob(0, 6));
  job.CarryOut(Page({1, 3}, 4), 1, state_, now_);
  EXPECT_TRUE(job.running());
  EXPECT_EQ(job.after(), 4);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].id.sequence, 1);
  EXPECT_EQ(leases[0].cause, DeliveryCause::kReplayed);
  EXPECT_EQ(leases[0].attempt, 1);
  job.CarryOut(Page({}, 6), 1, state_, now_);
  EXPECT_EQ(job.proto().state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(job.proto().matched_count(), 2);
  EXPECT_EQ(job.proto().done_count(), 2);
  EXPECT_TRUE(job.proto().has_end_time());
}

TEST_F(BulkJobTest, WhatIsUnsettledOrRemovedIsLeftAlone) {
  BulkJob job = Make(EventsJob());
  state_.Redeliver({.sequence = 5}, 1, now_);
  job.CarryOut(Page({2, 5, 6}, 10), /*earliest=*/4, state_, now_);
  EXPECT_EQ(job.proto().matched_count(), 3);
  EXPECT_EQ(job.proto().done_count(), 1);
}

// A replay of a million events filled the subscription, and new ones waited behind all of them.
TEST_F(BulkJobTest, WaitsWhileThereIsNoRoomAndGoesOnWhereItStopped) {
  BulkJob job = Make(EventsJob());
  job.CarryOut(Page({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 10), 1, state_, now_);
  EXPECT_TRUE(job.running());
  EXPECT_TRUE(job.proto().waiting_for_consumers());
  EXPECT_EQ(job.after(), 4);
  EXPECT_EQ(job.proto().examined_count(), 4);
  EXPECT_FALSE(job.MayGoOn(state_));
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(4));
  state_.Ack(leases[0].id, now_);
  EXPECT_FALSE(job.MayGoOn(state_)) << "not for each ack a step";
  state_.Ack(leases[1].id, now_);
  EXPECT_TRUE(job.MayGoOn(state_));
  EXPECT_FALSE(job.proto().waiting_for_consumers());
  job.CarryOut(Page({5, 6, 7, 8, 9, 10}, 10), 1, state_, now_);
  EXPECT_EQ(job.after(), 6);
  TakeAndAck();
  state_.Ack(leases[2].id, now_);
  state_.Ack(leases[3].id, now_);
  ASSERT_TRUE(job.MayGoOn(state_));
  job.CarryOut(Page({7, 8, 9, 10}, 10), 1, state_, now_);
  EXPECT_EQ(job.proto().state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(job.proto().done_count(), 10);
  EXPECT_EQ(job.proto().examined_count(), 10);
}

TEST_F(BulkJobTest, ABoundOfOneIsNoLoop) {
  SubscriptionState state(StoredSubscription(), DeliveryPolicy(), now_,
                          {.max_unsettled_by_jobs = 1});
  state.Offer({{.sequence = 2}}, 2);
  state.Attach(kStream, "a", {});
  state.Assign({kStream}, 1, 1000, now_, [](Sequence, bool) { return absl::optional<int64_t>(1); });
  BulkJob job = Make(EventsJob());
  job.CarryOut(Page({1}, 1), 1, state, now_);
  EXPECT_TRUE(job.proto().waiting_for_consumers());
  EXPECT_FALSE(job.MayGoOn(state));
}

TEST_F(BulkJobTest, RedrivesAndDiscardsDeadLetters) {
  MakeDead({2, 4, 6, 8});
  BulkJob redrive = Make(LettersJob(Job::KIND_REDRIVE_DEAD_LETTERS));
  redrive.CarryOut(Page({2, 3}, 10), 1, state_, now_);
  EXPECT_EQ(redrive.proto().matched_count(), 2);
  EXPECT_EQ(redrive.proto().done_count(), 1) << "3 is none any more";
  EXPECT_FALSE(state_.IsDead(2));
  BulkJob discard = Make(LettersJob(Job::KIND_DISCARD_DEAD_LETTERS));
  discard.CarryOut(Page({4, 8}, 10), 1, state_, now_);
  EXPECT_EQ(discard.proto().done_count(), 2);
  EXPECT_EQ(state_.dead_letters(), 1);
  EXPECT_TRUE(state_.IsDead(6));
}

TEST_F(BulkJobTest, DiscardingNeedsNoRoom) {
  MakeDead({9});
  for (Sequence s = 1; s <= 4; ++s) state_.Redeliver({.sequence = s}, 1, now_);
  ASSERT_EQ(state_.room_for_jobs(), 0u);
  BulkJob discard = Make(LettersJob(Job::KIND_DISCARD_DEAD_LETTERS));
  discard.CarryOut(Page({9}, 10), 1, state_, now_);
  EXPECT_EQ(discard.proto().state(), Job::STATE_SUCCEEDED);
}

TEST_F(BulkJobTest, ASelectionOfEventsIsAWindowAndTwoFilters) {
  Job proto = EventsJob();
  *proto.mutable_events()->mutable_end_time() = ToProto(kMade);
  proto.mutable_events()->mutable_filter()->add_types("batch.*");
  proto.mutable_subscription_filter()->add_sources("mail");
  const auto selection = *BulkSelection::Create(proto, "selection");
  StoredEvent event;
  event.source = "mail";
  event.type = "batch.failed";
  event.receive_time = kMade - absl::Hours(1);
  EXPECT_TRUE(selection->MatchesEvent(event));
  event.receive_time = kMade;
  EXPECT_FALSE(selection->MatchesEvent(event)) << "the end is not in it";
  event.receive_time = kMade - absl::Hours(1) - absl::Microseconds(1);
  EXPECT_FALSE(selection->MatchesEvent(event));
  event.receive_time = kMade - absl::Minutes(1);
  event.type = "response.failed";
  EXPECT_FALSE(selection->MatchesEvent(event));
  event.type = "batch.failed";
  event.source = "shop";
  EXPECT_FALSE(selection->MatchesEvent(event));
}

TEST_F(BulkJobTest, ASelectionOfDeadLettersIsWhatAllItsPartsAdmit) {
  Job proto = LettersJob(Job::KIND_DISCARD_DEAD_LETTERS);
  auto& letters = *proto.mutable_dead_letters();
  letters.add_causes(DeadLetter::CAUSE_NACKED);
  letters.add_causes(DeadLetter::CAUSE_STREAM_LOST);
  letters.set_reason_contains("no route");
  *letters.mutable_end_time() = ToProto(kMade - absl::Minutes(1));
  letters.mutable_filter()->add_types("a");
  const auto selection = *BulkSelection::Create(proto, "selection");
  EXPECT_TRUE(selection->needs_event());
  StoredEvent event;
  event.type = "a";
  const DeadEvent right = {.sequence = 1,
                           .cause = DeliveryCause::kNacked,
                           .nack_reason = "there is no route to host",
                           .dead_letter_time = kMade - absl::Minutes(2)};
  EXPECT_TRUE(selection->MatchesLetter(right, &event));
  EXPECT_FALSE(selection->MatchesLetter(right, nullptr)) << "nobody knows what it was";
  DeadEvent other = right;
  other.cause = DeliveryCause::kDeadlinePassed;
  EXPECT_FALSE(selection->MatchesLetter(other, &event));
  other = right;
  other.nack_reason = "No route";
  EXPECT_FALSE(selection->MatchesLetter(other, &event));
  other = right;
  other.dead_letter_time = kMade - absl::Minutes(1);
  EXPECT_FALSE(selection->MatchesLetter(other, &event));
  event.type = "b";
  EXPECT_FALSE(selection->MatchesLetter(right, &event));
}

// What became a dead letter after somebody had looked at the preview was discarded with the rest.
TEST_F(BulkJobTest, DeadLettersThatComeLaterAreLeftAlone) {
  const auto selection =
      *BulkSelection::Create(LettersJob(Job::KIND_DISCARD_DEAD_LETTERS), "selection");
  EXPECT_FALSE(selection->needs_event());
  EXPECT_TRUE(selection->MatchesLetter({.dead_letter_time = kMade}, nullptr));
  EXPECT_FALSE(
      selection->MatchesLetter({.dead_letter_time = kMade + absl::Microseconds(1)}, nullptr));
}

TEST_F(BulkJobTest, WrongSelectionsAreRefusedByField) {
  Job job = EventsJob();
  job.mutable_events()->clear_start_time();
  EXPECT_EQ(WrongField(job), "selection.start_time");
  job = EventsJob();
  *job.mutable_events()->mutable_end_time() = ToProto(kMade - absl::Hours(2));
  EXPECT_EQ(WrongField(job), "selection.start_time");
  job = EventsJob();
  job.mutable_events()->mutable_end_time()->set_nanos(-1);
  EXPECT_EQ(WrongField(job), "selection.end_time");
  job = EventsJob();
  job.mutable_events()->mutable_filter()->add_types("");
  EXPECT_EQ(WrongField(job), "selection.filter.types[0]");
  for (int i = 0; i < 100; ++i) {
    job.mutable_events()->mutable_filter()->set_types(0, "a");
    job.mutable_events()->mutable_filter()->add_subjects(std::string(1000, 's'));
  }
  EXPECT_EQ(WrongField(job), "selection.filter") << "20 of them are remembered";
  job = LettersJob(Job::KIND_REDRIVE_DEAD_LETTERS);
  job.mutable_dead_letters()->add_causes(DeadLetter::CAUSE_NACKED);
  job.mutable_dead_letters()->add_causes(static_cast<DeadLetter::Cause>(77));
  EXPECT_EQ(WrongField(job), "selection.causes[1]");
  job = LettersJob(Job::KIND_REDRIVE_DEAD_LETTERS);
  job.mutable_dead_letters()->set_reason_contains(std::string(1025, 'x'));
  EXPECT_EQ(WrongField(job), "selection.reason_contains");
}

TEST_F(BulkJobTest, OneRunsAtATimeAndTheNewestAreRemembered) {
  BulkJobs jobs;
  EXPECT_EQ(jobs.running(), nullptr);
  SubscriptionChanges changes;
  for (int64_t id = 1; id <= 30; ++id) {
    const absl::StatusOr<Job> added = jobs.Add(Make(EventsJob()), kMade);
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(added->job_id(), id);
    EXPECT_EQ(added->state(), Job::STATE_RUNNING);
    const absl::Status second = jobs.Add(Make(EventsJob()), kMade).status();
    EXPECT_EQ(ReasonOf(second), reason::kJobRunning);
    EXPECT_EQ(MetadataOf(second)["job_id"], absl::StrCat(id));
    jobs.running()->Cancel(kMade);
    EXPECT_EQ(jobs.running(), nullptr);
    EXPECT_TRUE(jobs.has_changes());
    jobs.TakeChanges(changes);
    EXPECT_FALSE(jobs.has_changes());
  }
  EXPECT_THAT(changes.forgotten_jobs, SizeIs(9));
  EXPECT_EQ(ReasonOf(jobs.Find(9).status()), reason::kJobNotFound);
  EXPECT_TRUE(jobs.Find(10).ok());
  const std::vector<Job> newest = jobs.List(0, 2);
  ASSERT_THAT(newest, SizeIs(2));
  EXPECT_EQ(newest[0].job_id(), 30);
  EXPECT_EQ(jobs.List(11, 50).at(0).job_id(), 10);
  EXPECT_THAT(jobs.List(10, 50), IsEmpty());
  EXPECT_THAT(jobs.List(1, 50), IsEmpty());
}

TEST_F(BulkJobTest, WhatIsStoredComesBack) {
  BulkJobs jobs;
  Job proto = EventsJob();
  proto.mutable_events()->mutable_filter()->add_types("a");
  ASSERT_TRUE(jobs.Add(Make(proto), kMade).ok());
  jobs.running()->CarryOut(Page({1, 2}, 3), 1, state_, now_);
  SubscriptionChanges changes;
  jobs.TakeChanges(changes);
  ASSERT_THAT(changes.jobs, SizeIs(1));
  BulkJobs loaded = BulkJobs::Load("billing", changes.jobs);
  ASSERT_NE(loaded.running(), nullptr);
  EXPECT_EQ(loaded.running()->after(), 3);
  EXPECT_EQ(loaded.running()->proto().done_count(), 2);
  EXPECT_TRUE(loaded.running()->selection()->needs_event());
  // A damaged row, even of a job that had ended long ago, kept the gateway from starting.
  Job without_window = EventsJob();
  without_window.set_job_id(1);
  without_window.mutable_events()->clear_start_time();
  for (const StoredJob& row :
       {StoredJob{.id = 1, .job = "\xff"}, StoredJob{.id = 2, .job = changes.jobs[0].job},
        StoredJob{.id = 1, .job = without_window.SerializeAsString()}}) {
    BulkJobs damaged = BulkJobs::Load("billing", {row});
    EXPECT_EQ(damaged.running(), nullptr);
    const std::vector<Job> listed = damaged.List(0, 10);
    ASSERT_THAT(listed, SizeIs(1));
    EXPECT_EQ(listed[0].state(), Job::STATE_FAILED);
    EXPECT_EQ(listed[0].job_id(), row.id);
    EXPECT_THAT(listed[0].error(), testing::HasSubstr("cannot be read"));
  }
}

}  // namespace
}  // namespace hookgate
