#include "server/admin/admin_handler.h"

#include <boost/json.hpp>
#include <utility>

#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/http/problem.h"

namespace hookgate {
namespace {

constexpr char kHealthPath[] = "/healthz";
constexpr char kReadyPath[] = "/readyz";

absl::string_view PathOf(const HttpHead& head) {
  const absl::string_view target = head.target();
  return target.substr(0, target.find('?'));
}

}  // namespace

absl::optional<HttpResponse> AdminHandler::CheckHead(const HttpHead& head) {
  if (PathOf(head) != kHealthPath && PathOf(head) != kReadyPath) {
    return ToHttpResponse(ErrorWithReason(absl::StatusCode::kNotFound, reason::kNotFound,
                                          "there are /healthz and /readyz"));
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
  HttpResponse response;
  response.body = R"({"status":"ok"})";
  std::move(respond)(std::move(response));
}

HttpResponse AdminHandler::Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead&) {
  return ToHttpResponse(RefusalError(refusal, detail));
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
