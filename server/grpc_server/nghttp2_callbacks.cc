#include "server/grpc_server/nghttp2_callbacks.h"

#include <algorithm>
#include <cstdlib>

namespace hookgate {
namespace {

constexpr size_t kFrameHeaderBytes = 9;
constexpr size_t kMaxErrorBytes = 200;
// Nothing of nghttp2's own: the limit on resets is the session's, since it grows with what is
// served.
constexpr uint64_t kUnlimitedResets = uint64_t{1} << 30;

Http2Events& Events(void* user_data) { return *static_cast<Http2Events*>(user_data); }

int Failed(bool ok) { return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE; }

absl::string_view ViewOf(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

bool EndsStream(const nghttp2_frame_hd& hd) { return (hd.flags & NGHTTP2_FLAG_END_STREAM) != 0; }

int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* hd, void* events) {
  return Failed(Events(events).OnBeginFrame(hd->stream_id, hd->type, hd->flags, hd->length));
}

int OnBeginHeaders(nghttp2_session*, const nghttp2_frame*, void* events) {
  Events(events).OnBeginHeaders();
  return 0;
}

int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
             const uint8_t* value, size_t value_size, uint8_t, void* events) {
  return Failed(Events(events).OnHeader(ViewOf(name, name_size), ViewOf(value, value_size)));
}

int OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* bytes, size_t size,
           void* events) {
  Events(events).OnData(stream_id, ViewOf(bytes, size));
  return 0;
}

int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  Http2Events& events = Events(user_data);
  const nghttp2_frame_hd& hd = frame->hd;
  switch (hd.type) {
    case NGHTTP2_HEADERS:
      events.OnHeadersEnd(hd.stream_id, frame->headers.cat == NGHTTP2_HCAT_REQUEST, EndsStream(hd));
      break;
    case NGHTTP2_DATA:
      if (EndsStream(hd)) events.OnDataEnd(hd.stream_id);
      break;
    case NGHTTP2_SETTINGS:
      events.OnSettings();
      break;
    case NGHTTP2_PING:
      if ((hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        events.OnPingAnswer(ViewOf(frame->ping.opaque_data, sizeof(frame->ping.opaque_data)));
      }
      break;
    default:
      break;
  }
  return 0;
}

int OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int, void* events) {
  Events(events).OnInvalidFrame();
  return 0;
}

int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  Http2Events& events = Events(user_data);
  const nghttp2_frame_hd& hd = frame->hd;
  uint32_t error_code = NGHTTP2_NO_ERROR;
  if (hd.type == NGHTTP2_RST_STREAM) error_code = frame->rst_stream.error_code;
  if (hd.type == NGHTTP2_GOAWAY) {
    const nghttp2_goaway& goaway = frame->goaway;
    error_code = goaway.error_code;
    if (goaway.opaque_data_len > 0) {
      events.OnError(ViewOf(goaway.opaque_data, goaway.opaque_data_len));
    }
  }
  events.OnFrameSent(hd.stream_id, hd.type, hd.flags, error_code);
  return 0;
}

int OnStreamClose(nghttp2_session*, int32_t stream_id, uint32_t, void* events) {
  Events(events).OnStreamClosed(stream_id);
  return 0;
}

int OnError(nghttp2_session*, int code, const char* text, size_t size, void* events) {
  // Such a text quotes the field; it ends a call and no connection.
  if (code == NGHTTP2_ERR_HTTP_HEADER) return 0;
  Events(events).OnError({text, std::min(size, kMaxErrorBytes)});
  return 0;
}

ssize_t MaxData(nghttp2_session*, uint8_t, int32_t stream_id, int32_t session_window,
                int32_t stream_window, uint32_t max_frame, void* events) {
  return static_cast<ssize_t>(
      std::min({static_cast<int64_t>(Events(events).MaxDataFrame(stream_id)),
                static_cast<int64_t>(session_window), static_cast<int64_t>(stream_window),
                static_cast<int64_t>(max_frame)}));
}

ssize_t ReadData(nghttp2_session*, int32_t stream_id, uint8_t*, size_t size, uint32_t* flags,
                 nghttp2_data_source*, void* events) {
  return static_cast<ssize_t>(Events(events).ReadData(stream_id, size, flags));
}

int SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* header, size_t, nghttp2_data_source*,
             void* events) {
  return Events(events).OnDataHeader(ViewOf(header, kFrameHeaderBytes)) ? 0 : NGHTTP2_ERR_PAUSE;
}

}  // namespace

const nghttp2_session_callbacks* Http2Callbacks() {
  static const nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) std::abort();  // out of memory
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, OnInvalidFrame);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, OnFrameSent);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClose);
    nghttp2_session_callbacks_set_error_callback2(made, OnError);
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, MaxData);
    nghttp2_session_callbacks_set_send_data_callback(made, SendData);
    return made;
  }();
  return callbacks;
}

const nghttp2_option* Http2Options() {
  static const nghttp2_option* const options = [] {
    nghttp2_option* made = nullptr;
    if (nghttp2_option_new(&made) != 0) std::abort();  // out of memory
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    // gRPC lets a value begin or end with spaces: a call whose value does is answered, not reset.
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(made, 1);
    nghttp2_option_set_stream_reset_rate_limit(made, kUnlimitedResets, kUnlimitedResets);
    return made;
  }();
  return options;
}

nghttp2_data_provider MessageSource() {
  nghttp2_data_provider provider = {};
  provider.read_callback = ReadData;
  return provider;
}

}  // namespace hookgate
