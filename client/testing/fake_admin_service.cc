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

}  // namespace hookgate::testing
