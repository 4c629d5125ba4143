// nghttp2's callbacks, which are functions of C with a pointer, for sessions of C++.
//
//   nghttp2_session_server_new2(&session, Http2Callbacks(), static_cast<Http2Events*>(this),
//                               Http2Options());
#ifndef HOOKGATE_SERVER_GRPC_SERVER_NGHTTP2_CALLBACKS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_NGHTTP2_CALLBACKS_H_

#include <nghttp2/nghttp2.h>

#include "server/grpc_server/http2_events.h"

namespace hookgate {

// They live for ever. The user data of their sessions is an Http2Events*.
const nghttp2_session_callbacks* Http2Callbacks();
const nghttp2_option* Http2Options();

// For a response whose DATA comes from Http2Events::ReadData.
nghttp2_data_provider MessageSource();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_NGHTTP2_CALLBACKS_H_
