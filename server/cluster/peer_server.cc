#include "server/cluster/peer_server.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/caller_metadata.h"
#include "server/cluster/peer.pb.h"
#include "server/cluster/webhook_messages.h"
#include "server/grpc_server/unary_method.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

using cluster::v1::AppendRequest;
using cluster::v1::AppendResponse;
using cluster::v1::QuarantineRequest;
using cluster::v1::QuarantineResponse;
using cluster::v1::TellRequest;
using cluster::v1::TellResponse;

// Each replica has one connection to each other one, and a new one while an old one ends.
constexpr int kMaxConnections = 128;
constexpr int kMaxCalls = 40'000;
// What a follower admits, by whichever limit its config has, and what it adds.
constexpr size_t kMaxHeaderListBytes = 128 << 10;
// Messages that are not whole yet: so many of the largest.
constexpr size_t kLargestAtOnce = 16;

// What is kept of it, shown, and put into errors, has a size; and nobody counts as far as this.
constexpr size_t kMaxAddressBytes = 512;
constexpr int64_t kMostCounted = int64_t{1} << 60;

absl::Status CheckTold(const TellRequest& request) {
  if (request.address().size() > kMaxAddressBytes) {
    return InvalidField("address", absl::StrCat("has ", request.address().size(),
                                                " bytes; at most ", kMaxAddressBytes));
  }
  for (const char c : request.address()) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
      return InvalidField("address", "has to be HOST:PORT");
    }
  }
  if (request.heir().size() > kMaxAddressBytes) {
    return InvalidField(
        "heir", absl::StrCat("has ", request.heir().size(), " bytes; at most ", kMaxAddressBytes));
  }
  if (request.term() < 0 || request.term() > kMostCounted) {
    return InvalidField("term", absl::StrCat("is ", request.term(), ", which no term is"));
  }
  if (request.applied() < 0 || request.applied() > kMostCounted) {
    return InvalidField("applied", absl::StrCat("is ", request.applied(), ", which no record is"));
  }
  if (request.schema() < 0) {
    return InvalidField("schema", absl::StrCat("is ", request.schema(), ", which no schema is"));
  }
  return absl::OkStatus();
}

template <typename Request, typename Response, typename Work>
Method PeerMethod(Work work) {
  using Typed = TypedUnaryWork<Request, Response>;
  return {TypedUnaryMethod<Request, Response>([work = std::move(work)](const CallInfo& info)
                                                  -> absl::StatusOr<Typed> { return work(info); })};
}

}  // namespace

absl::StatusOr<std::unique_ptr<PeerServer>> PeerServer::Start(const std::string& address,
                                                              const Context& context,
                                                              size_t max_message_bytes) {
  auto server = absl::WrapUnique(new PeerServer(context));
  GrpcServerOptions options;
  options.address = address;
  options.client_ca_required = true;
  options.max_connections = kMaxConnections;
  options.max_connections_per_address = kMaxConnections;
  options.max_calls = kMaxCalls;
  options.max_calls_per_connection = kMaxCalls;
  options.max_header_list_bytes = kMaxHeaderListBytes;
  // All clients of a follower share one connection, and may go away at once.
  options.resets_burst = kMaxCalls;
  options.resets_per_second = kMaxCalls;
  options.max_message_bytes = max_message_bytes;
  options.max_inbound_bytes_per_connection =
      std::max(options.max_inbound_bytes_per_connection, kLargestAtOnce * max_message_bytes);
  options.max_inbound_bytes =
      std::max(options.max_inbound_bytes, options.max_inbound_bytes_per_connection);
  ASSIGN_OR_RETURN(server->server_, GrpcServer::Start(options, server->table_, context.clock,
                                                      &context.certificates));
  return server;
}

// A call of somebody who is not a peer is refused before a byte of its message is read.
PeerServer::PeerServer(const Context& context)
    : context_(context), table_([this](const CallInfo& info) -> Admission {
        if (!PeerOf(info).empty()) return {absl::OkStatus(), /*identified=*/true};
        return {absl::PermissionDeniedError(
                    "this port is for the replicas of a cluster, and the certificate is not that "
                    "of one that cluster.peers names"),
                /*identified=*/false};
      }) {
  AddPeerService();
  AddForwarded();
}

std::string PeerServer::PeerOf(const CallInfo& info) const {
  for (const CertificateName& name : info.certificate_names) {
    if (name.kind == CertificateName::Kind::kDns && context_.peers.has(name.text)) return name.text;
  }
  return "";
}

void PeerServer::AddPeerService() {
  const auto tell = [this](const CallInfo& info) {
    return TypedUnaryWork<TellRequest, TellResponse>([this, peer = PeerOf(info)](
                                                         TellRequest request,
                                                         TypedResponder<TellResponse> responder) {
      if (request.replica() != peer) {
        return responder.Respond(InvalidField(
            "replica", absl::StrCat("is not \"", peer, "\", whose certificate was shown")));
      }
      const absl::Status sane = CheckTold(request);
      if (!sane.ok()) return responder.Respond(sane);
      context_.peers.NoteHeard({peer, request.applied(), request.applied_term()}, request.schema());
      context_.replica.Hear({.cluster = request.cluster(),
                             .replica = request.replica(),
                             .address = request.address(),
                             .term = request.term(),
                             .applied = request.applied(),
                             .leaving = request.leaving(),
                             .heir = request.heir()});
      TellResponse response;
      const RecordTail tail = context_.replica.tail();
      response.set_applied(tail.index);
      response.set_applied_term(tail.term);
      response.set_schema(SchemaVersion());
      responder.Respond(std::move(response));
    });
  };
  const auto append = [this](const CallInfo&) {
    return TypedUnaryWork<AppendRequest, AppendResponse>(
        [this](AppendRequest request, TypedResponder<AppendResponse> responder) {
          context_.log.Append(
              FromRequest(std::move(request)),
              [responder = std::move(responder)](absl::StatusOr<AppendResult> result) mutable {
                if (!result.ok()) return responder.Respond(result.status());
                responder.Respond(ToResponse(*std::move(result)));
              });
        });
  };
  const auto quarantine = [this](const CallInfo&) {
    return TypedUnaryWork<QuarantineRequest, QuarantineResponse>(
        [this](QuarantineRequest request, TypedResponder<QuarantineResponse> responder) {
          context_.log.Quarantine(FromRequest(std::move(request)),
                                  [responder = std::move(responder)](absl::Status kept) mutable {
                                    if (!kept.ok()) return responder.Respond(kept);
                                    responder.Respond(QuarantineResponse());
                                  });
        });
  };
  table_.AddService(
      *TellRequest::descriptor()->file()->FindServiceByName("PeerService"),
      {{"Tell", PeerMethod<TellRequest, TellResponse>(tell)},
       {"Append", PeerMethod<AppendRequest, AppendResponse>(append)},
       {"Quarantine", PeerMethod<QuarantineRequest, QuarantineResponse>(quarantine)}});
}

// As they are served to clients, for callers that a peer vouches for. Their own factories are
// asked, so that a call which was handed on is never handed on again.
void PeerServer::AddForwarded() {
  const auto* const pool = google::protobuf::DescriptorPool::generated_pool();
  for (const std::string& name : context_.methods.service_names()) {
    if (!absl::StartsWith(name, "hookgate.")) continue;  // health and reflection, of this replica
    const google::protobuf::ServiceDescriptor& service = *pool->FindServiceByName(name);
    std::map<std::string, Method> methods;
    for (int i = 0; i < service.method_count(); ++i) {
      const std::string& method = service.method(i)->name();
      const MethodTable::Entry& entry =
          *context_.methods.Find(absl::StrCat("/", name, "/", method));
      methods[method] = {
          [this, &entry](std::shared_ptr<Call> call,
                         const CallInfo& info) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
            ForwardedCaller caller = FromCallerMetadata(info.metadata);
            const CallInfo forwarded = {.method = info.method,
                                        .peer = std::move(caller.peer),
                                        .certificate_names = caller.certificate_names,
                                        .metadata = std::move(caller.metadata),
                                        .deadline = info.deadline};
            RETURN_IF_ERROR(context_.methods.AskToAdmit(forwarded).status);
            return entry.method.factory(std::move(call), forwarded);
          },
          entry.method.max_message_bytes};
    }
    table_.AddService(service, std::move(methods));
  }
}

}  // namespace hookgate
