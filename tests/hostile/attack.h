// What a peer without manners does, as data: a number of connections, and what each of them sends.
#ifndef HOOKGATE_TESTS_HOSTILE_ATTACK_H_
#define HOOKGATE_TESTS_HOSTILE_ATTACK_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "tests/hostile/raw_peer.h"

namespace hookgate {

struct Attack {
  enum class Next {
    kMore,   // has sent something: asked again when that is out, and `pause` is over
    kWait,   // for what the other side sends
    kRest,   // nothing more is sent; the connection stays open
    kClose,  // closes the connection
  };
  // Over what it is worth trying.
  enum class Transport { kBoth, kPlain, kTls };

  std::string name;
  int connections = 1;
  // Sends the next bytes of a connection; `step` counts from 0 for each of them.
  std::function<Next(RawPeer& peer, int64_t step)> send = nullptr;

  absl::Duration pause;      // between two steps of a connection
  bool reads = true;         // takes what it is sent
  bool comes_again = true;   // connects again when a connection has ended
  int receive_buffer = 0;    // of each socket, in bytes; 0: the system's default
  int max_tls_version = 0;   // OpenSSL's number; 0: the newest
  bool speaks_tls = true;    // to a port that does; otherwise it sends bytes in place of TLS
  bool at_webhooks = false;  // its target is the port of webhooks
  Transport transport = Transport::kBoth;
  // How the gateway's log calls what it refuses; "": nothing has to be refused.
  std::string refused_as = "";
  // It is an honest one in a crowd: nothing may be refused, and no connection ends.
  bool honest = false;
};

struct AttackTally {
  int64_t sent_bytes = 0;
  int64_t received_bytes = 0;
  int64_t connected = 0;  // connections that were made
  int64_t ended = 0;      // those that the other side ended
};

// Connections of `attack` to one port. Not thread-safe.
class Attackers {
 public:
  // `target` says whether there is TLS, and where; the rest of it comes from `attack`.
  Attackers(const Attack& attack, RawPeer::Options target);
  ~Attackers();  // Closes all connections.

  // Attacks as long as `goes_on` says so, which is asked every few milliseconds.
  void Run(absl::FunctionRef<bool()> goes_on);

  AttackTally tally() const;

 private:
  struct Connection;

  void Begin(Connection& connection);
  void End(Connection& connection);
  void Advance(Connection& connection, absl::Time now);

  const Attack attack_;
  RawPeer::Options target_;
  std::vector<std::unique_ptr<Connection>> connections_;
  AttackTally tally_;  // of connections that are gone
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_ATTACK_H_
