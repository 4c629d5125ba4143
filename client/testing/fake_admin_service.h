// AdminService of which a test writes the answers.
#ifndef HOOKGATE_CLIENT_TESTING_FAKE_ADMIN_SERVICE_H_
#define HOOKGATE_CLIENT_TESTING_FAKE_ADMIN_SERVICE_H_

#include <functional>

#include "grpcpp/support/status.h"
#include "hookgate/v1/admin_service.grpc.pb.h"

namespace hookgate::testing {

// Scripts are set before the calls that play them; UNIMPLEMENTED while empty.
class FakeAdminService final : public v1::AdminService::Service {
 public:
  template <typename Request, typename Response>
  using Script = std::function<grpc::Status(const Request&, Response*)>;

  Script<v1::GetStatusRequest, v1::GetStatusResponse> get_status;
  Script<v1::ListQuarantinedRequest, v1::ListQuarantinedResponse> list_quarantined;
  Script<v1::GetQuarantinedRequest, v1::GetQuarantinedResponse> get_quarantined;
  Script<v1::RetryQuarantinedRequest, v1::RetryQuarantinedResponse> retry_quarantined;
  Script<v1::DiscardQuarantinedRequest, v1::DiscardQuarantinedResponse> discard_quarantined;
  Script<v1::ListRefusedRequest, v1::ListRefusedResponse> list_refused;
  Script<v1::ListStreamsRequest, v1::ListStreamsResponse> list_streams;
  Script<v1::ListConflictsRequest, v1::ListConflictsResponse> list_conflicts;
  Script<v1::GetConflictRequest, v1::GetConflictResponse> get_conflict;
  Script<v1::DiscardConflictsRequest, v1::DiscardConflictsResponse> discard_conflicts;

 private:
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  grpc::Status ListQuarantined(grpc::ServerContext* context,
                               const v1::ListQuarantinedRequest* request,
                               v1::ListQuarantinedResponse* response) override;
  grpc::Status GetQuarantined(grpc::ServerContext* context,
                              const v1::GetQuarantinedRequest* request,
                              v1::GetQuarantinedResponse* response) override;
  grpc::Status RetryQuarantined(grpc::ServerContext* context,
                                const v1::RetryQuarantinedRequest* request,
                                v1::RetryQuarantinedResponse* response) override;
  grpc::Status DiscardQuarantined(grpc::ServerContext* context,
                                  const v1::DiscardQuarantinedRequest* request,
                                  v1::DiscardQuarantinedResponse* response) override;
  grpc::Status ListRefused(grpc::ServerContext* context, const v1::ListRefusedRequest* request,
                           v1::ListRefusedResponse* response) override;
  grpc::Status ListStreams(grpc::ServerContext* context, const v1::ListStreamsRequest* request,
                           v1::ListStreamsResponse* response) override;
  grpc::Status ListConflicts(grpc::ServerContext* context, const v1::ListConflictsRequest* request,
                             v1::ListConflictsResponse* response) override;
  grpc::Status GetConflict(grpc::ServerContext* context, const v1::GetConflictRequest* request,
                           v1::GetConflictResponse* response) override;
  grpc::Status DiscardConflicts(grpc::ServerContext* context,
                                const v1::DiscardConflictsRequest* request,
                                v1::DiscardConflictsResponse* response) override;
};

}  // namespace hookgate::testing

#endif  // HOOKGATE_CLIENT_TESTING_FAKE_ADMIN_SERVICE_H_
