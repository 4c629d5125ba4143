#include "client/testing/fake_admin_service.h"

#include "client/testing/play_script.h"

namespace hookgate::testing {

grpc::Status FakeAdminService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest* request,
                                         v1::GetStatusResponse* response) {
  return PlayScript(get_status, request, response);
}

grpc::Status FakeAdminService::ListQuarantined(grpc::ServerContext*,
                                               const v1::ListQuarantinedRequest* request,
                                               v1::ListQuarantinedResponse* response) {
  return PlayScript(list_quarantined, request, response);
}

grpc::Status FakeAdminService::GetQuarantined(grpc::ServerContext*,
                                              const v1::GetQuarantinedRequest* request,
                                              v1::GetQuarantinedResponse* response) {
  return PlayScript(get_quarantined, request, response);
}

grpc::Status FakeAdminService::RetryQuarantined(grpc::ServerContext*,
                                                const v1::RetryQuarantinedRequest* request,
                                                v1::RetryQuarantinedResponse* response) {
  return PlayScript(retry_quarantined, request, response);
}

grpc::Status FakeAdminService::DiscardQuarantined(grpc::ServerContext*,
                                                  const v1::DiscardQuarantinedRequest* request,
                                                  v1::DiscardQuarantinedResponse* response) {
  return PlayScript(discard_quarantined, request, response);
}

grpc::Status FakeAdminService::ListRefused(grpc::ServerContext*,
                                           const v1::ListRefusedRequest* request,
                                           v1::ListRefusedResponse* response) {
  return PlayScript(list_refused, request, response);
}

grpc::Status FakeAdminService::ListStreams(grpc::ServerContext*,
                                           const v1::ListStreamsRequest* request,
                                           v1::ListStreamsResponse* response) {
  return PlayScript(list_streams, request, response);
}

grpc::Status FakeAdminService::ListConflicts(grpc::ServerContext*,
                                             const v1::ListConflictsRequest* request,
                                             v1::ListConflictsResponse* response) {
  return PlayScript(list_conflicts, request, response);
}

grpc::Status FakeAdminService::GetConflict(grpc::ServerContext*,
                                           const v1::GetConflictRequest* request,
                                           v1::GetConflictResponse* response) {
  return PlayScript(get_conflict, request, response);
}

grpc::Status FakeAdminService::DiscardConflicts(grpc::ServerContext*,
                                                const v1::DiscardConflictsRequest* request,
                                                v1::DiscardConflictsResponse* response) {
  return PlayScript(discard_conflicts, request, response);
}

}  // namespace hookgate::testing
