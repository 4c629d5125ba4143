// The methods that a GrpcServer serves, by their descriptors.
//
//   MethodTable table(admit);
//   table.AddService(*EventService::descriptor(), {
//       {"Subscribe", {MakeSubscribe}},
//       {"GetEvent", {TypedUnaryMethod<GetEventRequest, Event>(...)}},
//   });
#ifndef HOOKGATE_SERVER_GRPC_SERVER_METHOD_TABLE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_METHOD_TABLE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "server/grpc_server/call.h"

namespace hookgate {

// Makes the handler of one call, on the connection's thread: must not block. With an error the call
// ends with it, and there is no handler. The Call may be used at once.
using HandlerFactory = std::function<absl::StatusOr<std::shared_ptr<CallHandler>>(
    std::shared_ptr<Call> call, const CallInfo& info)>;

struct Method {
  HandlerFactory factory;
  // The largest message that a client may send; 0: GrpcServerOptions::max_message_bytes. Less for a
  // method that needs no identity, so that strangers hold less memory.
  size_t max_message_bytes = 0;
};

// What is known of a caller before its call is looked at.
struct Admission {
  // OK, or what the call is answered, whatever its method is.
  absl::Status status;
  // Whether the caller has proven its identity, or need not. Connections without such a caller
  // are the first to go when there are too many.
  bool identified = false;
};

// Constant once it is given to a server.
class MethodTable {
 public:
  // Asked once for each call, when its headers have come and before a byte of a message is read;
  // also for methods that do not exist, so that a stranger cannot tell which do. On the
  // connection's thread: must not block.
  using Admit = std::function<Admission(const CallInfo& info)>;

  // gRPC's kinds, by who sends a stream. A client's stream with a single answer is kBidirectional:
  // over the wire they are the same, and its handler has one message.
  enum class Kind { kUnary, kServerStreaming, kBidirectional };

  struct Entry {
    Method method;
    Kind kind = Kind::kUnary;
    std::string name;  // "hookgate.v1.EventService/GetEvent"
    size_t index = 0;  // in the order in which they were added, from 0
  };

  // Hears how calls go, for whoever counts them. On the threads of connections: must not block.
  class Observer {
   public:
    virtual ~Observer() = default;
    // A handler has the call now.
    virtual void OnCallBegin(const Entry& method) = 0;
    // The call ended with this status, so long after its headers had come. Once for each call of a
    // method that there is, also if no handler had it: then it has not begun.
    virtual void OnCallEnd(const Entry& method, bool begun, absl::StatusCode code,
                           absl::Duration took) = 0;
  };

  // Takes calls away from their methods, such as to another process. On the connection's thread:
  // must not block. Null: the method's own factory is asked.
  class Diverter {
   public:
    virtual ~Diverter() = default;
    virtual std::shared_ptr<CallHandler> Divert(const Entry& method, std::shared_ptr<Call> call,
                                                const CallInfo& info) = 0;
  };

  // `observer` and `diverter` may be null; they outlive the server.
  explicit MethodTable(Admit admit, Observer* observer = nullptr, Diverter* diverter = nullptr)
      : admit_(std::move(admit)), observer_(observer), diverter_(diverter) {}

  // Adds a service with all of its methods, each by its name without the service's. It is an error
  // of the program, and ends it, if `methods` are not exactly those of `service`.
  void AddService(const google::protobuf::ServiceDescriptor& service,
                  std::map<std::string, Method> methods);

  // "hookgate.v1.EventService" and so on, in the order in which they were added.
  const std::vector<std::string>& service_names() const { return service_names_; }

  // By "/service/method"; null if there is no such method. Valid while the table lives.
  const Entry* Find(absl::string_view path) const;

  // All methods, in no order.
  void ForEach(absl::FunctionRef<void(const Entry&)> visit) const {
    for (const auto& [path, entry] : entries_) visit(entry);
  }

  Observer* observer() const { return observer_; }

  Admission AskToAdmit(const CallInfo& info) const { return admit_(info); }

  // The handler of a call that has been admitted.
  absl::StatusOr<std::shared_ptr<CallHandler>> Begin(const Entry& method,
                                                     std::shared_ptr<Call> call,
                                                     const CallInfo& info) const {
    if (diverter_ != nullptr) {
      std::shared_ptr<CallHandler> diverted = diverter_->Divert(method, call, info);
      if (diverted != nullptr) return diverted;
    }
    return method.method.factory(std::move(call), info);
  }

 private:
  Admit admit_;
  Observer* const observer_;
  Diverter* const diverter_;
  absl::flat_hash_map<std::string, Entry> entries_;
  std::vector<std::string> service_names_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_METHOD_TABLE_H_
