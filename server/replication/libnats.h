// NATS' client library, loaded when it is first wanted.
#ifndef HOOKGATE_SERVER_REPLICATION_LIBNATS_H_
#define HOOKGATE_SERVER_REPLICATION_LIBNATS_H_

#include <nats/nats.h>

#include "absl/status/statusor.h"

namespace hookgate {

// What is used of it: since 3.4.1, and the same in what came later.
#define HOOKGATE_LIBNATS_FUNCTIONS(F)        \
  F(jsCtx_Destroy)                           \
  F(jsMsgMetaData_Destroy)                   \
  F(jsOptions_Init)                          \
  F(jsPubAck_Destroy)                        \
  F(jsPubOptions_Init)                       \
  F(jsStreamConfig_Init)                     \
  F(jsStreamInfo_Destroy)                    \
  F(jsSubOptions_Init)                       \
  F(js_AddStream)                            \
  F(js_GetMsg)                               \
  F(js_GetStreamInfo)                        \
  F(js_PublishMsg)                           \
  F(js_PurgeStream)                          \
  F(js_SubscribeSync)                        \
  F(natsConnection_Close)                    \
  F(natsConnection_Connect)                  \
  F(natsConnection_Destroy)                  \
  F(natsConnection_GetConnectedUrl)          \
  F(natsConnection_GetMaxPayload)            \
  F(natsConnection_IsClosed)                 \
  F(natsConnection_JetStream)                \
  F(natsMsgHeader_Set)                       \
  F(natsMsg_Create)                          \
  F(natsMsg_Destroy)                         \
  F(natsMsg_GetData)                         \
  F(natsMsg_GetDataLength)                   \
  F(natsMsg_GetMetaData)                     \
  F(natsOptions_Create)                      \
  F(natsOptions_Destroy)                     \
  F(natsOptions_LoadCATrustedCertificates)   \
  F(natsOptions_LoadCertificatesChain)       \
  F(natsOptions_SetAllowReconnect)           \
  F(natsOptions_SetIgnoreDiscoveredServers)  \
  F(natsOptions_SetMaxPingsOut)              \
  F(natsOptions_SetName)                     \
  F(natsOptions_SetPingInterval)             \
  F(natsOptions_SetSecure)                   \
  F(natsOptions_SetSendAsap)                 \
  F(natsOptions_SetTimeout)                  \
  F(natsOptions_SetURL)                      \
  F(natsOptions_SetUserCredentialsFromFiles) \
  F(natsStatus_GetText)                      \
  F(natsSubscription_Destroy)                \
  F(natsSubscription_NextMsg)                \
  F(natsSubscription_QueuedMsgs)             \
  F(natsSubscription_SetPendingLimits)       \
  F(nats_GetLastError)

// One instance for the process; thread-safe.
struct LibNats {
#define HOOKGATE_DECLARE(name) decltype(::name)* name = nullptr;
  HOOKGATE_LIBNATS_FUNCTIONS(HOOKGATE_DECLARE)
#undef HOOKGATE_DECLARE

  // FAILED_PRECONDITION if it is not installed.
  static absl::StatusOr<const LibNats*> Load();
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_LIBNATS_H_
