#include "server/delivery/bulk_job.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::v1::DeadLetter;
using hookgate::v1::Job;

std::string Below(absl::string_view field, absl::string_view name) {
  return absl::StrCat(field, ".", name);
}

absl::StatusOr<EventFilter> FilterOf(const hookgate::v1::EventFilter& filter,
                                     absl::string_view field) {
  const size_t bytes = filter.ByteSizeLong();
  if (bytes > BulkSelection::kMaxFilterBytes) {
    return InvalidField(field, absl::StrCat("has ", bytes, " bytes; the filter of a job may have ",
                                            BulkSelection::kMaxFilterBytes));
  }
  return EventFilter::Create(filter, field);
}

DeadLetter::Cause CauseOf(DeliveryCause cause) {
  switch (cause) {
    case DeliveryCause::kNacked:
      return DeadLetter::CAUSE_NACKED;
    case DeliveryCause::kDeadlinePassed:
      return DeadLetter::CAUSE_DEADLINE_PASSED;
    case DeliveryCause::kConsumerDecided:
      return DeadLetter::CAUSE_CONSUMER_DECIDED;
    case DeliveryCause::kStreamLost:
      return DeadLetter::CAUSE_STREAM_LOST;
    default:
      return DeadLetter::CAUSE_UNSPECIFIED;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const BulkSelection>> BulkSelection::Create(
    const Job& job, absl::string_view field) {
  auto selection = std::make_shared<BulkSelection>();
  selection->of_events_ = job.kind() == Job::KIND_REDELIVER_EVENTS;
  if (job.has_create_time()) {
    ASSIGN_OR_RETURN(selection->made_, FromProto(job.create_time(), "create_time"));
  }
  if (selection->of_events_) {
    const hookgate::v1::EventSelection& events = job.events();
    ASSIGN_OR_RETURN(selection->filter_, FilterOf(events.filter(), Below(field, "filter")));
    ASSIGN_OR_RETURN(selection->subscription_filter_,
                     EventFilter::Create(job.subscription_filter(), "subscription_filter"));
    if (!events.has_start_time()) {
      return InvalidField(Below(field, "start_time"),
                          "is missing: from when on were the events received?");
    }
    ASSIGN_OR_RETURN(selection->start_, FromProto(events.start_time(), Below(field, "start_time")));
    if (events.has_end_time()) {
      ASSIGN_OR_RETURN(selection->end_, FromProto(events.end_time(), Below(field, "end_time")));
    }
    if (selection->start_ > selection->end_) {
      return InvalidField(Below(field, "start_time"), "is after end_time");
    }
    return selection;
  }
  const hookgate::v1::DeadLetterSelection& letters = job.dead_letters();
  ASSIGN_OR_RETURN(selection->filter_, FilterOf(letters.filter(), Below(field, "filter")));
  for (int i = 0; i < letters.causes_size(); ++i) {
    const int cause = letters.causes(i);
    if (!DeadLetter::Cause_IsValid(cause) || cause == DeadLetter::CAUSE_UNSPECIFIED) {
      return InvalidField(absl::StrCat(field, ".causes[", i, "]"), "is not a known cause");
    }
    selection->causes_.insert(cause);
  }
  if (letters.reason_contains().size() > kMaxReasonBytes) {
    return InvalidField(Below(field, "reason_contains"),
                        absl::StrCat("is longer than ", kMaxReasonBytes, " bytes"));
  }
  selection->reason_ = letters.reason_contains();
  if (letters.has_end_time()) {
    ASSIGN_OR_RETURN(selection->end_, FromProto(letters.end_time(), Below(field, "end_time")));
  }
  return selection;
}

bool BulkSelection::MatchesEvent(const StoredEvent& metadata) const {
  return metadata.receive_time >= start_ && metadata.receive_time < end_ &&
         filter_.Matches(metadata) && subscription_filter_.Matches(metadata);
}

bool BulkSelection::MatchesLetter(const DeadEvent& letter, const StoredEvent* event) const {
  if (letter.dead_letter_time >= end_ || letter.dead_letter_time > made_) return false;
  if (!causes_.empty() && causes_.count(CauseOf(letter.cause)) == 0) return false;
  if (!absl::StrContains(letter.nack_reason.value_or(""), reason_)) return false;
  return filter_.admits_all() || (event != nullptr && filter_.Matches(*event));
}

absl::StatusOr<BulkJob> BulkJob::Create(Job job, absl::string_view field) {
  ASSIGN_OR_RETURN(auto selection, BulkSelection::Create(job, field));
  return BulkJob(std::move(job), std::move(selection));
}

absl::StatusOr<BulkJob> BulkJob::Read(const StoredJob& row) {
  Job proto;
  if (!proto.ParseFromString(row.job) || proto.job_id() != row.id) {
    return absl::DataLossError("it cannot be read");
  }
  absl::StatusOr<BulkJob> job = Create(std::move(proto), "selection");
  if (job.ok()) return job;
  return absl::DataLossError(absl::StrCat("it cannot be read: ", job.status().message()));
}

BulkJob BulkJob::Unreadable(int64_t id, absl::string_view why) {
  Job proto;
  proto.set_job_id(id);
  proto.set_state(Job::STATE_FAILED);
  proto.set_error(std::string(why));
  return BulkJob(std::move(proto), nullptr);
}

bool BulkJob::MayGoOn(const SubscriptionState& state) {
  if (job_.waiting_for_consumers() && !state.has_much_room_for_jobs()) return false;
  job_.set_waiting_for_consumers(false);
  return true;
}

void BulkJob::CarryOut(const BulkPage& page, Sequence earliest, SubscriptionState& state,
                       Instant now) {
  Sequence reached = page.scanned_to;
  int64_t examined = page.examined;
  for (const BulkPage::Match& match : page.matching) {
    bool fits = true;
    const bool done = CarryOutOne(match.event, earliest, state, now, fits);
    if (!fits) {  // What comes from here on is looked at again.
      job_.set_waiting_for_consumers(true);
      reached = match.event.sequence - 1;
      examined = match.examined - 1;
      break;
    }
    job_.set_matched_count(job_.matched_count() + 1);
    if (done) job_.set_done_count(job_.done_count() + 1);
  }
  job_.set_examined_count(job_.examined_count() + examined);
  job_.set_reached_sequence(std::max<Sequence>(reached, job_.reached_sequence()));
  if (job_.reached_sequence() >= job_.last_sequence()) End(Job::STATE_SUCCEEDED, now.wall);
}

bool BulkJob::CarryOutOne(const OfferedEvent& event, Sequence earliest, SubscriptionState& state,
                          Instant now, bool& fits) {
  if (job_.kind() == Job::KIND_DISCARD_DEAD_LETTERS) {
    return state.Discard(event.sequence, now);
  }
  if (state.room_for_jobs() == 0) {
    fits = false;
    return false;
  }
  if (job_.kind() == Job::KIND_REDRIVE_DEAD_LETTERS) {
    return state.Redrive(event.sequence, earliest, now) ==
           SubscriptionState::RedriveOutcome::kRedriven;
  }
  return state.Redeliver(event, earliest, now) == SubscriptionState::RedeliverOutcome::kRedelivered;
}

void BulkJob::Fail(absl::string_view why, absl::Time now) {
  job_.set_error(std::string(why));
  End(Job::STATE_FAILED, now);
}

void BulkJob::End(Job::State state, absl::Time now) {
  job_.set_state(state);
  job_.set_waiting_for_consumers(false);
  job_.clear_subscription_filter();
  *job_.mutable_end_time() = ToProto(now);
}

BulkJobs BulkJobs::Load(absl::string_view subscription, const std::vector<StoredJob>& stored) {
  BulkJobs jobs;
  for (const StoredJob& row : stored) {
    absl::StatusOr<BulkJob> job = BulkJob::Read(row);
    if (!job.ok()) {
      Log(Severity::kError, "a job of a subscription is damaged and counts as failed",
          {{"subscription", subscription}, {"job", row.id}, {"error", job.status().message()}});
      job = BulkJob::Unreadable(row.id, job.status().message());
    }
    jobs.jobs_.emplace(row.id, *std::move(job));
  }
  return jobs;
}

absl::StatusOr<Job> BulkJobs::Add(BulkJob job, absl::Time now) {
  if (const BulkJob* const other = running(); other != nullptr) {
    absl::Status status = ErrorWithReason(
        absl::StatusCode::kFailedPrecondition, reason::kJobRunning,
        absl::StrCat("job ", other->id(),
                     " of this subscription runs, and only one can at a time: wait until it has "
                     "ended, or cancel it"));
    SetMetadata(status, "job_id", absl::StrCat(other->id()));
    return status;
  }
  Job proto = job.proto();
  proto.set_job_id(jobs_.empty() ? 1 : jobs_.rbegin()->first + 1);
  proto.set_state(Job::STATE_RUNNING);
  *proto.mutable_create_time() = ToProto(now);
  ASSIGN_OR_RETURN(job, BulkJob::Create(std::move(proto), "selection"));
  while (jobs_.size() > kMaxEnded) {
    changed_.insert(jobs_.begin()->first);
    jobs_.erase(jobs_.begin());
  }
  NoteChange(job);
  return jobs_.emplace(job.id(), std::move(job)).first->second.proto();
}

// It is the newest one: none is added while it runs.
BulkJob* BulkJobs::running() {
  if (jobs_.empty() || !jobs_.rbegin()->second.running()) return nullptr;
  return &jobs_.rbegin()->second;
}

absl::StatusOr<BulkJob*> BulkJobs::Find(int64_t id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    return ErrorWithReason(absl::StatusCode::kNotFound, reason::kJobNotFound,
                           absl::StrCat("this subscription has no job ", id,
                                        ", or it has ended and was forgotten; ListJobs shows "
                                        "those that are known"));
  }
  return &found->second;
}

std::vector<Job> BulkJobs::List(int64_t before, size_t max) const {
  std::vector<Job> listed;
  auto end = before == 0 ? jobs_.end() : jobs_.lower_bound(before);
  while (end != jobs_.begin() && listed.size() < max) {
    --end;
    listed.push_back(end->second.proto());
  }
  return listed;
}

void BulkJobs::TakeChanges(SubscriptionChanges& changes) {
  for (const int64_t id : std::exchange(changed_, {})) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) {
      changes.forgotten_jobs.push_back(id);
    } else {
      changes.jobs.push_back({.id = id, .job = found->second.proto().SerializeAsString()});
    }
  }
}

}  // namespace hookgate
