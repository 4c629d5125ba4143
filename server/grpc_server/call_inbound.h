// What has come of a call's messages and has not been given to its handler: counted together with
// what the other calls of its connection hold, and, beyond a little, with what those of all
// connections do.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_CALL_INBOUND_H_
#define HOOKGATE_SERVER_GRPC_SERVER_CALL_INBOUND_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/grpc_server/message_reader.h"
#include "server/net/body_budget.h"

namespace hookgate {

// What all calls of a connection hold. On its thread.
class ConnectionInbound {
 public:
  // `of_all` outlives it. At most `max_bytes` of the connection, which counts as `origin`.
  ConnectionInbound(size_t max_bytes, BodyBudget& of_all, const BodyOrigin& origin)
      : max_bytes_(max_bytes), of_all_(of_all), origin_(origin) {}

 private:
  friend class CallInbound;

  const size_t max_bytes_;
  BodyBudget& of_all_;
  const BodyOrigin origin_;
  size_t held_bytes_ = 0;
};

// On the thread of the connection.
class CallInbound {
 public:
  // `connection` outlives it.
  explicit CallInbound(ConnectionInbound& connection) : connection_(connection) {}
  // What it holds counts no more.
  ~CallInbound();
  CallInbound(const CallInbound&) = delete;
  CallInbound& operator=(const CallInbound&) = delete;

  // Keeps bytes of DATA, which follow those before. False: there is no room for them.
  //   holder  who hears that others need the room
  bool Add(absl::string_view bytes, const std::weak_ptr<BodyHolder>& holder);
  // Others need the room, and what is here is to be dropped: what `holder` hears may be late.
  bool has_given_up() const { return share_ != nullptr && share_->has_given_up(); }

  // Takes out the next message, as MessageReader::Next does. It counts no more.
  MessageReader::Result Next(size_t max_bytes, std::string& message, size_t& used);
  // Whether a message has begun, or may have.
  bool has_begun() const { return !reader_.empty(); }
  // The next message is another one, which asks for room by itself.
  void EndMessage() { share_ = nullptr; }

  // The one message of a method that has one is kept, and counts, until the client's side ends.
  void KeepOnly(std::string message);
  bool has_only() const { return has_only_; }
  std::string TakeOnly();

 private:
  // What it holds has changed.
  void Count();

  ConnectionInbound& connection_;
  size_t counted_bytes_ = 0;  // of what connection_ holds
  MessageReader reader_;
  std::string only_;
  bool has_only_ = false;
  std::unique_ptr<BodyBudget::Share> share_;  // once it counts with all connections
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_CALL_INBOUND_H_
