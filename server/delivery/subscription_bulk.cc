// Bulk jobs of a Subscription: bulk_job.h decides, this reads and commits.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/subscription.h"

namespace hookgate {
namespace {

using hookgate::v1::Job;

// Events looked at in one step: about 2 ms, as a page of a delivery.
constexpr int64_t kMaxScanned = 1024;
// Dead letters looked at in one step; fewer if each takes a look-up of its event.
constexpr size_t kMaxLetters = 1024;
constexpr size_t kMaxLettersWithEvents = 256;
// Steps of a preview, and what it shows.
constexpr int kPreviewSteps = 20;
constexpr int kPreviewShown = 5;

// After a page could not be read.
constexpr absl::Duration kReadRetry = absl::Seconds(1);

void LogJobEnd(const Job& job) {
  Log(Severity::kInfo, "a job of a subscription has ended",
      {{"subscription", job.subscription()},
       {"job", job.job_id()},
       {"kind", Job::Kind_Name(job.kind())},
       {"state", Job::State_Name(job.state())},
       {"matched", job.matched_count()},
       {"done", job.done_count()}});
}

}  // namespace

void Subscription::Redeliver(const std::vector<Sequence>& sequences, bool include_not_admitted,
                             Done<std::vector<absl::optional<RedeliverOutcome>>> done) {
  std::vector<absl::optional<StoredEvent>> events;
  for (const Sequence sequence : sequences) {
    absl::StatusOr<absl::optional<StoredEvent>> event = ReadMetadata(sequence);
    if (!event.ok()) return std::move(done)(event.status());
    events.push_back(*std::move(event));
  }
  const Sequence earliest = context_.log.Position().earliest;
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const std::vector<std::string> sources = settings_->filter.sources();
    std::vector<absl::optional<RedeliverOutcome>> outcomes;
    outcomes.reserve(events.size());
    for (const absl::optional<StoredEvent>& event : events) {
      if (!event.has_value()) {
        outcomes.push_back(RedeliverOutcome::kEventRemoved);
        continue;
      }
      const bool of_a_source =
          sources.empty() || std::binary_search(sources.begin(), sources.end(), event->source);
      if (include_not_admitted ? !of_a_source : !settings_->filter.Matches(*event)) {
        outcomes.push_back(absl::nullopt);
        continue;
      }
      outcomes.push_back(state_->Redeliver(
          {.sequence = event->sequence, .receive_time = event->receive_time}, earliest, Now()));
    }
    return outcomes;
  };
  Decide(decide, std::move(done));
}

// A job is about what there is now: the events up to the position, and the dead letters that there
// are.
absl::StatusOr<BulkJob> Subscription::CompleteJob(Job job, Sequence head) const {
  const auto& filter = settings_->effective.filter();
  job.set_subscription(name_);
  if (job.kind() == Job::KIND_REDELIVER_EVENTS) {
    *job.mutable_subscription_filter() = filter;
    if (job.events().include_not_admitted()) {
      job.mutable_subscription_filter()->clear_types();
      job.mutable_subscription_filter()->clear_subjects();
    }
    job.set_last_sequence(state_->position());
  } else {
    job.set_after_sequence(0);
    job.set_last_sequence(head);
  }
  job.set_after_sequence(std::min(job.after_sequence(), job.last_sequence()));
  job.set_reached_sequence(job.after_sequence());
  return BulkJob::Create(std::move(job), "selection");
}

void Subscription::StartJob(Job job, Done<Job> done) {
  const Sequence head = context_.log.Position().head;
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Job> {
    ASSIGN_OR_RETURN(BulkJob complete, CompleteJob(std::move(job), head));
    return jobs_.Add(std::move(complete), context_.clock.WallNow());
  };
  Decide(decide, std::move(done));
}

void Subscription::CancelJob(int64_t id, Done<Job> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Job> {
    ASSIGN_OR_RETURN(BulkJob* const job, jobs_.Find(id));
    if (job->running()) {
      job->Cancel(context_.clock.WallNow());
      jobs_.NoteChange(*job);
    }
    return job->proto();
  };
  Decide(decide, std::move(done));
}

// Its end is told once that is durable, and with it what the job has done.
absl::StatusOr<Job> Subscription::FindJob(int64_t id) {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const BulkJob* const job, told_jobs_.Find(id));
  const BulkJob* const running = jobs_.running();
  return running != nullptr && running->id() == id ? running->proto() : job->proto();
}

std::vector<Job> Subscription::ListJobs(int64_t before, size_t max) {
  absl::MutexLock lock(&mu_);
  return told_jobs_.List(before, max);
}

absl::StatusOr<hookgate::v1::SelectionPreview> Subscription::PreviewJob(Job job) {
  const Sequence head = context_.log.Position().head;
  JobStep step;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(const BulkJob complete, CompleteJob(std::move(job), head));
    step = {.selection = complete.selection(),
            .after = complete.after(),
            .last = complete.proto().last_sequence()};
  }
  hookgate::v1::SelectionPreview preview;
  for (int i = 0; i < kPreviewSteps && step.after < step.last; ++i) {
    ASSIGN_OR_RETURN(const BulkPage page, ReadJobPage(step));
    for (const BulkPage::Match& match : page.matching) {
      if (preview.first_sequences_size() == kPreviewShown) break;
      preview.add_first_sequences(match.event.sequence);
    }
    preview.set_count(preview.count() + static_cast<int64_t>(page.matching.size()));
    step.after = page.scanned_to;
  }
  preview.set_count_truncated(step.after < step.last);
  return preview;
}

// --- Steps. ---

// Not while the step before is not in a commit yet.
bool Subscription::JobIsDue() {
  if (closed_ || !refusal_.ok() || job_reading_ || jobs_.has_changes()) return false;
  BulkJob* const job = jobs_.running();
  return job != nullptr && context_.clock.MonotonicNow() >= job_retry_at_ && job->MayGoOn(*state_);
}

void Subscription::ContinueJob() {
  JobStep step;
  {
    absl::MutexLock lock(&mu_);
    if (!JobIsDue()) return;
    const BulkJob& job = *jobs_.running();
    step = {.id = job.id(),
            .selection = job.selection(),
            .after = job.after(),
            .last = job.proto().last_sequence()};
    job_reading_ = true;
  }
  context_.reads.Post([self = shared_from_this(), step = std::move(step)](ReadQueue::Ticket) {
    self->TakeJobStep(step);
  });
}

void Subscription::TakeJobStep(const JobStep& step) {
  const absl::StatusOr<BulkPage> page = ReadJobPage(step);
  const Sequence earliest = context_.log.Position().earliest;
  if (!page.ok() && !absl::IsOutOfRange(page.status())) {
    Log(Severity::kWarning, "a job of a subscription could not read the log",
        {{"subscription", name_}, {"job", step.id}, {"error", page.status().ToString()}});
  }
  absl::optional<Job> ended;
  {
    absl::MutexLock lock(&mu_);
    job_reading_ = false;
    Schedule();
    BulkJob* const job = jobs_.running();
    // It was cancelled, or what it had done could not be stored.
    if (closed_ || !refusal_.ok() || job == nullptr || job->id() != step.id ||
        job->after() != step.after) {
      return;
    }
    TakePage(page, earliest, *job);
    if (!job->running()) ended = job->proto();
  }
  if (ended.has_value()) LogJobEnd(*ended);
}

void Subscription::TakePage(const absl::StatusOr<BulkPage>& page, Sequence earliest, BulkJob& job) {
  if (page.ok()) {
    const int64_t matched = job.proto().matched_count();
    job.CarryOut(*page, earliest, *state_, Now());
    // Where there was nothing to do, it costs less to look once more after a restart than to store
    // each time how far the job is.
    const bool is_worth_it = job.proto().matched_count() > matched || !job.running() ||
                             job.proto().waiting_for_consumers();
    if (is_worth_it) jobs_.NoteChange(job);
  } else if (absl::IsDataLoss(page.status())) {
    job.Fail(page.status().message(), context_.clock.WallNow());
    jobs_.NoteChange(job);
  } else {
    job_retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
  }
}

absl::StatusOr<absl::optional<StoredEvent>> Subscription::ReadMetadata(Sequence sequence) {
  absl::optional<StoredEvent> found;
  if (sequence < 1) return found;
  const auto look = [&](const StoredEvent& event) {
    if (event.sequence == sequence) found = event;
    return false;
  };
  const absl::StatusOr<EventPage> read =
      context_.log.Read(sequence - 1, look, {.max_events = 1, .max_scanned = 1});
  if (!read.ok() && !absl::IsOutOfRange(read.status())) return read.status();
  return found;
}

absl::StatusOr<BulkPage> Subscription::ReadJobPage(const JobStep& step) {
  return step.selection->is_of_events() ? ReadPastEvents(step) : ReadDeadLetters(step);
}

// Their metadata alone: none of them is taken along.
absl::StatusOr<BulkPage> Subscription::ReadPastEvents(const JobStep& step) {
  BulkPage page;
  const Sequence after = std::max(step.after, context_.log.Position().earliest - 1);
  if (after >= step.last) {
    page.scanned_to = step.last;
    return page;
  }
  const auto look = [&](const StoredEvent& event) {
    if (event.sequence > step.last) return false;
    ++page.examined;
    if (step.selection->MatchesEvent(event)) {
      page.matching.push_back(
          {.event = {.sequence = event.sequence, .receive_time = event.receive_time},
           .examined = page.examined});
    }
    return false;
  };
  ASSIGN_OR_RETURN(const EventPage read,
                   context_.log.Read(after, look, {.max_scanned = kMaxScanned}));
  page.scanned_to = std::min(read.scanned_to, step.last);
  return page;
}

absl::StatusOr<BulkPage> Subscription::ReadDeadLetters(const JobStep& step) {
  BulkPage page;
  const bool needs_events = step.selection->needs_event();
  const size_t max = needs_events ? kMaxLettersWithEvents : kMaxLetters;
  ASSIGN_OR_RETURN(const std::vector<DeadEvent> letters,
                   context_.store.LoadDeadLetters(id_, step.after, max));
  for (const DeadEvent& letter : letters) {
    if (letter.sequence > step.last) break;
    ++page.examined;
    absl::optional<StoredEvent> event;
    if (needs_events) {
      ASSIGN_OR_RETURN(event, ReadMetadata(letter.sequence));
    }
    if (step.selection->MatchesLetter(letter, event.has_value() ? &*event : nullptr)) {
      page.matching.push_back({.event = {.sequence = letter.sequence}, .examined = page.examined});
    }
  }
  page.scanned_to = letters.size() < max ? step.last : std::min(letters.back().sequence, step.last);
  return page;
}

}  // namespace hookgate
