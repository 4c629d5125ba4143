#include "tests/bench/grow_log.h"

#include <iterator>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/eventlog/compose_event.h"
#include "server/eventlog/sqlite_event_log.h"

namespace hookgate {
namespace {

constexpr int64_t kSampled = 4096;
constexpr int64_t kGroup = 16'384;

struct Kind {
  const char* type;
  const char* subject_prefix;
};
// One in five is a failure.
constexpr Kind kKinds[] = {
    {"response.completed", "resp_"},
    {"response.completed", "resp_"},
    {"response.completed", "resp_"},
    {"response.failed", "resp_"},
    {"batch.completed", "batch_"},
    {"batch.completed", "batch_"},
    {"batch.failed", "batch_"},
    {"eval.run.succeeded", "evalrun_"},
    {"fine_tuning.job.succeeded", "ftjob_"},
    {"response.incomplete", "resp_"},
};

std::string RandomHex(absl::BitGenRef random, int words) {
  std::string hex;
  for (int i = 0; i < words; ++i) {
    absl::StrAppend(&hex, absl::Hex(absl::Uniform<uint64_t>(random), absl::kZeroPad16));
  }
  return hex;
}

// How many appends are under way, and the first that failed.
class Progress {
 public:
  // Waits until there is room for one more.
  absl::Status Begin() {
    const auto has_room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return open_ < kGroup; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&has_room));
    ++open_;
    return error_;
  }
  void End(const absl::Status& status) {
    absl::MutexLock lock(&mu_);
    --open_;
    error_.Update(status);
  }
  absl::Status WaitForAll() {
    const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return open_ == 0; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&none));
    return error_;
  }

 private:
  absl::Mutex mu_;
  int64_t open_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::string RandomWebhookId(absl::BitGenRef random) {
  return absl::StrCat("wh_", RandomHex(random, 2));
}

std::string RandomWebhookBody(absl::BitGenRef random, std::string* subject) {
  const Kind& kind = kKinds[absl::Uniform<size_t>(random, 0, std::size(kKinds))];
  *subject = absl::StrCat(kind.subject_prefix, RandomHex(random, 2));
  return absl::StrFormat(
      R"({"id":"evt_%s","object":"event","created_at":1750000000,"type":"%s","data":{"id":"%s"}})",
      RandomHex(random, 2), kind.type, *subject);
}

absl::StatusOr<GrownLog> GrowLog(const std::string& data_dir, int64_t events, absl::Duration span,
                                 absl::BitGenRef random, absl::Duration age) {
  const absl::Time begin = absl::Now();
  Progress progress;
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteEventLog> log,
                   SqliteEventLog::Open({.data_dir = data_dir,
                                         .limits = {.max_queued = 2 * kGroup,
                                                    .max_queued_bytes = int64_t{1} << 30,
                                                    .max_group = kGroup}},
                                        nullptr));
  GrownLog grown;
  const int64_t sample_every = std::max<int64_t>(1, events / kSampled);
  for (int64_t i = 0; i < events; ++i) {
    KnownEvent known = {.webhook_id = RandomWebhookId(random)};
    std::string body = RandomWebhookBody(random, &known.subject);
    ASSIGN_OR_RETURN(DecodedEvent decoded, DecodeEvent(body));
    const absl::Time receive_time =
        absl::FromUnixMicros(absl::ToUnixMicros(begin - age - span + span * i / events));
    RETURN_IF_ERROR(progress.Begin());
    log->Append(
        ComposeEvent(std::move(decoded),
                     {.source = "openai",
                      .webhook_id = known.webhook_id,
                      .webhook_time = absl::FromUnixSeconds(absl::ToUnixSeconds(begin)),
                      .receive_time = receive_time},
                     std::move(body)),
        [&progress](const absl::StatusOr<AppendResult>& result) { progress.End(result.status()); });
    if (i % sample_every == 0) grown.sample.push_back(std::move(known));
  }
  RETURN_IF_ERROR(progress.WaitForAll());
  log.reset();
  grown.elapsed = absl::Now() - begin;
  return grown;
}

}  // namespace hookgate
