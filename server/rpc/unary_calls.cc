#include "server/rpc/unary_calls.h"

#include "server/base/reason.h"

namespace hookgate {
namespace {

// More than this waiting would only time out.
constexpr int kMaxUnderWay = 256;
// Of the requests that are under way, unless it is a single one: of the largest, some six.
constexpr int64_t kMaxRequestBytes = 32 << 20;
// As large on the wire, a request may take a hundred times as much; those below take too little to
// be worth counting.
constexpr size_t kSmallRequestBytes = 1024;

}  // namespace

UnaryCalls::~UnaryCalls() {
  reading_.WaitUntilNone();
  writing_.WaitUntilNone();
  immediate_.WaitUntilNone();
}

int64_t UnaryCalls::MemoryOf(const google::protobuf::Message& request) {
  if (request.ByteSizeLong() <= kSmallRequestBytes) return 0;
  return static_cast<int64_t>(request.SpaceUsedLong());
}

absl::Status UnaryCalls::UnderWay::Enter(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  const bool too_large = bytes_ > 0 && bytes > 0 && bytes_ + bytes > kMaxRequestBytes;
  if (calls_ >= kMaxUnderWay || too_large) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyQueries,
        "the gateway is answering as many queries as it can: try again in a moment");
  }
  ++calls_;
  bytes_ += bytes;
  return absl::OkStatus();
}

void UnaryCalls::UnderWay::Leave(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  --calls_;
  bytes_ -= bytes;
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
