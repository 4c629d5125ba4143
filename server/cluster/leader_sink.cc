#include "server/cluster/leader_sink.h"

#include <algorithm>
#include <utility>

#include "server/base/current_thread.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/webhook_messages.h"

namespace hookgate {
namespace {

constexpr char kAppend[] = "/hookgate.cluster.v1.PeerService/Append";
constexpr char kQuarantine[] = "/hookgate.cluster.v1.PeerService/Quarantine";

// What the leader says, as it says it; a connection that broke, or took too long, is no_leader.
absl::Status ErrorOf(const absl::Status& answer) {
  if (answer.ok() || !ReasonOf(answer).empty()) return answer;
  return ErrorWithReason(
      absl::StatusCode::kUnavailable, reason::kNoLeader,
      "the leader did not answer: whether it has stored this is not known; send it again");
}

// Whether the next leader may store what was answered like this: the one that was asked does not
// lead, goes down, or is gone.
bool IsForNextLeader(const absl::Status& answer) {
  if (!absl::IsUnavailable(answer)) return false;
  const std::string reason = ReasonOf(answer);
  return reason.empty() || reason == reason::kNoLeader || reason == reason::kDraining;
}

}  // namespace

// A webhook that is on its way to a leader, as bytes. For one thread at a time.
class LeaderSink::Handed {
 public:
  Handed(const char* method, std::string request) : method_(method), request_(std::move(request)) {}
  virtual ~Handed() = default;

  const char* method() const { return method_; }
  const std::string& request() const { return request_; }
  int64_t bytes() const { return static_cast<int64_t>(request_.size()); }

  // One of these, once.
  virtual void Answer(const absl::StatusOr<std::string>& answer) = 0;
  virtual void StoreIn(EventSink& log) = 0;

  absl::Duration deadline;
  int64_t news = 0;  // of leaders, when it was tried last

 private:
  const char* const method_;
  const std::string request_;
};

class LeaderSink::HandedEvent final : public Handed {
 public:
  HandedEvent(StoredEvent event, AppendDone done)
      : Handed(kAppend, ToRequest(std::move(event)).SerializeAsString()), done_(std::move(done)) {}

  void Answer(const absl::StatusOr<std::string>& answer) override {
    std::move(done_)(ResultOf(answer));
  }
  void StoreIn(EventSink& log) override {
    cluster::v1::AppendRequest message;
    message.ParseFromString(request());  // It is this replica's own.
    log.Append(FromRequest(std::move(message)), std::move(done_));
  }

 private:
  static absl::StatusOr<AppendResult> ResultOf(const absl::StatusOr<std::string>& answer) {
    if (!answer.ok()) return ErrorOf(answer.status());
    cluster::v1::AppendResponse response;
    if (!response.ParseFromString(*answer)) {
      response.set_outcome(cluster::v1::AppendResponse::OUTCOME_UNSPECIFIED);
    }
    absl::StatusOr<AppendResult> result = FromResponse(std::move(response));
    if (!result.ok()) return ErrorOf(result.status());
    return result;
  }

  AppendDone done_;
};

class LeaderSink::HandedQuarantine final : public Handed {
 public:
  HandedQuarantine(QuarantinedWebhook webhook, QuarantineDone done)
      : Handed(kQuarantine, ToRequest(std::move(webhook)).SerializeAsString()),
        done_(std::move(done)) {}

  void Answer(const absl::StatusOr<std::string>& answer) override {
    std::move(done_)(ErrorOf(answer.status()));
  }
  void StoreIn(EventSink& log) override {
    cluster::v1::QuarantineRequest message;
    message.ParseFromString(request());  // It is this replica's own.
    log.Quarantine(FromRequest(std::move(message)), std::move(done_));
  }

 private:
  QuarantineDone done_;
};

LeaderSink::LeaderSink(LeaderRoute& route, EventSink& log, const Clock& clock, const Limits& limits,
                       absl::Duration timeout)
    : route_(route), log_(log), clock_(clock), limits_(limits), timeout_(timeout) {
  thread_ = std::thread([this] { Run(); });
}

LeaderSink::~LeaderSink() { End(); }

void LeaderSink::End() {
  {
    absl::MutexLock lock(&mu_);
    ending_ = true;
  }
  route_.news().Wake();
  if (thread_.joinable()) thread_.join();
  absl::MutexLock lock(&mu_);
  const auto all_answered = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return webhooks_ == 0; };
  mu_.Await(absl::Condition(&all_answered));
}

bool LeaderSink::MayHandOn(const LeaderRoute::Target& target) const {
  return !target.here && (target.leader != nullptr || target.without_leader < timeout_);
}

void LeaderSink::Append(std::unique_ptr<StoredEvent> event, AppendDone done) {
  if (!MayHandOn(route_.Find())) return log_.Append(std::move(event), std::move(done));
  HandOn(std::make_unique<HandedEvent>(*std::move(event), std::move(done)));
}

void LeaderSink::Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) {
  if (!MayHandOn(route_.Find())) return log_.Quarantine(std::move(webhook), std::move(done));
  HandOn(std::make_unique<HandedQuarantine>(*std::move(webhook), std::move(done)));
}

void LeaderSink::HandOn(std::unique_ptr<Handed> handed) {
  const absl::Status entered = Enter(handed->bytes());
  if (!entered.ok()) return handed->Answer(entered);
  handed->deadline = clock_.MonotonicNow() + timeout_;
  Try(std::move(handed));
}

void LeaderSink::Try(std::unique_ptr<Handed> handed) {
  // What is announced from here on is news to this attempt.
  handed->news = route_.news().count();
  const LeaderRoute::Target target = route_.Find();
  if (!MayHandOn(target)) return StoreHere(*handed);
  if (target.leader == nullptr) return Wait(std::move(handed));
  const absl::Duration left =
      std::max(handed->deadline - clock_.MonotonicNow(), absl::ZeroDuration());
  Handed& sent = *handed;
  target.leader->Ask(
      sent.method(), sent.request(), left,
      [this, handed = std::move(handed)](absl::StatusOr<std::string> answer) mutable {
        NoteAnswer(std::move(handed), std::move(answer));
      });
}

void LeaderSink::Wait(std::unique_ptr<Handed> handed) {
  {
    absl::MutexLock lock(&mu_);
    if (!ending_) {
      LeadershipNews& news = route_.news();
      const bool wakes = handed->deadline < wakes_at_ || handed->news < news.count();
      wakes_at_ = std::min(wakes_at_, handed->deadline);
      waiting_.push_back(std::move(handed));
      // Under the lock: after it this may be answered, and then the sink may end, and the news with
      // it.
      if (wakes) news.Wake();
      return;
    }
  }
  StoreHere(*handed);
}

void LeaderSink::NoteAnswer(std::unique_ptr<Handed> handed, absl::StatusOr<std::string> answer) {
  const absl::Duration now = clock_.MonotonicNow();
  const bool reached = NoteReached(answer.status(), now);
  if (reached && IsForNextLeader(answer.status()) && now < handed->deadline) {
    return Wait(std::move(handed));
  }
  Answer(*handed, answer);
}

bool LeaderSink::NoteReached(const absl::Status& answer, absl::Duration now) {
  absl::MutexLock lock(&mu_);
  if (!absl::IsUnavailable(answer) || !ReasonOf(answer).empty()) {
    unreached_since_.reset();
    return true;
  }
  if (!unreached_since_.has_value()) unreached_since_ = now;
  return now - *unreached_since_ < timeout_;
}

void LeaderSink::Answer(Handed& handed, const absl::StatusOr<std::string>& answer) {
  const int64_t bytes = handed.bytes();
  handed.Answer(answer);
  Leave(bytes);
}

void LeaderSink::StoreHere(Handed& handed) {
  const int64_t bytes = handed.bytes();
  handed.StoreIn(log_);
  Leave(bytes);
}

absl::Status LeaderSink::Enter(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  if (webhooks_ >= limits_.max_webhooks || bytes_ + bytes > limits_.max_bytes) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull,
                           "too many webhooks are on their way to the leader");
  }
  ++webhooks_;
  bytes_ += bytes;
  return absl::OkStatus();
}

void LeaderSink::Leave(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  --webhooks_;
  bytes_ -= bytes;
}

LeaderSink::Due LeaderSink::TakeDue(int64_t news) {
  const absl::Duration now = clock_.MonotonicNow();
  Due due = {.next = absl::InfiniteDuration()};
  std::vector<std::unique_ptr<Handed>> rest;
  absl::MutexLock lock(&mu_);
  wakes_at_ = absl::InfiniteDuration();
  for (auto& handed : waiting_) {
    if (ending_ || handed->deadline <= now) {
      due.over.push_back(std::move(handed));
    } else if (handed->news < news) {
      due.again.push_back(std::move(handed));
    } else {
      due.next = std::min(due.next, handed->deadline - now);
      wakes_at_ = std::min(wakes_at_, handed->deadline);
      rest.push_back(std::move(handed));
    }
  }
  waiting_ = std::move(rest);
  if (ending_) due.next = absl::ZeroDuration();
  return due;
}

void LeaderSink::Run() {
  NameThread("leader sink");
  while (true) {
    const int64_t news = route_.news().count();
    Due due = TakeDue(news);
    for (auto& handed : due.over) StoreHere(*handed);
    for (auto& handed : due.again) Try(std::move(handed));
    {
      absl::MutexLock lock(&mu_);
      if (ending_) break;
    }
    route_.news().Await(news, due.next);
  }
  // Between the look and the end.
  for (auto& handed : TakeDue(0).over) StoreHere(*handed);
}

}  // namespace hookgate
