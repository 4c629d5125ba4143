#include "server/admin/admin_handler.h"

#include <boost/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/http/problem.h"

namespace hookgate {
namespace {

constexpr char kHealthPath[] = "/healthz";
constexpr char kReadyPath[] = "/readyz";
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

// One of the scrapes that are under way, while it lives.
class ScrapeUnderWay final : public AnswerWatch {
 public:
  explicit ScrapeUnderWay(std::shared_ptr<std::atomic<int>> count) : count_(std::move(count)) {}
  ~ScrapeUnderWay() override { --*count_; }

  void OnWritten(absl::Duration) override {}

 private:
  const std::shared_ptr<std::atomic<int>> count_;
};

}  // namespace

absl::optional<HttpResponse> AdminHandler::CheckHead(const HttpHead& head) {
  const absl::string_view path = PathOf(head);
  if (path != kHealthPath && path != kReadyPath && path != kMetricsPath) {
    return ToHttpResponse(ErrorWithReason(absl::StatusCode::kNotFound, reason::kNotFound,
                                          "there are /healthz, /readyz and /metrics"));
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
  // Counts before it looks, so that two that begin at one time do not both find the last place.
  const bool too_many = ++*scrapes_ > kMaxScrapes;
  auto under_way = std::make_shared<ScrapeUnderWay>(scrapes_);
  if (too_many) {
    absl::Status error = ErrorWithReason(
        absl::StatusCode::kUnavailable, reason::kTooManyScrapes,
        absl::StrCat(kMaxScrapes, " scrapes are being answered already: try again in a moment"));
    SetRetryAfter(error, kRetryAfterScrapes);
    return ToHttpResponse(error);
  }
  const MetricFormat format = FormatFor(FieldOf(head, "accept"));
  HttpResponse response;
  response.content_type = std::string(ContentTypeOf(format));
  response.body = metrics_.Write(format);
  response.watch = std::move(under_way);
  return response;
}

HttpResponse AdminHandler::Readiness() const {
  HttpResponse response;
  const std::vector<std::string> reasons = reasons_not_ready_();
  if (reasons.empty()) {
    response.body = R"({"status":"ready"})";
    return response;
  }
  response.status = 503;
  response.body = boost::json::serialize(boost::json::object{
      {"status", "not_ready"}, {"reasons", boost::json::array(reasons.begin(), reasons.end())}});
  return response;
}

}  // namespace hookgate
