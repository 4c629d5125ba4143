// Unary methods that run on threads which may read the disk, and a bound on how many calls wait for
// one, and on what their requests hold meanwhile. A call that waits for a commit holds no thread
// meanwhile: however long somebody locks the database, reading goes on.
//
//   {"GetEvent", calls.Reading<GetEventRequest, GetEventResponse>(may_query, get_event)}
#ifndef HOOKGATE_SERVER_RPC_UNARY_CALLS_H_
#define HOOKGATE_SERVER_RPC_UNARY_CALLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/message.h"
#include "server/base/executor.h"
#include "server/base/status.h"
#include "server/grpc_server/method_table.h"
#include "server/grpc_server/unary_method.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/caller.h"

namespace hookgate {

// Thread-safe.
class UnaryCalls {
 public:
  // Both outlive the calls.
  UnaryCalls(Executor& executor, CallGate& gate) : executor_(executor), gate_(gate) {}
  // Waits for the work that is under way, also of calls whose clients have gone: for the disk, if
  // that is what it waits for. No call may begin any more.
  ~UnaryCalls();
  // Whether none is under way.
  bool idle() const { return reading_.none() && writing_.none() && immediate_.none(); }

  // Whether the caller may have what the request asks for. On the connection's thread: must not
  // block. The method itself has been admitted.
  template <typename Request>
  using Check = std::function<absl::Status(const Caller&, const Request&)>;

  // A method that reads. If `check` says OK, `work` fills in the response on the executor, and the
  // call ends with what it returns; otherwise it ends with what `check` says. RESOURCE_EXHAUSTED
  // too_many_queries if too many wait, or if what they hold of their requests is too much.
  template <typename Request, typename Response>
  using Work = std::function<absl::Status(const Caller&, const Request&, Response&)>;
  template <typename Request, typename Response>
  Method Reading(Check<Request> check, Work<Request, Response> work);

  // The same for a method that writes: `begin` reads on the executor what it needs, and has
  // `finish` called once, now or later, on any thread. The request and the response live until
  // then. Bounded apart from those that read.
  using Finish = absl::AnyInvocable<void(const absl::Status&) &&>;
  template <typename Request, typename Response>
  using Begin = std::function<void(const Request&, Response&, Finish finish)>;
  template <typename Request, typename Response>
  Method Writing(Check<Request> check, Begin<Request, Response> begin);

  // The same on the connection's thread at once, for what needs no reading and must not block.
  // Bounded apart from both.
  template <typename Request, typename Response>
  Method Immediate(Check<Request> check, Begin<Request, Response> begin);

 private:
  // What a call works on, until it has responded.
  template <typename Request, typename Response>
  struct Exchange {
    Caller caller;
    Request request;
    TypedResponder<Response> responder;
    int64_t request_bytes = 0;  // in memory
    Response response;

    void End(const absl::Status& status) {
      if (status.ok()) {
        responder.Respond(std::move(response));
      } else {
        responder.Respond(status);
      }
    }
  };
  // A method whose requests `run` takes, once `check` has said OK.
  template <typename Request, typename Response>
  using Run = std::function<void(std::shared_ptr<Exchange<Request, Response>> exchange)>;
  template <typename Request, typename Response>
  Method MakeMethod(Check<Request> check, Run<Request, Response> run);

  // What a request takes once it is parsed; 0 of one that takes little.
  static int64_t MemoryOf(const google::protobuf::Message& request);

  // Calls of one kind that are under way.
  class UnderWay {
   public:
    // OK: one more, whose request takes `bytes`. RESOURCE_EXHAUSTED too_many_queries: there are as
    // many as there may be, or as large.
    absl::Status Enter(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
    // One that has entered with `bytes`.
    void Leave(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
    bool none() const ABSL_LOCKS_EXCLUDED(mu_);
    void WaitUntilNone() const ABSL_LOCKS_EXCLUDED(mu_);

   private:
    mutable absl::Mutex mu_;
    int calls_ ABSL_GUARDED_BY(mu_) = 0;
    int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  };

  Executor& executor_;
  CallGate& gate_;
  UnderWay reading_;
  UnderWay writing_;
  UnderWay immediate_;
};

template <typename Request, typename Response>
Method UnaryCalls::MakeMethod(Check<Request> check, Run<Request, Response> run) {
  struct Functions {
    Check<Request> check;
    Run<Request, Response> run;
  };
  const auto functions =
      std::make_shared<const Functions>(Functions{std::move(check), std::move(run)});
  using Work = TypedUnaryWork<Request, Response>;
  return {TypedUnaryMethod<Request, Response>(
      [this, functions](const CallInfo& info) -> absl::StatusOr<Work> {
        return Work([functions, caller = Caller(info, gate_)](Request request,
                                                              TypedResponder<Response> responder) {
          const absl::Status allowed = functions->check(caller, request);
          if (!allowed.ok()) return responder.Respond(allowed);
          const int64_t bytes = MemoryOf(request);
          functions->run(std::make_shared<Exchange<Request, Response>>(Exchange<Request, Response>{
              caller, std::move(request), std::move(responder), bytes, {}}));
        });
      })};
}

template <typename Request, typename Response>
Method UnaryCalls::Reading(Check<Request> check, Work<Request, Response> work) {
  const auto shared = std::make_shared<const Work<Request, Response>>(std::move(work));
  return MakeMethod<Request, Response>(std::move(check), [this, shared](auto exchange) {
    const absl::Status entered = reading_.Enter(exchange->request_bytes);
    if (!entered.ok()) return exchange->End(entered);
    executor_.Post([this, shared, exchange] {
      const absl::Status status =
          exchange->responder.cancelled()
              ? absl::CancelledError("the client has gone")
              : (*shared)(exchange->caller, exchange->request, exchange->response);
      exchange->End(status);
      reading_.Leave(exchange->request_bytes);
    });
  });
}

template <typename Request, typename Response>
Method UnaryCalls::Writing(Check<Request> check, Begin<Request, Response> begin) {
  const auto shared = std::make_shared<const Begin<Request, Response>>(std::move(begin));
  return MakeMethod<Request, Response>(std::move(check), [this, shared](auto exchange) {
    const absl::Status entered = writing_.Enter(exchange->request_bytes);
    if (!entered.ok()) return exchange->End(entered);
    executor_.Post([this, shared, exchange] {
      Finish finish = [this, exchange](const absl::Status& status) {
        exchange->End(status);
        writing_.Leave(exchange->request_bytes);
      };
      if (exchange->responder.cancelled()) {
        return std::move(finish)(absl::CancelledError("the client has gone"));
      }
      (*shared)(exchange->request, exchange->response, std::move(finish));
    });
  });
}

template <typename Request, typename Response>
Method UnaryCalls::Immediate(Check<Request> check, Begin<Request, Response> begin) {
  return MakeMethod<Request, Response>(
      std::move(check), [this, begin = std::move(begin)](auto exchange) {
        const absl::Status entered = immediate_.Enter(exchange->request_bytes);
        if (!entered.ok()) return exchange->End(entered);
        begin(exchange->request, exchange->response, [this, exchange](const absl::Status& status) {
          exchange->End(status);
          immediate_.Leave(exchange->request_bytes);
        });
      });
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_UNARY_CALLS_H_
