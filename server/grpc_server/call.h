// One call of a gRPC method, as a service sees it.
//
// A call is two objects. The server owns the Call: the handle by which a service asks for things,
// from any thread. The service owns the CallHandler: the server calls it back, always on the one
// thread of the call's connection, one call at a time, so a handler's own state needs no lock.
//
//   client ── headers ──▶ admit ──▶ factory ──▶ a CallHandler
//          ── message ──▶ OnMessage        once for each ReadNext
//          ── half close ▶ OnHalfClose
//          ◀── message ── NextMessage      only when the message can be sent at once
//          ◀── status ─── Finish
//                         OnEnd            always, last
//
// Sending is *pull*: there is no queue of messages. A service that has news calls Wake, and the
// server asks for the next message when both windows of HTTP/2 and the socket take bytes. So a
// client that does not read costs one message at most, and an idle call costs a few hundred bytes.
// Receiving is by need as well: the client's window grows only as messages are asked for.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_CALL_H_
#define HOOKGATE_SERVER_GRPC_SERVER_CALL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/access/certificate_name.h"
#include "server/grpc_server/metadata.h"

namespace hookgate {

// A serialised protobuf message, without gRPC's prefix. Calls that send the same share it.
using Message = std::shared_ptr<const std::string>;

// What is known of a call when its headers have come. Valid only while `admit` or a factory runs: a
// call keeps none of it.
struct CallInfo {
  std::string method;  // "/hookgate.v1.EventService/Subscribe", as the client wrote it
  std::string peer;    // "ipv4:127.0.0.1:50123" or "ipv6:[::1]:50123"
  // Of the client's certificate, if it showed one and it has been verified.
  const std::vector<CertificateName>& certificate_names;
  Metadata metadata;  // includes authorization and user-agent, not the pseudo headers
  // In monotonic time of the server's clock; nullopt if the client waits for ever. The server ends
  // the call by itself then.
  absl::optional<absl::Duration> deadline;
};

// How a call ended.
enum class CallEnd {
  kFinished,        // the status is on its way to the socket; the client may never get it
  kCancelled,       // the client has reset the stream
  kConnectionLost,  // without a word, or the call was refused for what the client did or did not
  kDeadline,        // the client's deadline passed
  kShutdown,        // the server ended it: Drain ran out of time, or the connection was too old
};

// Thread-safe. May be held for as long as one likes, also after the call or the server has ended:
// its methods do nothing then. Each takes effect on the connection's thread, soon: none of them
// calls the handler before it returns, and it is fine to use them from within the handler.
class Call {
 public:
  virtual ~Call() = default;

  // There may be a message: NextMessage is asked until it has none. Cheap, and harmless when
  // repeated.
  virtual void Wake() = 0;

  // One more message may be given to OnMessage. Nothing is given without it; calls add up.
  virtual void ReadNext() = 0;

  // Ends the call with `status`, after the messages that NextMessage has given out already. It is
  // not asked again. The first Finish counts.
  virtual void Finish(const absl::Status& status) = 0;

  // Adds to the headers of the response, or to its trailers. Names in lower case; the value of one
  // that ends in "-bin" may be any bytes. Unlike the rest only on the connection's thread, from the
  // factory or the handler, and without effect once the headers or the trailers have been made: the
  // first message takes the headers with it, Finish the trailers. A call that ends without a
  // message has trailers alone, with both in them.
  virtual void AddInitialMetadata(absl::string_view name, absl::string_view value) = 0;
  virtual void AddTrailingMetadata(absl::string_view name, absl::string_view value) = 0;
};

// What a service does in one call. All methods run on the connection's thread and must not block:
// thousands of calls share it.
class CallHandler {
 public:
  virtual ~CallHandler() = default;

  // A message that ReadNext asked for. In a method whose client sends one message, it comes only
  // once the client has also closed its side, so that a second message is never overlooked.
  virtual void OnMessage(std::string bytes) = 0;

  // The client sends no more messages. After the last OnMessage.
  virtual void OnHalfClose() {}

  // The next message, or null if there is none now; Wake has it asked again. It will be sent before
  // anything else is asked of this call. It may call Finish, which then follows that message.
  virtual Message NextMessage() = 0;

  // The connection is to be closed because it has reached its maximum age: say goodbye and finish
  // soon; the client connects again. Not called when the whole server drains: the owner of the
  // services tells them.
  virtual void OnGoAway() {}

  // The last call, always made if the factory gave out a handler. The server lets go of the handler
  // after it.
  virtual void OnEnd(CallEnd end) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_CALL_H_
