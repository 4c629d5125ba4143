#include "server/cluster/call_forwarder.h"

#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/caller_metadata.h"
#include "server/cluster/peer_connection.h"

namespace hookgate {
namespace {

// Those that a leader decides, or that need what it has in memory. All others are answered from
// what every replica holds, or are about this replica itself.
bool IsForLeader(absl::string_view method) {
  if (absl::StartsWith(method, "hookgate.v1.SubscriptionService/")) return true;
  for (const char* const name :
       {"hookgate.v1.EventService/ExplainEvent", "hookgate.v1.AdminService/RetryQuarantined",
        "hookgate.v1.AdminService/DiscardQuarantined",
        "hookgate.v1.AdminService/DiscardConflicts"}) {
    if (method == name) return true;
  }
  return false;
}

// What Opened tells a client of a follower: that it might go to the leader itself.
std::string BesideFirst(absl::string_view method, const std::string& leader_address) {
  if (method != "hookgate.v1.SubscriptionService/Consume" || leader_address.empty()) return "";
  hookgate::v1::ConsumeResponse response;
  response.mutable_opened()->set_leader_address(leader_address);
  return response.SerializeAsString();
}

absl::Status Draining() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "this replica is going down: call another one");
}

absl::Status TooMuchHeld() {
  return ErrorWithReason(
      absl::StatusCode::kResourceExhausted, reason::kTooManyAnswers,
      "this replica holds as much as it may of what goes to the leader and comes "
      "from it: read what was asked for, or call again in a moment");
}

// What the leader says, as it says it. That it was not reached, or is gone, is said as what it
// means.
absl::Status ErrorOf(const absl::Status& end) {
  if (!absl::IsUnavailable(end) || !ReasonOf(end).empty()) return end;
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader,
                         "the connection to the leader broke: call again");
}

}  // namespace

// What is on its way through this replica: requests that the leader has not taken, answers that
// clients have not. Thread-safe.
class CallForwarder::BytesHeld {
 public:
  explicit BytesHeld(size_t most) : most_(most) {}

  bool Take(size_t bytes) {
    if (bytes_.fetch_add(bytes) + bytes <= most_) return true;
    bytes_ -= bytes;
    return false;
  }
  void Give(size_t bytes) { bytes_ -= bytes; }

 private:
  const size_t most_;
  std::atomic<size_t> bytes_ = 0;
};

CallForwarder::CallForwarder(const LeaderRoute& route, const Clock& clock, size_t max_bytes_held)
    : route_(route), clock_(clock), held_(std::make_shared<BytesHeld>(max_bytes_held)) {}

// One message each way at a time is on its way between the two calls, so that a side that does not
// read holds the other one up, and nothing is heaped up here.
class CallForwarder::ForwardedCall final : public CallHandler,
                                           public PeerCallListener,
                                           public std::enable_shared_from_this<ForwardedCall> {
 public:
  //   beside_first  is put behind the first message to the client: fields, which protobuf merges
  ForwardedCall(std::shared_ptr<Call> call, bool streams_requests, std::string beside_first,
                std::shared_ptr<BytesHeld> held)
      : call_(std::move(call)),
        streams_requests_(streams_requests),
        held_(std::move(held)),
        beside_first_(std::move(beside_first)) {}
  ~ForwardedCall() override { held_->Give(request_bytes_); }

  void Begin(PeerConnection& leader, const std::string& method,
             const PeerConnection::Metadata& metadata, absl::Duration timeout) {
    std::shared_ptr<PeerCall> peer = leader.Start(method, metadata, timeout, shared_from_this());
    {
      absl::MutexLock lock(&mu_);
      peer_ = peer;
    }
    peer->ReadNext();
    call_->ReadNext();
  }

  // Any thread.
  void End(const absl::Status& status) {
    call_->Finish(status);
    Cancel();
  }

  // CallHandler: on the connection's thread.
  void OnMessage(std::string bytes) override {
    const std::shared_ptr<PeerCall> peer = Peer();
    if (peer == nullptr) return;
    if (!held_->Take(bytes.size())) return End(TooMuchHeld());
    {
      absl::MutexLock lock(&mu_);
      request_bytes_ = bytes.size();
      writing_ = true;
    }
    if (streams_requests_) {
      peer->Write(bytes);
    } else {
      peer->WriteLast(bytes);
    }
  }
  void OnHalfClose() override {
    if (!streams_requests_) return;
    std::shared_ptr<PeerCall> peer;
    {
      absl::MutexLock lock(&mu_);
      half_closed_ = true;
      if (!writing_) peer = peer_;
    }
    if (peer != nullptr) peer->EndWrites();
  }
  Message NextMessage() override {
    Message message;
    std::shared_ptr<PeerCall> peer;
    {
      absl::MutexLock lock(&mu_);
      message = std::exchange(next_, nullptr);
      peer = peer_;
      if (message == nullptr && end_.has_value()) {
        call_->Finish(*end_);
        return nullptr;
      }
    }
    if (message != nullptr && peer != nullptr) peer->ReadNext();
    return message;
  }
  void OnGoAway() override {
    if (streams_requests_) End(Draining());
  }
  void OnEnd(CallEnd) override { Cancel(); }

  // PeerCallListener: any thread.
  void OnPeerMessage(std::string bytes) override {
    if (!held_->Take(bytes.size())) return End(TooMuchHeld());
    const auto give_back = [held = held_, size = bytes.size()](const std::string* message) {
      delete message;
      held->Give(size);
    };
    {
      absl::MutexLock lock(&mu_);
      bytes += std::exchange(beside_first_, "");
      next_ = Message(new std::string(std::move(bytes)), give_back);
    }
    call_->Wake();
  }
  void OnPeerWritten() override {
    std::shared_ptr<PeerCall> peer;
    {
      absl::MutexLock lock(&mu_);
      writing_ = false;
      held_->Give(std::exchange(request_bytes_, 0));
      if (half_closed_) peer = peer_;
    }
    if (peer != nullptr) {
      peer->EndWrites();
    } else if (streams_requests_) {
      call_->ReadNext();
    }
  }
  void OnPeerEnd(const absl::Status& status) override {
    {
      absl::MutexLock lock(&mu_);
      end_ = ErrorOf(status);
    }
    call_->Wake();
  }

 private:
  std::shared_ptr<PeerCall> Peer() {
    absl::MutexLock lock(&mu_);
    return peer_;
  }
  void Cancel() {
    std::shared_ptr<PeerCall> peer;
    {
      absl::MutexLock lock(&mu_);
      peer = std::exchange(peer_, nullptr);
    }
    if (peer != nullptr) peer->Cancel();
  }

  const std::shared_ptr<Call> call_;
  const bool streams_requests_;
  const std::shared_ptr<BytesHeld> held_;  // Does its own locking.

  absl::Mutex mu_;
  std::shared_ptr<PeerCall> peer_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  size_t request_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // of the one that is being written
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  std::string beside_first_ ABSL_GUARDED_BY(mu_);
  Message next_ ABSL_GUARDED_BY(mu_);  // from the leader
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

std::shared_ptr<CallHandler> CallForwarder::Divert(const MethodTable::Entry& method,
                                                   std::shared_ptr<Call> call,
                                                   const CallInfo& info) {
  if (!IsForLeader(method.name)) return nullptr;
  const LeaderRoute::Target target = route_.Find();
  if (target.leader == nullptr) return nullptr;
  const absl::Duration timeout =
      info.deadline.has_value() ? *info.deadline - clock_.MonotonicNow() : absl::InfiniteDuration();
  auto forwarded = std::make_shared<ForwardedCall>(
      std::move(call), method.kind == MethodTable::Kind::kBidirectional,
      BesideFirst(method.name, target.leader_address), held_);
  open_.Add(forwarded);
  forwarded->Begin(*target.leader, absl::StrCat("/", method.name), ToCallerMetadata(info), timeout);
  return forwarded;
}

void CallForwarder::EndAll() {
  for (const auto& call : open_.TakeAll()) call->End(Draining());
}

}  // namespace hookgate
