// A connection to another replica without one: the test is the other replica.
#ifndef HOOKGATE_TESTS_SUPPORT_FAKE_PEER_CONNECTION_H_
#define HOOKGATE_TESTS_SUPPORT_FAKE_PEER_CONNECTION_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/cluster/leader_route.h"
#include "server/cluster/peer_connection.h"

namespace hookgate {

// Thread-safe.
class FakePeerCall final : public PeerCall {
 public:
  FakePeerCall(std::string method, PeerConnection::Metadata metadata, absl::Duration timeout,
               std::shared_ptr<PeerCallListener> listener)
      : method(std::move(method)),
        metadata(std::move(metadata)),
        timeout(timeout),
        listener_(std::move(listener)) {}

  const std::string method;
  const PeerConnection::Metadata metadata;
  const absl::Duration timeout;

  void Write(absl::string_view bytes) override { Note(bytes, /*is_last=*/false); }
  void WriteLast(absl::string_view bytes) override { Note(bytes, /*is_last=*/true); }
  void EndWrites() override {
    absl::MutexLock lock(&mu_);
    writes_ended_ = true;
  }
  void ReadNext() override {
    absl::MutexLock lock(&mu_);
    ++reads_;
  }
  void Cancel() override {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }

  std::vector<std::string> written() const {
    absl::MutexLock lock(&mu_);
    return written_;
  }
  void AwaitWritten() const {
    absl::MutexLock lock(&mu_);
    const auto there = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !written_.empty(); };
    mu_.Await(absl::Condition(&there));
  }
  bool writes_ended() const {
    absl::MutexLock lock(&mu_);
    return writes_ended_;
  }
  bool cancelled() const {
    absl::MutexLock lock(&mu_);
    return cancelled_;
  }

  // What was written is on its way.
  void SayWritten() { listener_->OnPeerWritten(); }
  // Whether the other side wants one more message; it is given to it then.
  bool Say(std::string bytes) {
    {
      absl::MutexLock lock(&mu_);
      if (reads_ == 0) return false;
      --reads_;
    }
    listener_->OnPeerMessage(std::move(bytes));
    return true;
  }
  // Nothing is said after it.
  void End(const absl::Status& status) {
    const std::shared_ptr<PeerCallListener> listener = std::move(listener_);
    listener->OnPeerEnd(status);
  }
  bool ended() const { return listener_ == nullptr; }
  // Of a unary call.
  void Answer(std::string bytes) {
    Say(std::move(bytes));
    End(absl::OkStatus());
  }

 private:
  void Note(absl::string_view bytes, bool is_last) {
    absl::MutexLock lock(&mu_);
    written_.emplace_back(bytes);
    writes_ended_ = is_last;
  }

  std::shared_ptr<PeerCallListener> listener_;  // the test's thread alone
  mutable absl::Mutex mu_;
  std::vector<std::string> written_ ABSL_GUARDED_BY(mu_);
  bool writes_ended_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
};

// Thread-safe.
class FakePeerConnection final : public PeerConnection {
 public:
  // A connection that goes ends its calls. Those that nobody ends would keep their listeners, and
  // be kept by them, for ever.
  ~FakePeerConnection() override {
    std::vector<std::shared_ptr<FakePeerCall>> calls;
    {
      absl::MutexLock lock(&mu_);
      calls.swap(calls_);
    }
    for (const auto& call : calls) {
      if (!call->ended()) call->End(absl::CancelledError("the connection is gone"));
    }
  }
  std::shared_ptr<PeerCall> Start(const std::string& method, const Metadata& metadata,
                                  absl::Duration timeout,
                                  std::shared_ptr<PeerCallListener> listener) override {
    auto call = std::make_shared<FakePeerCall>(method, metadata, timeout, std::move(listener));
    absl::MutexLock lock(&mu_);
    calls_.push_back(call);
    return call;
  }
  void Connect() override {}

  // The call that was begun as the `number`th, from 1.
  std::shared_ptr<FakePeerCall> AwaitCall(size_t number) {
    absl::MutexLock lock(&mu_);
    const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return calls_.size() >= number; };
    mu_.Await(absl::Condition(&there));
    return calls_[number - 1];
  }
  // The same, once it has been given its first message.
  std::shared_ptr<FakePeerCall> AwaitAsked(size_t number) {
    std::shared_ptr<FakePeerCall> call = AwaitCall(number);
    call->AwaitWritten();
    return call;
  }
  size_t calls() const {
    absl::MutexLock lock(&mu_);
    return calls_.size();
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<std::shared_ptr<FakePeerCall>> calls_ ABSL_GUARDED_BY(mu_);
};

// Leads where the test says. Thread-safe.
class FakeLeaderRoute final : public LeaderRoute {
 public:
  Target Find() const override {
    absl::MutexLock lock(&mu_);
    return target_;
  }
  LeadershipNews& news() override { return news_; }

  // Without news.
  void Set(const Target& target) {
    absl::MutexLock lock(&mu_);
    target_ = target;
  }

 private:
  LeadershipNews news_;  // Does its own locking.
  mutable absl::Mutex mu_;
  Target target_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FAKE_PEER_CONNECTION_H_
