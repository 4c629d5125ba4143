#include "server/rpc/unary_calls.h"

#include "server/base/reason.h"

namespace hookgate {
namespace {

// More than this waiting would only time out.
constexpr int kMaxUnderWay = 256;

}  // namespace

UnaryCalls::~UnaryCalls() {
  reading_.WaitUntilNone();
  writing_.WaitUntilNone();
  immediate_.WaitUntilNone();
}

absl::Status UnaryCalls::UnderWay::Enter() {
  absl::MutexLock lock(&mu_);
  if (calls_ >= kMaxUnderWay) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyQueries,
        "the gateway is answering as many queries as it can: try again in a moment");
  }
  ++calls_;
  return absl::OkStatus();
}

void UnaryCalls::UnderWay::Leave() {
  absl::MutexLock lock(&mu_);
  --calls_;
}

bool UnaryCalls::UnderWay::none() const {
  absl::MutexLock lock(&mu_);
  return calls_ == 0;
}

void UnaryCalls::UnderWay::WaitUntilNone() const {
  absl::MutexLock lock(&mu_);
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return calls_ == 0; };
  mu_.Await(absl::Condition(&none));
}

}  // namespace hookgate
