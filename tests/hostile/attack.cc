#include "tests/hostile/attack.h"

#include <poll.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/time/clock.h"

namespace hookgate {
namespace {

constexpr int kPollMs = 5;

}  // namespace

struct Attackers::Connection {
  std::unique_ptr<RawPeer> peer;  // null: over, and does not come again
  int64_t step = 0;
  absl::Time next_step;
  bool rests = false;
  bool closes = false;
  bool was_connected = false;
};

Attackers::Attackers(const Attack& attack, RawPeer::Options target)
    : attack_(attack), target_(std::move(target)) {
  target_.tls = target_.tls && attack.speaks_tls;
  target_.receive_buffer = attack.receive_buffer;
  target_.max_tls_version = attack.max_tls_version;
  for (int i = 0; i < attack.connections; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    Begin(*connections_.back());
  }
}

Attackers::~Attackers() = default;

void Attackers::Begin(Connection& connection) {
  connection = Connection();
  connection.peer = std::make_unique<RawPeer>(target_);
}

void Attackers::End(Connection& connection) {
  const RawPeer& peer = *connection.peer;
  tally_.sent_bytes += peer.sent_bytes();
  tally_.received_bytes += peer.received_bytes();
  if (connection.was_connected) ++tally_.connected;
  if (!connection.closes) ++tally_.ended;
  if (attack_.comes_again) return Begin(connection);
  connection.peer = nullptr;
}

void Attackers::Advance(Connection& connection, absl::Time now) {
  RawPeer& peer = *connection.peer;
  peer.Pump(attack_.reads);
  if (peer.connected()) connection.was_connected = true;
  if (peer.connected() && !peer.has_unsent() && connection.closes) return End(connection);
  if (peer.connected() && !peer.has_unsent() && !connection.rests && now >= connection.next_step) {
    switch (attack_.send(peer, connection.step)) {
      case Attack::Next::kMore:
        ++connection.step;
        connection.next_step = now + attack_.pause;
        break;
      case Attack::Next::kWait:
        connection.next_step = now + absl::Milliseconds(kPollMs);
        break;
      case Attack::Next::kRest:
        connection.rests = true;
        break;
      case Attack::Next::kClose:
        connection.closes = true;
        break;
    }
    peer.Pump(attack_.reads);
  }
  if (peer.ended()) End(connection);
}

void Attackers::Run(absl::FunctionRef<bool()> goes_on) {
  std::vector<pollfd> polled;
  while (goes_on()) {
    const absl::Time now = absl::Now();
    polled.clear();
    bool busy = false;
    for (const auto& connection : connections_) {
      if (connection->peer == nullptr) continue;
      Advance(*connection, now);
      if (connection->peer == nullptr) continue;
      const RawPeer& peer = *connection->peer;
      const int16_t events = peer.Events(attack_.reads);
      // One that does not read is left alone until it may write, or its next step is due.
      if (events != 0) polled.push_back({.fd = peer.fd(), .events = events, .revents = 0});
      busy |= peer.connected() && !connection->rests && !peer.has_unsent() &&
              connection->next_step <= now;
    }
    poll(polled.data(), polled.size(), busy ? 0 : kPollMs);
  }
}

AttackTally Attackers::tally() const {
  AttackTally tally = tally_;
  for (const auto& connection : connections_) {
    if (connection->peer == nullptr) continue;
    tally.sent_bytes += connection->peer->sent_bytes();
    tally.received_bytes += connection->peer->received_bytes();
    if (connection->was_connected) ++tally.connected;
  }
  return tally;
}

}  // namespace hookgate
