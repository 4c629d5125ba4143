#include "server/admin/admin_handler.h"

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <list>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/http/problem.h"

namespace hookgate {
namespace {

constexpr char kHealthPath[] = "/healthz";
constexpr char kReadyPath[] = "/readyz";
constexpr char kLeaderPath[] = "/leaderz";
constexpr char kMetricsPath[] = "/metrics";
// After a scrape was refused: the others will have ended.
constexpr absl::Duration kRetryAfterScrapes = absl::Seconds(1);

absl::string_view PathOf(const HttpHead& head) {
  const absl::string_view target = head.target();
  return target.substr(0, target.find('?'));
}

// The fields of this name, as one list (RFC 9110, section 5.3).
std::string FieldOf(const HttpHead& head, absl::string_view wanted) {
  std::string joined;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    if (!absl::EqualsIgnoreCase(name, wanted)) return;
    absl::StrAppend(&joined, joined.empty() ? "" : ",", value);
  });
  return joined;
}

HttpResponse NotNow(const char* status, const std::vector<std::string>& reasons) {
  HttpResponse response;
  response.status = 503;
  response.body = boost::json::serialize(boost::json::object{
      {"status", status}, {"reasons", boost::json::array(reasons.begin(), reasons.end())}});
  return response;
}

}  // namespace

// Those that are under way, and have not been told to make room. Thread-safe.
class AdminHandler::Scrapes {
 public:
  struct Entry {
    absl::Duration begin;
    std::function<void()> close;  // null: its answer is still being made
  };
  using Place = std::list<Entry>::iterator;

  // A place for a scrape that begins at `now`; nullopt: there is none. Has one that was begun long
  // ago make room, if it takes that.
  absl::optional<Place> Enter(absl::Duration now) ABSL_LOCKS_EXCLUDED(mu_) {
    std::function<void()> close;
    Place place;
    {
      absl::MutexLock lock(&mu_);
      if (entries_.size() >= kMaxScrapes) {
        Entry& oldest = entries_.front();
        if (oldest.close == nullptr || now - oldest.begin < kScrapePatience) return absl::nullopt;
        close = std::move(oldest.close);
        closed_.splice(closed_.end(), entries_, entries_.begin());
      }
      place = entries_.insert(entries_.end(), Entry{.begin = now, .close = nullptr});
    }
    if (close != nullptr) close();
    return place;
  }
  void SetClose(Place place, std::function<void()> close) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    place->close = std::move(close);
  }
  void Leave(Place place) ABSL_LOCKS_EXCLUDED(mu_) {
    std::list<Entry> left;  // Destroyed without the lock.
    absl::MutexLock lock(&mu_);
    // Of whichever list it is in: that changes nothing but the other one's size.
    const bool was_closed = std::any_of(closed_.begin(), closed_.end(),
                                        [&](const Entry& entry) { return &entry == &*place; });
    left.splice(left.end(), was_closed ? closed_ : entries_, place);
  }

 private:
  absl::Mutex mu_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);  // the oldest first
  std::list<Entry> closed_ ABSL_GUARDED_BY(mu_);   // whose connections are about to be closed
};

// One of them, while it lives.
class AdminHandler::ScrapeUnderWay final : public AnswerWatch {
 public:
  ScrapeUnderWay(std::shared_ptr<Scrapes> scrapes, Scrapes::Place place)
      : scrapes_(std::move(scrapes)), place_(place) {}
  ~ScrapeUnderWay() override { scrapes_->Leave(place_); }

  void OnBegin(Closer closer) override { scrapes_->SetClose(place_, closer()); }
  void OnWritten(absl::Duration) override {}

 private:
  const std::shared_ptr<Scrapes> scrapes_;
  const Scrapes::Place place_;
};

AdminHandler::AdminHandler(ReasonsNotReady reasons_not_ready, ReasonNotLeading reason_not_leading,
                           MetricRegistry& metrics, const Clock& clock)
    : reasons_not_ready_(std::move(reasons_not_ready)),
      reason_not_leading_(std::move(reason_not_leading)),
      metrics_(metrics),
      clock_(clock),
      scrapes_(std::make_shared<Scrapes>()) {}

absl::optional<HttpResponse> AdminHandler::CheckHead(const HttpHead& head) {
  const absl::string_view path = PathOf(head);
  if (path != kHealthPath && path != kReadyPath && path != kLeaderPath && path != kMetricsPath) {
    return ToHttpResponse(ErrorWithReason(absl::StatusCode::kNotFound, reason::kNotFound,
                                          "there are /healthz, /readyz, /leaderz and /metrics"));
  }
  if (head.method() != "GET" && head.method() != "HEAD") {
    HttpResponse response = ToHttpResponse(ErrorWithReason(
        absl::StatusCode::kInvalidArgument, reason::kMethodNotAllowed, "this is asked by GET"));
    response.fields.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  return absl::nullopt;
}

void AdminHandler::Handle(const HttpHead& head, std::string, absl::Time, Respond respond) {
  if (PathOf(head) == kReadyPath) {
    std::move(respond)(Readiness());
    return;
  }
  if (PathOf(head) == kLeaderPath) {
    std::move(respond)(Leadership());
    return;
  }
  if (PathOf(head) == kMetricsPath) {
    std::move(respond)(Scrape(head));
    return;
  }
  HttpResponse response;
  response.body = R"({"status":"ok"})";
  std::move(respond)(std::move(response));
}

HttpResponse AdminHandler::Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead&) {
  return ToHttpResponse(RefusalError(refusal, detail));
}

HttpResponse AdminHandler::Scrape(const HttpHead& head) {
  const absl::optional<Scrapes::Place> place = scrapes_->Enter(clock_.MonotonicNow());
  if (!place.has_value()) {
    absl::Status error = ErrorWithReason(
        absl::StatusCode::kUnavailable, reason::kTooManyScrapes,
        absl::StrCat(kMaxScrapes, " scrapes are being answered already: try again in a moment"));
    SetRetryAfter(error, kRetryAfterScrapes);
    return ToHttpResponse(error);
  }
  auto under_way = std::make_shared<ScrapeUnderWay>(scrapes_, *place);
  const MetricFormat format = FormatFor(FieldOf(head, "accept"));
  HttpResponse response;
  response.content_type = ContentTypeOf(format);
  response.body = metrics_.Write(format);
  response.watch = std::move(under_way);
  return response;
}

HttpResponse AdminHandler::Leadership() const {
  const std::string reason = reason_not_leading_();
  HttpResponse response;
  if (reason.empty()) {
    response.body = R"({"status":"leader"})";
    return response;
  }
  return NotNow("not_leader", {reason});
}

HttpResponse AdminHandler::Readiness() const {
  HttpResponse response;
  const std::vector<std::string> reasons = reasons_not_ready_();
  if (reasons.empty()) {
    response.body = R"({"status":"ready"})";
    return response;
  }
  return NotNow("not_ready", reasons);
}

}  // namespace hookgate
