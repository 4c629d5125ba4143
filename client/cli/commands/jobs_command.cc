#include "client/cli/commands/jobs_command.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kList[] = "jobs list";
constexpr char kCancel[] = "jobs cancel";

std::string KindText(const v1::Job& job) {
  switch (job.kind()) {
    case v1::Job::KIND_REDELIVER_EVENTS:
      return "redeliver events";
    case v1::Job::KIND_REDRIVE_DEAD_LETTERS:
      return "redrive dead letters";
    case v1::Job::KIND_DISCARD_DEAD_LETTERS:
      return "discard dead letters";
    default:
      return v1::Job::Kind_Name(job.kind());
  }
}

std::string StateText(const v1::Job& job) {
  switch (job.state()) {
    case v1::Job::STATE_RUNNING:
      return job.waiting_for_consumers() ? "waits for consumers" : "running";
    case v1::Job::STATE_SUCCEEDED:
      return "succeeded";
    case v1::Job::STATE_CANCELLED:
      return "cancelled";
    case v1::Job::STATE_FAILED:
      return absl::StrCat("failed: ", job.error());
    default:
      return v1::Job::State_Name(job.state());
  }
}

ListedItems::Item ItemOf(const v1::Job& job, const Reader& reader) {
  const bool failed = job.state() == v1::Job::STATE_FAILED;
  return {{{absl::StrCat(job.job_id())},
           {KindText(job)},
           {When(job.has_create_time(), job.create_time(), reader).age, Look::kFaint},
           {absl::StrCat(job.examined_count())},
           {absl::StrCat(job.matched_count())},
           {absl::StrCat(job.done_count())},
           {StateText(job), failed ? Look::kBad : Look::kPlain}},
          MessageJson(job)};
}

int RunList(const Flags& flags, Environment& environment) {
  v1::ListJobsRequest request;
  request.set_subscription(flags.arguments()[0]);
  return RunPagedListing(
      {.command = kList,
       .singular = "job",
       .plural = "jobs",
       .none = "There are no jobs.",
       .columns = {{"ID", true},
                   {"JOB"},
                   {"STARTED"},
                   {"LOOKED AT", true},
                   {"MATCHED", true},
                   {"DONE", true},
                   {"STATE"}},
       .fetch = FetchBy(&v1::SubscriptionService::StubInterface::ListJobs, request,
                        &v1::ListJobsResponse::jobs, ItemOf, ReaderOf(flags, environment))},
      flags, environment);
}

int RunCancel(const Flags& flags, Environment& environment) {
  const absl::StatusOr<int64_t> id = ParseNumber(flags.arguments()[1], kJobIds);
  if (!id.ok()) return WrongUsage(kCancel, id.status().message(), environment);
  v1::CancelJobRequest request;
  request.set_subscription(flags.arguments()[0]);
  request.set_job_id(*id);
  GatewayClient gateway(flags, environment);
  v1::CancelJobResponse response;
  const int exit_code = gateway.Call(&v1::SubscriptionService::StubInterface::CancelJob, request,
                                     absl::StrCat("cancel job ", *id), response);
  if (exit_code != kSuccess) return exit_code;
  const v1::Job& job = response.job();
  environment.out << (IsJson(flags) ? MessageJson(job)
                                    : absl::StrCat("job ", *id, ": ", Printable(JobText(job))))
                  << "\n";
  return kSuccess;
}

}  // namespace

Command JobsListCommand() {
  return {
      .name = kList,
      .summary = "List the jobs of a subscription: what runs, what has ended",
      .description =
          "Lists the jobs of a durable subscription, newest first: the one that runs, and the "
          "last 20 that have ended. A job of which less was done than matched has left the rest "
          "alone: it was on its way already, or retention had removed it.",
      .arguments = {.usage = "SUBSCRIPTION", .least = 1, .most = 1},
      .flags = PagedListingFlags(),
      .examples = {{"hookgate jobs list billing", "How far is the replay?"}},
      .exits = ListingExits(),
      .run = RunList};
}

Command JobsCancelCommand() {
  return {
      .name = kCancel,
      .summary = "End a job where it is",
      .description =
          "Ends a job. What it has done so far stays done; a job that has ended already stays as "
          "it is.",
      .arguments = {.usage = "SUBSCRIPTION ID", .least = 2, .most = 2},
      .flags = {GrpcFlag(), TimeoutFlag("How long the call may take."), OutputFlag()},
      .examples = {{"hookgate jobs cancel billing 3", "That was too much."}},
      .exits = ChangeExits("It has ended.", "There is no such subscription or job (any more)."),
      .run = RunCancel};
}

}  // namespace hookgate::cli
