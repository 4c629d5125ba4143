// The input is the body of a signed webhook that went into quarantine. Retrying it makes an event
// of all of it, or leaves it where it is.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/admin_service.pb.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/executor.h"
#include "server/base/logging.h"
#include "server/event/decode_event.h"
#include "server/eventlog/quarantine_log.h"
#include "server/rpc/quarantine_queries.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/await_outcome.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::RetryQuarantinedResponse;

constexpr int64_t kId = 1;

// Holds one entry until it is released. In memory: what a disk does to it is tested elsewhere.
class OneEntry final : public QuarantineLog {
 public:
  explicit OneEntry(std::string body) {
    entry_.id = kId;
    entry_.webhook.source = "openai";
    entry_.webhook.webhook_id = "wh_1";
    entry_.webhook.webhook_time = absl::FromUnixSeconds(1);
    entry_.webhook.receive_time = absl::FromUnixSeconds(2);
    entry_.webhook.raw_body = std::move(body);
  }

  const StoredEvent* released() const { return released_.get(); }

  absl::StatusOr<std::vector<QuarantineEntry>> ListQuarantined(absl::string_view, int64_t,
                                                               int64_t) override {
    return std::vector<QuarantineEntry>{entry_};
  }
  absl::StatusOr<QuarantineEntry> GetQuarantined(int64_t id) override {
    if (id != kId || released_ != nullptr) return QuarantineEntryNotFound(id);
    return entry_;
  }
  absl::StatusOr<std::vector<QuarantineEntry>> FindQuarantined(absl::string_view source,
                                                               absl::string_view webhook_id,
                                                               int64_t) override {
    if (source != entry_.webhook.source || webhook_id != entry_.webhook.webhook_id ||
        released_ != nullptr) {
      return std::vector<QuarantineEntry>();
    }
    return std::vector<QuarantineEntry>{entry_};
  }
  void ReleaseQuarantined(int64_t id, std::unique_ptr<StoredEvent> event,
                          ReleaseDone done) override {
    if (id != kId || released_ != nullptr) return std::move(done)(QuarantineEntryNotFound(id));
    released_ = std::move(event);
    std::move(done)(AppendResult{.outcome = AppendResult::Outcome::kStored, .sequence = 1});
  }
  void DiscardQuarantined(int64_t id, DiscardDone done) override {
    std::move(done)(QuarantineEntryNotFound(id));
  }
  absl::StatusOr<QuarantineSummary> SummarizeQuarantine() override { return QuarantineSummary{}; }

 private:
  QuarantineEntry entry_;
  std::unique_ptr<StoredEvent> released_;
};

RetryQuarantinedResponse::Result Retry(QuarantineQueries& queries) {
  hookgate::v1::RetryQuarantinedRequest request;
  request.add_ids(kId);
  RetryQuarantinedResponse response;
  const auto status = AwaitOutcome<absl::Status>(
      [&](auto done) { queries.Retry(request, response, std::move(done)); });
  Expect(status.ok(), "what is wrong with a body is no error");
  Expect(response.results_size() == 1, "one result an id");
  return response.results(0);
}

void CheckReleased(const StoredEvent& released, const std::string& body) {
  Expect(released.raw_body == body, "the body whole", body);
  Expect(released.source == "openai" && released.webhook_id == "wh_1", "its own id", body);
  hookgate::v1::Event envelope;
  Expect(envelope.ParseFromString(released.envelope), "an envelope that can be read", body);
  Expect(envelope.webhook_id() == "wh_1", "its own id, in the envelope too", body);
  Expect(envelope.type() == released.type && envelope.subject() == released.subject,
         "one type, one subject", body);
  Expect(envelope.payload_case() != hookgate::v1::Event::PAYLOAD_NOT_SET, "a payload", body);
}

void CheckRetry(const std::string& body) {
  OneEntry log(body);
  static Executor& executor = *new Executor(1);
  static EventLog& events = *OpenTemporaryLog().release();  // only its identity is asked for
  QuarantineQueries queries(log, events, executor);
  const RetryQuarantinedResponse::Result result = Retry(queries);
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  if (!decoded.ok()) {
    Expect(result.outcome() == RetryQuarantinedResponse::OUTCOME_NOT_DECODED, "not decoded", body);
    Expect(log.released() == nullptr, "it stays where it is", body);
    Expect(!result.reason().empty() && !result.detail().empty(), "it says why", body);
    Expect(!HasControlCharacters(result.detail()), "a printable detail", result.detail());
    return;
  }
  Expect(result.outcome() == RetryQuarantinedResponse::OUTCOME_RELEASED, "released", body);
  CheckReleased(*log.released(), body);
  Expect(Retry(queries).outcome() == RetryQuarantinedResponse::OUTCOME_NOT_FOUND, "once", body);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Each release is logged.
  static const bool quiet = (hookgate::SetLeastSeverity(hookgate::Severity::kError), true);
  static_cast<void>(quiet);
  hookgate::CheckRetry(hookgate::ToInput(data, size));
  return 0;
}
