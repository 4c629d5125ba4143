// What HTTP/2 tells a session and asks of it: nghttp2's callbacks (nghttp2_callbacks.h) as an
// interface of C++.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_HTTP2_EVENTS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_HTTP2_EVENTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace hookgate {

// Of one session. Views are valid during the call.
class Http2Events {
 public:
  // What comes from the peer, in the order in which it comes. False: nghttp2_session_mem_recv fails
  // with NGHTTP2_ERR_CALLBACK_FAILURE at once.
  // A frame that nghttp2 looks into: not one of an unknown type, or of a stream that has ended.
  virtual bool OnBeginFrame(int32_t stream_id, uint8_t type, uint8_t flags, size_t length) = 0;
  virtual void OnBeginHeaders() = 0;
  virtual bool OnHeader(absl::string_view name, absl::string_view value) = 0;
  // `is_request`: they open the stream; otherwise they are trailers.
  virtual void OnHeadersEnd(int32_t stream_id, bool is_request, bool end_stream) = 0;
  // A part of a DATA frame, without its padding.
  virtual void OnData(int32_t stream_id, absl::string_view bytes) = 0;
  virtual void OnDataEnd(int32_t stream_id) = 0;  // the last DATA frame of the stream has come
  virtual void OnSettings() = 0;
  virtual void OnPingAnswer(absl::string_view payload) = 0;
  virtual void OnInvalidFrame() = 0;
  // What nghttp2 finds wrong in what the peer has sent, in its words: for a log line. Never about a
  // header field, which may be a token.
  virtual void OnError(absl::string_view text) = 0;

  // What goes to the peer.
  // `error_code` is that of RST_STREAM and GOAWAY, 0 of others.
  virtual void OnFrameSent(int32_t stream_id, uint8_t type, uint8_t flags, uint32_t error_code) = 0;
  virtual void OnStreamClosed(int32_t stream_id) = 0;
  // How many bytes the next DATA frame of a stream may hold, as far as the session minds.
  virtual size_t MaxDataFrame(int32_t stream_id) = 0;
  // How many bytes of DATA there are, at most `max_bytes`; negative: an error of nghttp2's. `flags`
  // as nghttp2_data_source_read_callback has them. Only of streams with MessageSource().
  virtual int64_t ReadData(int32_t stream_id, size_t max_bytes, uint32_t* flags) = 0;
  // The header of the frame that ReadData was last asked for with NGHTTP2_DATA_FLAG_NO_COPY. False:
  // enough has been collected for now.
  virtual bool OnDataHeader(absl::string_view header) = 0;

 protected:
  ~Http2Events() = default;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_HTTP2_EVENTS_H_
