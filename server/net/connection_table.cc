#include "server/net/connection_table.h"

#include <algorithm>
#include <utility>

namespace hookgate {
namespace {

constexpr size_t kFoundAtOnce = 64;
constexpr size_t kV4Offset = 12;

}  // namespace

ConnectionTable::Address ConnectionTable::NetworkOf(const Address& address) {
  constexpr std::array<uint8_t, kV4Offset> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kV4Prefix.begin(), kV4Prefix.end(), address.begin())) return address;
  Address network = address;
  std::fill(network.begin() + network.size() / 2, network.end(), uint8_t{0});
  return network;
}

ConnectionTable::Decision ConnectionTable::Admit(const Address& address, bool exempt) {
  Entry entry = {.exempt = exempt, .network = NetworkOf(address)};
  Decision decision;
  const auto network = exempt ? networks_.end() : networks_.find(entry.network);
  if (network != networks_.end() && network->second.ids.size() >= limits_.of_an_address) {
    decision.leaving = TakeNextOf(network->second);
    if (decision.leaving == nullptr) decision.admission = Admission::kAddressFull;
  } else if (counted_ >= limits_.all) {
    decision.leaving = TakeNextOfAll();
    if (decision.leaving == nullptr) decision.admission = Admission::kFull;
  } else if (unproven_.ids.size() >= limits_.unproven) {
    decision.leaving = TakeNextOf(unproven_);
    if (decision.leaving == nullptr) decision.admission = Admission::kFull;
  }
  if (decision.admission != Admission::kAdmitted) {
    if (refusing_ >= limits_.refusing) return {.admission = Admission::kDropped};
    entry.kind = Kind::kRefusing;
    ++refusing_;
  }
  decision.id = ++last_id_;
  if (entry.kind == Kind::kCounted) {
    ++counted_;
    unproven_.ids.insert(decision.id);
    if (!exempt) networks_[entry.network].ids.insert(decision.id);
  }
  entries_.emplace(decision.id, std::move(entry));
  return decision;
}

void ConnectionTable::Add(int64_t id, const std::shared_ptr<TrackedConnection>& connection) {
  Entry& entry = entries_.find(id)->second;
  entry.connection = connection;
  entry.looked_at = connection.get();
}

void ConnectionTable::Remove(int64_t id) {
  const auto entry = entries_.find(id);
  if (entry->second.kind == Kind::kCounted) StopCounting(id, entry->second);
  if (entry->second.kind == Kind::kRefusing) --refusing_;
  entries_.erase(entry);
}

void ConnectionTable::SetProven(int64_t id) {
  unproven_.ids.erase(id);
  std::vector<Turn>& mute = unproven_.mute;
  mute.erase(
      std::remove_if(mute.begin(), mute.end(), [id](const Turn& turn) { return turn.id == id; }),
      mute.end());
}

bool ConnectionTable::IsCrowdedSince(absl::Duration since) const {
  if (unproven_.ids.size() < limits_.unproven) return false;
  const TrackedConnection* const oldest = entries_.find(*unproven_.ids.begin())->second.looked_at;
  return oldest != nullptr && oldest->turn() < TrackedConnection::kFirstProven &&
         absl::Microseconds(oldest->turn()) > since;
}

std::vector<std::shared_ptr<TrackedConnection>> ConnectionTable::All() const {
  std::vector<std::shared_ptr<TrackedConnection>> all;
  for (const auto& [id, entry] : entries_) {
    std::shared_ptr<TrackedConnection> connection = entry.connection.lock();
    if (connection != nullptr) all.push_back(std::move(connection));
  }
  return all;
}

std::shared_ptr<TrackedConnection> ConnectionTable::TakeNextOfAll() {
  return TakeNext(mute_, [this](absl::FunctionRef<void(int64_t, const Entry&)> look_at) {
    for (const auto& [id, entry] : entries_) {
      if (entry.kind == Kind::kCounted) look_at(id, entry);
    }
  });
}

std::shared_ptr<TrackedConnection> ConnectionTable::TakeNextOf(Group& group) {
  return TakeNext(group.mute, [&](absl::FunctionRef<void(int64_t, const Entry&)> look_at) {
    for (const int64_t id : group.ids) look_at(id, entries_.find(id)->second);
  });
}

std::shared_ptr<TrackedConnection> ConnectionTable::TakeNext(
    std::vector<Turn>& mute,
    absl::FunctionRef<void(absl::FunctionRef<void(int64_t, const Entry&)>)> for_each) {
  while (!mute.empty()) {
    const Turn turn = mute.back();
    mute.pop_back();
    if (auto connection = TakeIfItsTurn(turn); connection != nullptr) return connection;
  }
  Turn next = {.turn = TrackedConnection::kNever};
  for_each([&](int64_t id, const Entry& entry) {
    if (entry.connection.expired()) return;
    const Turn turn = {entry.looked_at->turn(), id};
    next = std::min(next, turn);
    if (turn.turn < TrackedConnection::kFirstProven) mute.push_back(turn);
  });
  const size_t kept = std::min(mute.size(), kFoundAtOnce);
  std::partial_sort(mute.begin(), mute.begin() + static_cast<ptrdiff_t>(kept), mute.end());
  mute.resize(kept);
  // Each network has one of these, and a search may have found thousands.
  if (mute.capacity() > kFoundAtOnce) mute.shrink_to_fit();
  std::reverse(mute.begin(), mute.end());
  return TakeIfItsTurn(next);
}

std::shared_ptr<TrackedConnection> ConnectionTable::TakeIfItsTurn(const Turn& turn) {
  if (turn.turn == TrackedConnection::kNever) return nullptr;
  const auto entry = entries_.find(turn.id);
  if (entry == entries_.end() || entry->second.kind != Kind::kCounted) return nullptr;
  if (entry->second.looked_at->turn() != turn.turn) return nullptr;
  // From here on it is held, so it has to reach the caller, who lets go of it without the lock.
  std::shared_ptr<TrackedConnection> connection = entry->second.connection.lock();
  if (connection == nullptr) return nullptr;
  StopCounting(turn.id, entry->second);
  entry->second.kind = Kind::kLeaving;
  return connection;
}

void ConnectionTable::StopCounting(int64_t id, const Entry& entry) {
  --counted_;
  unproven_.ids.erase(id);
  if (entry.exempt) return;
  const auto network = networks_.find(entry.network);
  network->second.ids.erase(id);
  if (network->second.ids.empty()) networks_.erase(network);
}

}  // namespace hookgate
