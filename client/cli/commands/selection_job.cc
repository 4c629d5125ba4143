#include "client/cli/commands/selection_job.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"

namespace hookgate::cli {
namespace {

// Between two questions of how far the job is. Most jobs are short.
constexpr absl::Duration kFirstWait = absl::Milliseconds(20);
constexpr absl::Duration kLongestWait = absl::Seconds(1);

std::string HowToCancel(const v1::Job& job) {
  return absl::StrCat("hookgate jobs cancel ", job.subscription(), " ", job.job_id());
}

std::string HowToLook(const v1::Job& job) {
  return absl::StrCat("hookgate jobs list ", job.subscription());
}

}  // namespace

std::vector<FlagSpec> SelectionJobFlags() {
  return {{.name = "preview",
           .kind = FlagKind::kBool,
           .help = "Only say how many there are, and name the first few."},
          {.name = "detach",
           .kind = FlagKind::kBool,
           .help = "Start the job and do not wait for its end; hookgate jobs list shows it."}};
}

std::vector<Command::Exit> SelectionJobExits(const std::string& done, const std::string& failed) {
  return {{kSuccess, done},
          {kFailed, failed},
          {kWrongUsage, "The command line is wrong; nothing was done."},
          {kUnreachable, "No gateway answered in time."},
          {kNotFound, "There is no such subscription (any more)."},
          {kInterrupted, "Ctrl-C came while the job went on; it still does."}};
}

std::string CountText(const v1::SelectionPreview& preview, const BulkWords& words) {
  return absl::StrCat(preview.count_truncated() ? "at least " : "",
                      CountText(preview.count(), words));
}

std::string PreviewText(const v1::SelectionPreview& preview, const BulkWords& words) {
  std::string text = CountText(preview, words);
  if (preview.first_sequences_size() > 0) {
    absl::StrAppend(&text, ", the first with the sequence",
                    preview.first_sequences_size() == 1 ? " " : "s ",
                    absl::StrJoin(preview.first_sequences(), ", "));
  }
  return text;
}

std::string DoneWord(const v1::Job& job) {
  switch (job.kind()) {
    case v1::Job::KIND_REDELIVER_EVENTS:
      return "redelivered";
    case v1::Job::KIND_REDRIVE_DEAD_LETTERS:
      return "redriven";
    case v1::Job::KIND_DISCARD_DEAD_LETTERS:
      return "discarded";
    default:
      return "done";
  }
}

std::string JobText(const v1::Job& job) {
  const int64_t left = job.matched_count() - job.done_count();
  std::string text = absl::StrCat(job.done_count(), " ", DoneWord(job));
  if (left > 0) absl::StrAppend(&text, ", ", left, " left alone");
  switch (job.state()) {
    case v1::Job::STATE_RUNNING:
      absl::StrAppend(&text, " so far; it has looked at sequences up to ", job.reached_sequence(),
                      " of ", job.last_sequence());
      if (job.waiting_for_consumers()) absl::StrAppend(&text, ", and waits for consumers to ack");
      break;
    case v1::Job::STATE_CANCELLED:
      absl::StrAppend(&text, ", then it was cancelled");
      break;
    case v1::Job::STATE_FAILED:
      absl::StrAppend(&text, ", then it could not go on: ", job.error());
      break;
    default:
      break;
  }
  return text;
}

int FollowJob(v1::Job job, GatewayClient& gateway) {
  const Flags& flags = gateway.flags();
  Environment& environment = gateway.environment();
  const bool json = IsJson(flags);
  const std::string name = absl::StrCat("job ", job.job_id());
  absl::Notification interrupted;
  Interrupt::Handler handler(environment.interrupt, [&] { interrupted.Notify(); });
  std::string said;
  absl::Duration wait = kFirstWait;
  while (job.state() == v1::Job::STATE_RUNNING && !flags.Bool("detach")) {
    if (interrupted.WaitForNotificationWithTimeout(wait)) {
      return Fail(kInterrupted,
                  absl::StrCat(name, " goes on without this command: ", HowToCancel(job),
                               " ends it, ", HowToLook(job), " shows how far it is"),
                  environment);
    }
    if (wait == kLongestWait && !json && JobText(job) != said) {
      said = JobText(job);
      Say(absl::StrCat(name, ": ", said), environment);
    }
    wait = std::min(2 * wait, kLongestWait);
    v1::GetJobRequest request;
    request.set_subscription(job.subscription());
    request.set_job_id(job.job_id());
    v1::GetJobResponse response;
    const int called = gateway.Call(&v1::SubscriptionService::StubInterface::GetJob, request,
                                    absl::StrCat("follow ", name, ", which may go on"), response);
    if (called != kSuccess) return called;
    job = response.job();
  }
  if (json) {
    environment.out << MessageJson(job) << "\n";
  } else {
    environment.out << name << ": " << Printable(JobText(job)) << "\n";
  }
  const bool fine =
      job.state() == v1::Job::STATE_SUCCEEDED || job.state() == v1::Job::STATE_RUNNING;
  return fine ? kSuccess : kFailed;
}

}  // namespace hookgate::cli
