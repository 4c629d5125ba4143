// A gRPC call without a server and a connection: the test is the client, and its thread the
// connection's.
#ifndef HOOKGATE_TESTS_SUPPORT_FAKE_CALL_H_
#define HOOKGATE_TESTS_SUPPORT_FAKE_CALL_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "server/grpc_server/call.h"

namespace hookgate {

// Thread-safe.
class FakeCall final : public Call {
 public:
  void Wake() override {
    absl::MutexLock lock(&mu_);
    woken_ = true;
  }
  void ReadNext() override {
    absl::MutexLock lock(&mu_);
    ++reads_;
  }
  void Finish(const absl::Status& status) override {
    absl::MutexLock lock(&mu_);
    if (!status_.has_value()) status_ = status;
  }
  void AddInitialMetadata(absl::string_view, absl::string_view) override {}
  void AddTrailingMetadata(absl::string_view, absl::string_view) override {}

  // Whether the handler asked for one more message; it is asked for no longer then.
  bool TakeRead() {
    absl::MutexLock lock(&mu_);
    if (reads_ == 0) return false;
    --reads_;
    return true;
  }
  absl::optional<absl::Status> status() const {
    absl::MutexLock lock(&mu_);
    return status_;
  }
  absl::Status AwaitStatus() const {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(
        +[](const absl::optional<absl::Status>* status) { return status->has_value(); }, &status_));
    return *status_;
  }

  // As the server does when there is room: the next message, as soon as `handler` has one; null if
  // the call ends first.
  Message Next(CallHandler& handler) {
    while (true) {
      {
        absl::MutexLock lock(&mu_);
        const auto asked = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
          return woken_ || status_.has_value();
        };
        mu_.Await(absl::Condition(&asked));
        if (status_.has_value()) return nullptr;
        woken_ = false;
      }
      Message message = handler.NextMessage();
      if (message == nullptr) continue;
      absl::MutexLock lock(&mu_);
      woken_ = true;  // It is asked until it has none.
      return message;
    }
  }

 private:
  mutable absl::Mutex mu_;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
  absl::optional<absl::Status> status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FAKE_CALL_H_
