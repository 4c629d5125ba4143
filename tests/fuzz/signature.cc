// The input is a request: lines "name: value", an empty line, the body. Whatever it is, nobody
// without a secret gets in, and whoever has one does.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/ingest/fake_head.h"
#include "server/ingest/webhook_request.h"
#include "server/signature/standard_webhooks.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

constexpr int64_t kNow = 1750861210;
constexpr int64_t kToleranceSeconds = 300;

// A shared secret and a public key: those of the seeds, which are conformance vectors.
const std::vector<Secret>& Secrets() {
  static const auto& secrets = *new std::vector<Secret>{
      *Secret::Parse("shared", "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c="),
      *Secret::Parse("public", "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="),
  };
  return secrets;
}

struct Request {
  FakeHead::Fields fields;
  std::string body;
};

Request ParseRequest(absl::string_view input) {
  Request request;
  while (!input.empty()) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(input, absl::MaxSplits('\n', 1));
    input = halves.second;
    if (halves.first.empty()) break;
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(halves.first, absl::MaxSplits(": ", 1));
    request.fields.emplace_back(field.first, field.second);
  }
  request.body = std::string(input);
  return request;
}

absl::StatusOr<VerifiedWebhook> VerifyNow(const SignedHeaders& headers, absl::string_view body) {
  return Verify(headers, body, Secrets(), absl::FromUnixSeconds(kNow),
                absl::Seconds(kToleranceSeconds));
}

void CheckRefusal(const absl::Status& error, absl::string_view expected_signature) {
  static const auto& reasons = *new std::set<std::string>{
      reason::kMissingHeader,   reason::kMalformedHeader, reason::kConflictingHeaders,
      reason::kTimestampTooOld, reason::kTimestampTooNew, reason::kSignatureMismatch};
  Expect(absl::IsUnauthenticated(error) && reasons.count(ReasonOf(error)) == 1,
         "a refusal is UNAUTHENTICATED, with one of its reasons", error.ToString());
  Expect(!HasControlCharacters(error.message()), "a printable message", error.message());
  Expect(!absl::StrContains(error.message(), expected_signature), "no expected signature in it",
         error.message());
}

// The text of an entry is what lets a request in: all of it.
bool HasEntry(absl::string_view header, absl::string_view entry) {
  for (absl::string_view one : absl::StrSplit(header, absl::ByAnyChar(" \t\n\v\f\r"))) {
    absl::ConsumeSuffix(&one, ",");
    if (one == entry) return true;
  }
  return false;
}

// What the owner of the secret would have sent is accepted if the rest of the request is right, and
// refused as soon as the body is another.
void CheckSigned(SignedHeaders headers, const std::string& body, absl::string_view signature) {
  headers.signature = signature;
  const absl::StatusOr<VerifiedWebhook> verified = VerifyNow(headers, body);
  if (!verified.ok()) {
    Expect(ReasonOf(verified.status()) != reason::kSignatureMismatch, "a right signature matches",
           body);
    return;
  }
  Expect(verified->secret_indices == SecretIndices{0}, "by the secret that signed", body);
  Expect(absl::AbsDuration(verified->webhook_time - absl::FromUnixSeconds(kNow)) <=
             absl::Seconds(kToleranceSeconds),
         "a time within the tolerance", headers.timestamp);
  Expect(
      ReasonOf(VerifyNow(headers, absl::StrCat(body, " ")).status()) == reason::kSignatureMismatch,
      "another body does not match", body);
}

void CheckRequest(const Request& request) {
  const FakeHead head = FakeHead::With(request.fields);
  std::string joined;
  const absl::StatusOr<SignedHeaders> headers = SignedHeadersOf(head, joined);
  if (!headers.ok()) {
    CheckRefusal(headers.status(), "v1,");
    return;
  }
  const std::string own = Sign(Secrets()[0], headers->id, headers->timestamp, request.body);
  const absl::StatusOr<VerifiedWebhook> verified = VerifyNow(*headers, request.body);
  if (verified.ok()) {
    for (const size_t index : verified->secret_indices) {
      if (index == 0) Expect(HasEntry(headers->signature, own), "it was signed", own);
    }
    Expect(WellFormedIdOf(*headers) == headers->id, "an accepted id can be logged", headers->id);
  } else {
    CheckRefusal(verified.status(), own);
  }
  CheckSigned(*headers, request.body, own);
}

void CheckTarget(absl::string_view target) {
  const absl::StatusOr<absl::string_view> source = SourceNameOf(target);
  if (!source.ok()) return;
  const std::string path = absl::StrCat("/webhooks/", *source);
  Expect(target == path || target == absl::StrCat(path, "/") ||
             absl::StartsWith(target, absl::StrCat(path, "?")) ||
             absl::StartsWith(target, absl::StrCat(path, "/?")),
         "the source is the rest of the path", target);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input = hookgate::ToInput(data, size);
  hookgate::CheckRequest(hookgate::ParseRequest(input));
  hookgate::CheckTarget(absl::StrCat("/webhooks/", input));
  hookgate::CheckTarget(input);
  return 0;
}
