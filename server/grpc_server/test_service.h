// The service that the tests of the gRPC server serve (test_service.proto).
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TEST_SERVICE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TEST_SERVICE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/executor.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/method_table.h"
#include "server/grpc_server/unary_method.h"

namespace hookgate {

// Thread-safe. Echo answers by the text of its request:
//   "metadata NAME"  the values of that name, with '|' between them
//   "certificate"    the names in the client's certificate
//   "deadline"       whether the call has one: "yes" or "no"
//   "large N"        N bytes
//   "error"          INVALID_ARGUMENT about the field "text", with details
//   "hold"           nothing, until the call has ended
//   "drop"           nothing, ever
//   all else         itself
class TestService {
 public:
  enum class Answers {
    kFromThread,  // Echo answers from a thread of its own
    kAtOnce,      // and here before the call returns; "hold" is as "drop"
  };
  explicit TestService(Answers answers = Answers::kFromThread);
  // The calls have ended by then.
  ~TestService();

  // To be served: outlives the server, as the service does.
  const MethodTable& table() const { return table_; }

  // How calls have ended so far, by method.
  int ended(absl::string_view method, CallEnd end) const ABSL_LOCKS_EXCLUDED(mu_);
  // Until calls of `method` have ended so for `count` times.
  void AwaitEnd(absl::string_view method, CallEnd end, int count = 1) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until each Echo that has its request, but for those that hold on, has its answer.
  void AwaitAnswers();
  int go_aways() const ABSL_LOCKS_EXCLUDED(mu_);
  // Messages that calls of Repeat were asked for.
  int messages() const ABSL_LOCKS_EXCLUDED(mu_);

  // For the handlers.
  void NoteEnd(const std::string& method, CallEnd end) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteGoAway() ABSL_LOCKS_EXCLUDED(mu_);
  void NoteMessage() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Admission Admit(const CallInfo& info) const;
  absl::StatusOr<UnaryWork> BeginEcho(const CallInfo& info);

  const Answers answers_;
  Executor executor_;
  MethodTable table_;

  mutable absl::Mutex mu_;
  std::map<std::pair<std::string, CallEnd>, int> ends_ ABSL_GUARDED_BY(mu_);
  int go_aways_ ABSL_GUARDED_BY(mu_) = 0;
  int messages_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TEST_SERVICE_H_
