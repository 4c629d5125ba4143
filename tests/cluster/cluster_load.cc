#include "tests/cluster/cluster_load.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"

namespace hookgate {
namespace {

constexpr char kSubscription[] = "cluster";
constexpr absl::Duration kLongEnough = absl::Seconds(60);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(10);
constexpr int kOneRepeatIn = 8;
constexpr int kOneNackIn = 20;
constexpr size_t kRemembered = 200;
// Of a stream at one replica: who resumes often finds more. One that stands still is left then,
// too.
constexpr std::chrono::seconds kStreamPatience(4);
constexpr int64_t kMostBeforeMove = 200;  // events
constexpr size_t kMostSaid = 20;          // of what is missing

// The sequence in a 200's body; 0: none.
int64_t SequenceIn(const std::string& body) {
  static const std::string kBefore = "\"sequence\":\"";
  const size_t at = body.find(kBefore);
  int64_t sequence = 0;
  if (at == std::string::npos) return 0;
  const std::string rest = body.substr(at + kBefore.size());
  return absl::SimpleAtoi(rest.substr(0, rest.find('"')), &sequence) ? sequence : 0;
}

size_t HashOf(const v1::Event& event) {
  // The messages have no maps: the same event is the same bytes.
  return std::hash<std::string>()(event.SerializeAsString());
}

std::string StartAfter(const std::string& cursor) {
  return cursor.empty() ? "start_position: START_POSITION_EARLIEST"
                        : absl::StrCat("after_cursor: '", cursor, "'");
}

}  // namespace

ClusterLoad::ClusterLoad(const GatewayCluster& cluster, uint64_t seed)
    : cluster_(cluster), seed_(seed) {
  CreateSubscription();
  for (int home = -1; home < GatewayCluster::kReplicas; ++home) {
    subscribers_.push_back(home < 0 ? "the subscriber that moves"
                                    : absl::StrCat("the subscriber at ", home));
    others_.emplace_back([this, name = subscribers_.back(), home] { Subscribe(name, home); });
  }
  for (const std::string name : {"one", "two"}) {
    others_.emplace_back([this, name] { Consume(name); });
  }
}

ClusterLoad::~ClusterLoad() {
  ending_ = true;
  StopSenders();
  for (std::thread& thread : others_) thread.join();
}

void ClusterLoad::Note(const std::string& finding) {
  absl::MutexLock lock(&mu_);
  findings_.push_back(finding);
}

// --- Senders ---------------------------------------------------------------------------------

void ClusterLoad::StartSenders() {
  sending_ = true;
  {
    absl::MutexLock lock(&mu_);
    last_answer_ = absl::Now();
  }
  for (int i = 0; i < kSenders; ++i) {
    senders_.emplace_back([this, i] { Send(i); });
  }
}

void ClusterLoad::StopSenders() {
  sending_ = false;
  for (std::thread& thread : senders_) thread.join();
  senders_.clear();
  absl::MutexLock lock(&mu_);
  last_answer_ = absl::InfiniteFuture();
}

void ClusterLoad::Send(int sender) {
  std::mt19937_64 random(seed_ + static_cast<uint64_t>(sender) +
                         static_cast<uint64_t>(last_id_[sender]) * kSenders);
  std::vector<std::string> sent;
  int target = sender % GatewayCluster::kReplicas;
  while (sending_) {
    const bool repeats = !sent.empty() && random() % kOneRepeatIn == 0;
    const std::string id = repeats ? sent[random() % sent.size()]
                                   : absl::StrCat("wh_", sender, "_", ++last_id_[sender]);
    // As a balancer does: to anybody, and mostly to whoever took the last one.
    if (random() % kOneRepeatIn == 0)
      target = static_cast<int>(random() % GatewayCluster::kReplicas);
    SendOne(id, target);
    if (repeats) continue;
    if (sent.size() < kRemembered) {
      sent.push_back(id);
    } else {
      sent[random() % kRemembered] = id;
    }
  }
}

void ClusterLoad::SendOne(const std::string& webhook_id, int& target) {
  while (!ending_) {
    const auto reply = cluster_.TryPost(target, webhook_id);
    {
      absl::MutexLock lock(&mu_);
      if (reply.has_value() && reply->status == 200) {
        const int64_t sequence = SequenceIn(reply->body);
        if (sequence == 0)
          findings_.push_back(absl::StrCat("200 without a sequence: ", reply->body));
        view_.Answered(webhook_id, sequence);
        ++counts_.answered;
        if (reply->body.find("duplicate") != std::string::npos) ++counts_.repeats;
        const absl::Time now = absl::Now();
        counts_.longest_gap = std::max(counts_.longest_gap, now - last_answer_);
        last_answer_ = now;
        ++answers_;
        return;
      }
      if (!reply.has_value()) {
        ++counts_.no_answer;
      } else if (reply->status == 503) {
        ++counts_.unavailable;
      } else {
        findings_.push_back(
            absl::StrCat("a webhook was answered ", reply->status, ": ", reply->body));
      }
    }
    target = (target + 1) % GatewayCluster::kReplicas;
    absl::SleepFor(kBetweenLooks);
  }
}

bool ClusterLoad::AwaitAnswers(int more) const {
  const int64_t wanted = answers_ + more;
  const absl::Time end = absl::Now() + kLongEnough;
  while (answers_ < wanted && absl::Now() < end) absl::SleepFor(kBetweenLooks);
  return answers_ >= wanted;
}

bool ClusterLoad::StaysSilent(absl::Duration time) const {
  const int64_t before = answers_;
  const absl::Time end = absl::Now() + time;
  while (answers_ == before && absl::Now() < end) absl::SleepFor(kBetweenLooks);
  return answers_ == before;
}

// --- Subscribers and consumers ---------------------------------------------------------------

// What a stream may end with when a replica goes, is gone or stands still.
bool ClusterLoad::MayEndWith(int code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::DEADLINE_EXCEEDED ||
         code == grpc::StatusCode::CANCELLED;
}

void ClusterLoad::Subscribe(const std::string& name, int home) {
  std::mt19937_64 random(seed_ + static_cast<uint64_t>(home + 2) * 1000);
  std::string cursor;
  int replica = std::max(home, 0);
  while (!ending_) {
    if (home < 0) replica = static_cast<int>(random() % GatewayCluster::kReplicas);
    const std::string address = cluster_.grpc(replica);
    if (address.empty()) {
      absl::SleepFor(kBetweenLooks);
      continue;
    }
    const auto at_most = static_cast<int64_t>(1 + random() % kMostBeforeMove);
    int64_t got = 0;
    EventStream stream(address, StartAfter(cursor), kStreamPatience);
    while (!ending_ && (home >= 0 || got < at_most)) {
      const v1::SubscribeResponse frame = stream.Next();
      if (frame.frame_case() == v1::SubscribeResponse::FRAME_NOT_SET) break;
      absl::MutexLock lock(&mu_);
      for (const v1::Event& event : frame.event_batch().events()) {
        view_.Got(name, event.sequence(), event.webhook_id(), HashOf(event));
        cursor = event.cursor();
        ++got;
      }
    }
    stream.Cancel();
    const grpc::Status status = stream.Finish();
    if (!status.ok() && !MayEndWith(status.error_code())) {
      Note(absl::StrCat(name, ": the stream at ", replica, " ended with ", status.error_code(),
                        ": ", status.error_message()));
      absl::SleepFor(kBetweenLooks);
    }
    absl::MutexLock lock(&mu_);
    ++counts_.streams;
  }
}

void ClusterLoad::CreateSubscription() {
  v1::CreateSubscriptionRequest request;
  request.set_name(kSubscription);
  request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
  // Attempts are to come of nacks alone, however often consumers are cut off.
  auto& settings = *request.mutable_settings();
  settings.mutable_ack_deadline()->set_seconds(4 * 3600);
  settings.set_max_attempts(1000);
  settings.set_max_lost_deliveries(1000);
  settings.mutable_minimum_backoff()->set_nanos(100'000'000);
  settings.mutable_maximum_backoff()->set_nanos(500'000'000);
  const absl::Time end = absl::Now() + kLongEnough;
  grpc::Status status;
  while (absl::Now() < end) {
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
      v1::CreateSubscriptionResponse response;
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + kStreamPatience);
      status = ConnectToSubscriptions(cluster_.grpc(i))
                   ->CreateSubscription(&context, request, &response);
      if (status.ok() || status.error_code() == grpc::StatusCode::ALREADY_EXISTS) return;
    }
    absl::SleepFor(kBetweenLooks);
  }
  Note(absl::StrCat("the durable subscription was not made: ", status.error_message()));
}

void ClusterLoad::Consume(const std::string& name) {
  std::mt19937_64 random(seed_ + name.size() * 100'000 + static_cast<uint64_t>(name[0]));
  const std::string open =
      absl::StrCat("subscription: '", kSubscription, "' consumer_name: '", name,
                   "' limits { max_outstanding_messages: 50 } "
                   "heartbeat_interval { nanos: 200000000 }");
  struct Sent {
    int64_t sequence;
    bool nack;
  };
  for (int replica = 0; !ending_; replica = (replica + 1) % GatewayCluster::kReplicas) {
    const std::string address = cluster_.grpc(replica);
    if (address.empty()) {
      absl::SleepFor(kBetweenLooks);
      continue;
    }
    ConsumeCall call(address, open, kStreamPatience);
    std::map<std::string, Sent> sent;  // by delivery
    while (!ending_) {
      const v1::ConsumeResponse frame = call.Next();
      if (frame.frame_case() == v1::ConsumeResponse::FRAME_NOT_SET) break;
      std::string acks;
      std::string nacks;
      {
        absl::MutexLock lock(&mu_);
        for (const v1::AckResult& result : frame.ack_results().results()) {
          const auto found = sent.find(result.delivery_id());
          if (found == sent.end()) continue;
          const auto [sequence, nack] = found->second;
          sent.erase(found);
          if (result.result() != v1::AckResult::RESULT_OK) continue;
          nack ? view_.Nacked(sequence) : view_.Acked(sequence);
        }
        for (const v1::Delivery& delivery : frame.deliveries().deliveries()) {
          const int64_t sequence = delivery.event().sequence();
          view_.Delivered(sequence, delivery.event().webhook_id(), delivery.attempt());
          ++counts_.deliveries;
          const bool nack = random() % kOneNackIn == 0;
          sent[delivery.delivery_id()] = {sequence, nack};
          nack ? view_.NackSent(sequence) : view_.AckSent(sequence);
          absl::StrAppend(nack ? &nacks : &acks,
                          nack ? "items { delivery_id: '" : "delivery_ids: '",
                          delivery.delivery_id(), nack ? "' } " : "' ");
        }
      }
      if (!acks.empty()) call.Send(absl::StrCat("ack { ", acks, "}"));
      if (!nacks.empty()) call.Send(absl::StrCat("nack { ", nacks, "}"));
    }
    if (ending_) call.Cancel();
    const grpc::Status status = call.Finish();
    if (!status.ok() && !MayEndWith(status.error_code())) {
      Note(absl::StrCat("consumer ", name, ": the stream at ", replica, " ended with ",
                        status.error_code(), ": ", status.error_message()));
    }
    // A follower may refuse at once.
    if (!status.ok()) absl::SleepFor(kBetweenLooks);
  }
}

// --- What came of it -------------------------------------------------------------------------

int64_t ClusterLoad::Backlog() const {
  v1::GetSubscriptionRequest request;
  request.set_name(kSubscription);
  for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
    const std::string address = cluster_.grpc(i);
    if (address.empty()) continue;
    v1::GetSubscriptionResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kStreamPatience);
    const grpc::Status status =
        ConnectToSubscriptions(address)->GetSubscription(&context, request, &response);
    if (status.ok()) return response.subscription().backlog().events();
  }
  return -1;
}

std::vector<std::string> ClusterLoad::Settle() {
  const absl::Time end = absl::Now() + kLongEnough;
  std::vector<std::string> missing;
  do {
    missing.clear();
    {
      absl::MutexLock lock(&mu_);
      for (const std::string& subscriber : subscribers_) {
        const int64_t reached = view_.ReachedBy(subscriber);
        if (reached < view_.newest()) {
          missing.push_back(
              absl::StrCat(subscriber, " got no more than ", reached, " of ", view_.newest()));
        }
      }
      const std::vector<int64_t> undelivered = view_.Undelivered();
      if (!undelivered.empty()) {
        missing.push_back(absl::StrCat(undelivered.size(),
                                       " events were not delivered until somebody acked them, the "
                                       "first is ",
                                       undelivered[0]));
      }
    }
    const int64_t backlog = Backlog();
    if (backlog != 0) {
      missing.push_back(absl::StrCat("the subscription's backlog is ", backlog));
    }
    if (missing.empty()) return missing;
    absl::SleepFor(kBetweenLooks);
  } while (absl::Now() < end);
  return missing;
}

std::vector<std::string> ClusterLoad::ReadAllAt(int replica) {
  const std::string who = absl::StrCat("who reads all at ", replica);
  const std::string address = cluster_.grpc(replica);
  if (address.empty()) return {"all of it: the replica does not run"};
  EventStream stream(address, StartAfter(""), std::chrono::seconds(60));
  std::vector<v1::Event> events = stream.EventsUntilCaughtUp();
  absl::MutexLock lock(&mu_);
  for (const v1::Event& event : events) {
    view_.Got(who, event.sequence(), event.webhook_id(), HashOf(event));
  }
  std::vector<std::string> missing = view_.MissingFrom(who);
  view_.Forget(who);
  if (missing.size() > kMostSaid) missing.resize(kMostSaid);
  return missing;
}

std::vector<std::string> ClusterLoad::Broken() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> all = view_.broken();
  all.insert(all.end(), findings_.begin(), findings_.end());
  if (all.size() > kMostSaid) all.resize(kMostSaid);
  return all;
}

ClusterLoad::Counts ClusterLoad::TakeCounts() {
  absl::MutexLock lock(&mu_);
  return std::exchange(counts_, {});
}

int64_t ClusterLoad::newest() const {
  absl::MutexLock lock(&mu_);
  return view_.newest();
}

size_t ClusterLoad::webhooks() const {
  absl::MutexLock lock(&mu_);
  return view_.answered();
}

}  // namespace hookgate
