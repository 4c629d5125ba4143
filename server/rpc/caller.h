// Who made a call, and what it may do by the policy in force at the moment of asking.
//
// The MethodTable asks Admit for every call before any handler is made and before a byte of a
// message is read, so no method can be reached without it. What a request asks for, each method
// checks with its Caller.
//
// A Caller keeps the credentials and not the principal, so a stream that asks again after the
// policy has changed learns that its token was withdrawn.
#ifndef HOOKGATE_SERVER_RPC_CALLER_H_
#define HOOKGATE_SERVER_RPC_CALLER_H_

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/repeated_field.h"
#include "server/base/logging.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/method_table.h"
#include "server/rpc/call_gate.h"

namespace hookgate {

// The token of "Bearer TOKEN" becomes its digest. Anything else is a problem.
//   authorization      every header of that name that the call has
//   certificate_names  of a client certificate that has been verified
Credentials MakeCredentials(const std::vector<absl::string_view>& authorization,
                            std::vector<CertificateName> certificate_names);

// Thread-safe, as it is constant. Errors are those of AccessPolicy; denials are logged.
class Caller {
 public:
  // Who makes the call that `info` is about. `gate` outlives the caller.
  Caller(const CallInfo& info, CallGate& gate);

  // Whether that call may be made at all: UNAUTHENTICATED or PERMISSION_DENIED as CheckCall says.
  static Admission Admit(const CallInfo& info, CallGate& gate);

  // As Admit, by the policy in force now. `method` is "/hookgate.v1.EventService/GetEvent".
  absl::Status CheckMethod(absl::string_view method) const;
  absl::Status CheckSources(Right right,
                            const google::protobuf::RepeatedPtrField<std::string>& sources) const;
  absl::Status CheckSources(Right right, absl::Span<const std::string> sources) const;
  absl::Status CheckSource(Right right, const std::string& source) const;
  // The same as a plain answer, for events that must look as if they were not there.
  bool HasRight(Right right, const std::string& source) const;
  bool HasInspectRight(absl::string_view subscription) const;
  bool IsAdmin() const;
  absl::Status CheckConsume(absl::string_view subscription) const;
  // To look at the state of a subscription without its events.
  absl::Status CheckInspect(absl::string_view subscription) const;
  absl::Status CheckAllSubscriptions() const;
  absl::Status CheckAdmin() const;

  // Whether each of `sources` exists, as CallGate says. Ask for the right to them first.
  absl::Status CheckSourcesExist(const google::protobuf::RepeatedPtrField<std::string>& sources,
                                 absl::string_view field) const;
  absl::Status CheckSourceExists(const std::string& source, absl::string_view field) const;

  // The principal's name: of one that is gone, by which the call has to end, the name that it had.
  // "" if the gateway has no principals.
  std::string name() const;
  // Whether both show the same credentials over the same connection.
  bool IsSameAs(const Caller& other) const {
    return peer_ == other.peer_ && credentials_ == other.credentials_;
  }
  // As gRPC writes it: "ipv4:127.0.0.1:50123".
  const std::string& peer() const { return peer_; }
  // A log line about a call that changes something. `what` has been checked.
  void LogChange(absl::string_view method, absl::string_view what) const;
  // A log line that this caller has caused; left out if it has caused too many.
  void LogLine(Severity severity, absl::string_view message,
               std::initializer_list<LogField> fields) const;

 private:
  absl::Status LogDenial(absl::Status status) const;
  bool MayKnowAllSources() const;

  CallGate& gate_;
  const Credentials credentials_;
  const std::string peer_;
  const std::string name_at_start_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CALLER_H_
