#include "client/gateway_error.h"

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"
#include "server/base/proto_time.h"

namespace hookgate {
namespace {

constexpr char kDomain[] = "hookgate";
// Of the status for people; hold these messages.
constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";

// By gRPC itself, on this side. It is the only one that has no code of its own.
bool IsTooLargeMessage(const GatewayError& error) {
  return !error.FromGateway() && error.status.code() == absl::StatusCode::kResourceExhausted &&
         absl::StrContains(error.status.message(), "larger than max");
}

// Reasons that say nothing about the request: it may be right, and succeed later, whatever the
// code.
bool IsOfTheMoment(absl::string_view reason) {
  for (absl::string_view word :
       {"DRAINING", "STORE_UNAVAILABLE", "TOO_MANY_STREAMS", "TOO_MANY_QUERIES",
        "TOO_MANY_CONSUMERS", "TOO_MANY_CONNECTIONS", "TOO_MANY_ANSWERS", "TOO_MANY_SUBSCRIPTIONS",
        "RATE_LIMITED", "QUEUE_FULL", "JOB_RUNNING"}) {
    if (reason == word) return true;
  }
  return false;
}

std::string CursorIn(const GatewayError& error, const std::string& key) {
  const auto found = error.metadata.find(key);
  return found == error.metadata.end() ? std::string() : found->second;
}

// Where to go on when the cursor in hand is of no use.
std::string StartAgain(const GatewayError& error) {
  const std::string cursor = CursorIn(error, "earliest_cursor");
  return cursor.empty() ? "start from the earliest event"
                        : absl::StrCat("start from the earliest event (cursor ", cursor, ")");
}

std::string NextStep(const GatewayError& error, absl::string_view target) {
  if (error.reason == "CURSOR_OVERTAKEN") {
    return absl::StrCat(
        "Retention has removed events after this cursor: they are lost to this subscriber. To go "
        "on "
        "with the events that are still stored, ",
        StartAgain(error), ".");
  }
  if (error.reason == "CURSOR_OF_ANOTHER_LOG") {
    return absl::StrCat(
        "The gateway's log is not the one that gave this cursor: its data folder was replaced, or "
        "this is another gateway. If that is intended, ",
        StartAgain(error), ".");
  }
  if (error.reason == "CURSOR_OF_ANOTHER_HISTORY") {
    const std::string common = CursorIn(error, "common_cursor");
    return absl::StrCat(
        "The gateway's log was put back to an older state (a backup, or a copied folder), so "
        "events "
        "that this subscriber has handled may be gone, and others have their sequences. To go on, ",
        common.empty() ? StartAgain(error)
                       : absl::StrCat("start where both are still the same (cursor ", common,
                                      "), or ", StartAgain(error)),
        ".");
  }
  switch (error.status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return "Correct the request; the same one will be refused again.";
    case absl::StatusCode::kUnauthenticated:
      return "Show a token, or a client certificate, that the gateway's operator has given you.";
    case absl::StatusCode::kPermissionDenied:
      return "Ask the gateway's operator for access.";
    case absl::StatusCode::kUnimplemented:
      return absl::StrCat("Check that ", target,
                          " is the gRPC port of a gateway (default 50051) that is not older than "
                          "this client.");
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      if (error.FromGateway()) return "Try again later.";
      if (absl::StrContains(absl::AsciiStrToLower(error.status.message()),
                            "wrong version number")) {
        return absl::StrCat("The server does not use TLS at ", target,
                            ": turn TLS off, or correct the address.");
      }
      if (absl::StrContains(error.status.message(), "handshake failed")) {
        return "Perhaps no CA that this client trusts has signed the gateway's certificate: give "
               "it the certificate of the CA that has.";
      }
      if (absl::StrContains(error.status.message(), "Socket closed") ||
          absl::StrContains(error.status.message(), "onnection reset")) {
        return absl::StrCat("Check whether the gateway at ", target,
                            " speaks TLS: this client does only if told so.");
      }
      return absl::StrCat("Check that a gateway runs there and that ", target,
                          " is its gRPC address.");
    case absl::StatusCode::kResourceExhausted:
      if (IsTooLargeMessage(error)) {
        return "Trying again would not help: give this client's channel a larger limit for "
               "messages "
               "that it receives, or do not request raw bodies.";
      }
      return "Try again later.";
    default:
      return "";
  }
}

}  // namespace

GatewayError ReadGatewayError(const grpc::Status& status) {
  GatewayError error;
  if (status.ok()) return error;
  // gRPC's codes are the same numbers.
  error.status =
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return error;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info) && info.domain() == kDomain) {
      error.reason = info.reason();
      error.metadata = {info.metadata().begin(), info.metadata().end()};
    } else if (detail.UnpackTo(&retry)) {
      error.retry_delay =
          FromProto(retry.retry_delay(), "retry_delay").value_or(absl::ZeroDuration());
    }
  }
  return error;
}

bool IsPermanent(const GatewayError& error) {
  if (IsTooLargeMessage(error)) return true;
  if (IsOfTheMoment(error.reason)) return false;
  switch (error.status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return true;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:  // Another etag: the request is about what is no longer so.
      return error.FromGateway();
    default:
      return false;
  }
}

absl::Status Explain(const GatewayError& error, absl::string_view what, absl::string_view target) {
  if (error.status.ok()) return absl::OkStatus();
  std::string message =
      absl::StrCat(what, error.FromGateway() ? ": the gateway at " : " at ", target,
                   error.FromGateway() ? " answered: " : ": ", error.status.message());
  // What this side has found out about the gateway is not an answer of the gateway.
  constexpr absl::string_view kSubject = "the gateway ";
  if (error.reason == kCapabilityMissing && absl::StartsWith(error.status.message(), kSubject)) {
    message = absl::StrCat(what, ": the gateway at ", target, " ",
                           absl::StripPrefix(error.status.message(), kSubject));
  }
  while (!message.empty() && message.back() == '.') message.pop_back();
  const std::string next_step = NextStep(error, target);
  if (!next_step.empty()) absl::StrAppend(&message, ". ", next_step);
  absl::Status status(error.status.code(), message);
  if (error.FromGateway()) {
    google::rpc::ErrorInfo info;
    info.set_domain(kDomain);
    info.set_reason(error.reason);
    info.mutable_metadata()->insert(error.metadata.begin(), error.metadata.end());
    status.SetPayload(kErrorInfo, absl::Cord(info.SerializeAsString()));
  }
  if (error.retry_delay > absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = ToProto(error.retry_delay);
    status.SetPayload(kRetryInfo, absl::Cord(retry.SerializeAsString()));
  }
  return status;
}

GatewayError GatewayErrorOf(const absl::Status& status) {
  GatewayError error = {.status = absl::Status(status.code(), status.message())};
  google::rpc::ErrorInfo info;
  const auto info_bytes = status.GetPayload(kErrorInfo);
  if (info_bytes.has_value() && info.ParseFromString(std::string(*info_bytes)) &&
      info.domain() == kDomain) {
    error.reason = info.reason();
    error.metadata = {info.metadata().begin(), info.metadata().end()};
  }
  google::rpc::RetryInfo retry;
  const auto retry_bytes = status.GetPayload(kRetryInfo);
  if (retry_bytes.has_value() && retry.ParseFromString(std::string(*retry_bytes))) {
    error.retry_delay =
        FromProto(retry.retry_delay(), "retry_delay").value_or(absl::ZeroDuration());
  }
  return error;
}

bool IsForeignCursor(const absl::Status& status) {
  return absl::StartsWith(GatewayErrorOf(status).reason, "CURSOR_OF_ANOTHER_");
}

}  // namespace hookgate
