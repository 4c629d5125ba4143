// The server's side of a call: the handle that services hold, and what its session knows of it.
//
// There may be ten thousand of them, mostly idle: what an idle call does not need, it does not
// hold.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_SERVER_CALL_H_
#define HOOKGATE_SERVER_GRPC_SERVER_SERVER_CALL_H_

#include <atomic>
#include <boost/intrusive/list_hook.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/grpc_server/call.h"
#include "server/grpc_server/call_inbound.h"
#include "server/grpc_server/held_messages.h"
#include "server/grpc_server/method_table.h"
#include "server/grpc_server/timer_queue.h"
#include "server/net/body_budget.h"

namespace hookgate {

class GrpcSession;
class WakeQueue;

// Held by its session from its headers to the end of its stream, and by services that hold the
// handle.
class ServerCall final : public Call,
                         public Timed,
                         public BodyHolder,
                         public boost::intrusive::list_base_hook<>,
                         public std::enable_shared_from_this<ServerCall> {
 public:
  // What has been asked of a call since its session last looked.
  enum Notes : uint8_t { kWoken = 1, kRead = 2, kFinish = 4, kGiveUp = 8 };

  // `wakes` belongs to the thread of `session`, which outlives the call's place in it.
  ServerCall(std::shared_ptr<WakeQueue> wakes, GrpcSession& session, int32_t stream_id)
      : wakes_(std::move(wakes)), session_(&session), stream_id_(stream_id) {}

  // Any thread.
  void Wake() override { Note(kWoken); }
  void ReadNext() override;
  void Finish(const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mu_);
  void AddInitialMetadata(absl::string_view name, absl::string_view value) override;
  void AddTrailingMetadata(absl::string_view name, absl::string_view value) override;
  void GiveUpBody() override { Note(kGiveUp); }

  // On the session's thread.
  void OnTime(absl::Duration now) override;
  // Has the session do what the notes say.
  void TakePendingRequests();

 private:
  friend class GrpcSession;

  // How message_ counts: as an answer, or as one that is held for a client that takes it slowly.
  struct Holding {
    std::unique_ptr<BodyBudget::Share> answer;
    std::shared_ptr<HeldMessage> message;
    bool refused = false;  // there was no room
  };

  // Of the response, as it goes over the wire.
  struct ResponseMetadata {
    std::vector<std::pair<std::string, std::string>> initial;
    std::vector<std::pair<std::string, std::string>> trailing;
  };

  void Note(Notes note);
  bool finish_asked() const { return finish_asked_.load(std::memory_order_acquire); }
  absl::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::shared_ptr<WakeQueue> wakes_;

  std::atomic<uint8_t> notes_ = 0;
  std::atomic<uint32_t> wanted_messages_ = 0;  // that ReadNext has asked for

  mutable absl::Mutex mu_;
  absl::Status status_ ABSL_GUARDED_BY(mu_);  // that Finish was given
  std::atomic<bool> finish_asked_ = false;    // written under mu_, after status_

  // Touched only on the session's thread.
  GrpcSession* session_;  // null once the stream has ended
  const int32_t stream_id_;
  uint32_t message_sent_ = 0;         // bytes of message_ with its prefix
  Message message_;                   // that is being sent
  std::unique_ptr<Holding> holding_;  // of message_, once it counts
  std::shared_ptr<CallHandler> handler_;
  std::unique_ptr<CallInbound> inbound_;        // of messages that the handler has not got yet
  std::unique_ptr<ResponseMetadata> metadata_;  // once there is some
  const MethodTable::Entry* method_ = nullptr;
  absl::Duration deadline_ = absl::InfiniteDuration();        // the client's
  absl::Duration phase_deadline_ = absl::InfiniteDuration();  // for the request, or for the upload
  absl::Duration begin_;                                      // when its headers had come
  uint32_t discarded_bytes_ = 0;                              // of an upload whose status is out
  bool end_noted_ : 1 = false;         // the observer of the methods knows that it has ended
  bool holds_answer_ : 1 = false;      // message_ is one, and its session counts it
  bool remote_closed_ : 1 = false;     // the client has closed its side
  bool half_close_told_ : 1 = false;   // and the handler knows
  bool response_begun_ : 1 = false;    // its headers have been submitted
  bool deferred_ : 1 = false;          // nghttp2 asks for data only when told to
  bool exhausted_ : 1 = false;         // the handler had no message when it was last asked
  bool status_submitted_ : 1 = false;  // and nothing follows it
  bool status_sent_ : 1 = false;
  std::shared_ptr<ServerCall> self_;  // while the session holds it
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_SERVER_CALL_H_
