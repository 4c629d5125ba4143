#include "server/cluster/peers.h"

#include <algorithm>
#include <utility>

#include "server/cluster/peer.pb.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

// A peer that has not answered by then is told the next one.
constexpr absl::Duration kPatience = absl::Seconds(1);
// Beside the last heartbeat, what a peer has to know at once: that a replica leads and that it
// decides, or that it leaves, and that once more.
constexpr int kMostAsked = 3;
constexpr char kTell[] = "/hookgate.cluster.v1.PeerService/Tell";

std::vector<std::string> NamesOf(const std::vector<PeerAddress>& peers) {
  std::vector<std::string> names;
  for (const PeerAddress& peer : peers) names.push_back(peer.name);
  return names;
}

}  // namespace

Peers::Peers(const std::vector<PeerAddress>& peers, const CertificateStore& certificates,
             const Clock& clock, size_t max_message_bytes)
    : clock_(clock), agreement_(SchemaVersion(), NamesOf(peers)) {
  absl::MutexLock lock(&mu_);
  for (const PeerAddress& peer : peers) {
    states_[peer.name].seen = {.name = peer.name, .problem = "not asked yet"};
    connections_[peer.name] =
        PeerConnection::Open(peer.name, peer.address, certificates, max_message_bytes);
  }
}

Peers::~Peers() = default;

void Peers::Send(const Heartbeat& heartbeat) {
  cluster::v1::TellRequest request;
  request.set_cluster(heartbeat.cluster);
  request.set_replica(heartbeat.replica);
  request.set_address(heartbeat.address);
  request.set_term(heartbeat.term);
  request.set_applied(heartbeat.applied);
  request.set_applied_term(heartbeat.applied_term);
  request.set_leaving(heartbeat.leaving);
  request.set_schema(SchemaVersion());
  if (heartbeat.leaving) request.set_heir(Heir());
  const int most = heartbeat.leaving || heartbeat.is_news ? kMostAsked : 1;
  for (const auto& [name, connection] : connections_) {
    {
      absl::MutexLock lock(&mu_);
      int& asked = states_[name].asked;
      if (asked >= most) continue;
      ++asked;
    }
    connection->Ask(kTell, request.SerializeAsString(), kPatience,
                    [this, name = name](const absl::StatusOr<std::string>& answer) {
                      NoteAnswer(name, answer);
                    });
  }
}

// The one that has the least to catch up with, of those that have answered: only those can take
// over.
std::string Peers::Heir() const {
  absl::MutexLock lock(&mu_);
  const PeerState* heir = nullptr;
  for (const auto& [name, state] : states_) {
    if (!state.seen.problem.empty()) continue;
    if (heir == nullptr || state.seen.applied > heir->applied) heir = &state.seen;
  }
  return heir == nullptr ? "" : heir->name;
}

void Peers::StayConnected() {
  for (const auto& [name, connection] : connections_) connection->Connect();
}

void Peers::NoteAnswer(const std::string& name, const absl::StatusOr<std::string>& answer) {
  cluster::v1::TellResponse response;
  absl::MutexLock lock(&mu_);
  State& state = states_[name];
  --state.asked;
  answered_.SignalAll();
  state.seen.problem = std::string(answer.status().message());
  if (!answer.ok() || !response.ParseFromString(*answer)) return;
  state.seen.last_heard = clock_.WallNow();
  state.NoteTail(response.applied(), response.applied_term());
  agreement_.Heard(name, response.schema(), clock_.MonotonicNow());
}

SchemaAgreement Peers::Agreement() const {
  absl::MutexLock lock(&mu_);
  return agreement_;
}

bool Peers::AwaitAnswers(absl::Duration at_most) {
  const absl::Duration end = clock_.MonotonicNow() + at_most;
  absl::MutexLock lock(&mu_);
  const auto all_have = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return std::all_of(states_.begin(), states_.end(),
                       [](const auto& each) { return each.second.asked == 0; });
  };
  while (!all_have()) {
    const absl::Duration left = end - clock_.MonotonicNow();
    if (left <= absl::ZeroDuration()) return false;
    answered_.WaitWithTimeout(&mu_, left);
  }
  return true;
}

PeerConnection* Peers::Find(const std::string& name) const {
  const auto found = connections_.find(name);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Peers::State::NoteTail(LogIndex applied, int64_t term) {
  seen.applied = std::max(seen.applied, applied);
  tail_index = applied;
  tail_term = term;
}

std::vector<PeerTail> Peers::Tails(absl::Duration at_most) {
  if (at_most > absl::ZeroDuration()) AwaitAnswers(at_most);
  absl::MutexLock lock(&mu_);
  std::vector<PeerTail> tails;
  for (const auto& [name, state] : states_) {
    tails.push_back({name, state.tail_index, state.tail_term});
  }
  return tails;
}

void Peers::NoteHeard(const PeerTail& tail, int schema) {
  const std::string& name = tail.name;
  absl::MutexLock lock(&mu_);
  const auto found = states_.find(name);
  if (found == states_.end()) return;
  found->second.seen.last_heard = clock_.WallNow();
  found->second.NoteTail(tail.index, tail.term);
  found->second.seen.problem.clear();
  agreement_.Heard(name, schema, clock_.MonotonicNow());
}

std::vector<PeerState> Peers::States() const {
  absl::MutexLock lock(&mu_);
  std::vector<PeerState> states;
  for (const auto& [name, state] : states_) {
    states.push_back(state.seen);
    states.back().schema = agreement_.Reads(name);
  }
  return states;
}

}  // namespace hookgate
