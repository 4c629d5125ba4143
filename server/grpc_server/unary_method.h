// Methods with one request and one response, written as functions.
//
//   Method method{TypedUnaryMethod<GetEventRequest, Event>(
//       [&](const CallInfo& info) -> absl::StatusOr<TypedUnaryWork<GetEventRequest, Event>> {
//         ASSIGN_OR_RETURN(Caller caller, Caller::Admit(info, gate));
//         return [caller](GetEventRequest request, TypedResponder<Event> responder) {
//           executor.Post([..., responder = std::move(responder)]() mutable {
//             responder.Respond(ReadEvent(request));
//           });
//         };
//       })};
#ifndef HOOKGATE_SERVER_GRPC_SERVER_UNARY_METHOD_H_
#define HOOKGATE_SERVER_GRPC_SERVER_UNARY_METHOD_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/method_table.h"

namespace hookgate {

class UnaryState;  // unary_method.cc

// Owes the response of one call. Any thread, also after the call or the server has ended. If it is
// destroyed without a response, the call ends with INTERNAL.
class UnaryResponder {
 public:
  explicit UnaryResponder(std::shared_ptr<UnaryState> state);
  UnaryResponder(UnaryResponder&&) = default;
  UnaryResponder& operator=(UnaryResponder&&) = delete;
  ~UnaryResponder();

  // The serialised response, or the error that the call ends with. Once.
  void Respond(absl::StatusOr<std::string> response);
  // The response is not needed any more: the client has gone, or its deadline has passed.
  bool cancelled() const;

 private:
  std::shared_ptr<UnaryState> state_;  // null once it has responded, or was moved from
};

// Answers one request, on the connection's thread: must not block, but may respond later.
using UnaryWork = absl::AnyInvocable<void(std::string request, UnaryResponder responder) &&>;

// `begin` runs when the headers have come: it looks at who calls, and says what to do with the
// request, or refuses the call.
HandlerFactory UnaryMethod(std::function<absl::StatusOr<UnaryWork>(const CallInfo& info)> begin);

// Of one request, with those of messages within it. A field of two bytes takes up to a hundred once
// it is parsed: a request of the largest size would take some fifty megabytes.
inline constexpr size_t kMaxRequestFields = 65'536;

// Reads `bytes` into `message`, without fields that its type does not have. INVALID_ARGUMENT
// invalid_request if they are not a message of its type, or have more than kMaxRequestFields;
// nothing is parsed then.
absl::Status ParseRequest(absl::string_view bytes, google::protobuf::Message& message);

// The same as UnaryResponder, for a protobuf message.
template <typename Response>
class TypedResponder {
 public:
  explicit TypedResponder(UnaryResponder responder) : responder_(std::move(responder)) {}

  void Respond(const absl::StatusOr<Response>& response) {
    if (response.ok()) {
      responder_.Respond(response->SerializeAsString());
    } else {
      responder_.Respond(response.status());
    }
  }
  bool cancelled() const { return responder_.cancelled(); }

 private:
  UnaryResponder responder_;
};

template <typename Request, typename Response>
using TypedUnaryWork =
    absl::AnyInvocable<void(Request request, TypedResponder<Response> responder) &&>;

// A request that is not a Request is answered INVALID_ARGUMENT, without asking the work.
template <typename Request, typename Response>
HandlerFactory TypedUnaryMethod(
    std::function<absl::StatusOr<TypedUnaryWork<Request, Response>>(const CallInfo& info)> begin) {
  return UnaryMethod([begin = std::move(begin)](const CallInfo& info) -> absl::StatusOr<UnaryWork> {
    absl::StatusOr<TypedUnaryWork<Request, Response>> work = begin(info);
    if (!work.ok()) return work.status();
    return UnaryWork(
        [work = *std::move(work)](std::string bytes, UnaryResponder responder) mutable {
          Request request;
          const absl::Status parsed = ParseRequest(bytes, request);
          if (!parsed.ok()) return responder.Respond(parsed);
          std::move(work)(std::move(request), TypedResponder<Response>(std::move(responder)));
        });
  });
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_UNARY_METHOD_H_
