#include "server/delivery/subscription.h"

#include <algorithm>
#include <iterator>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// What one delivery to a receiver holds at most, unless a single event is larger; far below the
// 4 MiB that a gRPC client takes by default.
constexpr size_t kMaxBatchEvents = 512;
constexpr int64_t kMaxBatchBytes = 256 << 10;

// Between two warnings about the same subscription that takes nothing more.
constexpr absl::Duration kWarnEvery = absl::Minutes(1);

// After the log could not be read.
constexpr absl::Duration kReadRetry = absl::Seconds(1);

int64_t BytesOf(const LogEvent& event, bool include_raw_body) {
  return static_cast<int64_t>(event.envelope.size() +
                              (include_raw_body ? event.raw_body.size() : 0));
}

// Empty: a hint for those who look, not a warning.
absl::string_view WarningOf(SubscriptionCondition condition) {
  switch (condition) {
    case SubscriptionCondition::kLeasesFull:
      return "too many events are leased: nothing is handed out until some are acked";
    case SubscriptionCondition::kUnsettledFull:
      return "too many events are neither acked nor dead: nothing new is taken until some are";
    case SubscriptionCondition::kDeadLettersFull:
      return "the dead letters are full: events out of attempts are tried on until some are redriven "
             "or discarded";
    case SubscriptionCondition::kFilterAdmitsNone:
      break;
  }
  return "";
}

absl::StatusOr<SubscriptionSettings> StoredSettings(const StoredSubscription& stored) {
  hookgate::v1::SubscriptionSettings proto;
  if (!proto.ParseFromString(stored.settings)) {
    return absl::DataLossError(
        absl::StrCat("the settings of subscription ", stored.name, " cannot be read"));
  }
  return SubscriptionSettings::FromProto(proto, "settings");
}

}  // namespace

absl::StatusOr<std::shared_ptr<Subscription>> Subscription::Create(
    const StoredSubscription& stored, const SubscriptionContext& context) {
  ASSIGN_OR_RETURN(SubscriptionSettings settings, StoredSettings(stored));
  return std::shared_ptr<Subscription>(new Subscription(stored, std::move(settings), context));
}

Subscription::Subscription(const StoredSubscription& stored, SubscriptionSettings settings,
                           const SubscriptionContext& context)
    : id_(stored.id),
      name_(stored.name),
      create_time_(stored.create_time),
      context_(context),
      settings_(std::make_shared<const SubscriptionSettings>(std::move(settings))),
      state_(std::make_unique<SubscriptionState>(stored, settings_->policy, Now(),
                                                 context.bounds)),
      dead_letters_(state_->dead_letters()) {}

Instant Subscription::Now() const {
  return {context_.clock.WallNow(), context_.clock.MonotonicNow()};
}

// --- What others ask for: decided at once, let out with the next commit. ---

absl::StatusOr<StreamId> Subscription::Attach(const std::string& name, const ConsumerLimits& limits,
                                              bool include_raw_body,
                                              std::shared_ptr<Receiver> receiver) {
  absl::MutexLock lock(&mu_);
  Schedule();
  if (!refusal_.ok()) return refusal_;
  const StreamId stream = ++last_stream_;
  if (!state_->Attach(stream, name, limits, include_raw_body)) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyConsumers,
        absl::StrCat("subscription ", name_, " has ", SubscriptionState::kMaxConsumers,
                     " consumers already, as many as one can have"));
  }
  streams_[stream] = {std::move(receiver)};
  if (include_raw_body && !include_raw_body_) {
    include_raw_body_ = true;
    ReadAnew();
  }
  return stream;
}

void Subscription::SetLimits(StreamId stream, const ConsumerLimits& limits) {
  absl::MutexLock lock(&mu_);
  state_->SetLimits(stream, limits);
  Schedule();
}

void Subscription::Ready(StreamId stream) {
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.stopped) return;
  found->second.ready = true;
  Schedule();
}

void Subscription::StopDeliveries(StreamId stream) {
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  found->second.ready = false;
  found->second.stopped = true;
}

void Subscription::Detach(StreamId stream, DeliveryCause why, bool keep_leases) {
  std::shared_ptr<Receiver> last;  // Its destructor runs without the lock.
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  last = std::move(found->second.receiver);
  streams_.erase(found);
  state_->Detach(stream, why, keep_leases, Now(), random_);
  Schedule();
}

void Subscription::Lose(const std::vector<DeliveryId>& ids) {
  absl::MutexLock lock(&mu_);
  for (const DeliveryId& id : ids) state_->Lose(id, Now(), random_);
  Schedule();
}

void Subscription::Settle(std::vector<AckItem> items, Done<std::vector<AckOutcome>> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<AckOutcome> outcomes;
    outcomes.reserve(items.size());
    for (const AckItem& item : items) outcomes.push_back(SettleOne(item, Now()));
    return outcomes;
  };
  Decide(decide, std::move(done));
}

AckOutcome Subscription::SettleOne(const AckItem& item, Instant now) {
  if (!item.id.has_value()) return AckOutcome::kUnknown;
  switch (item.kind) {
    case AckItem::Kind::kAck:
      return state_->Ack(*item.id, now);
    case AckItem::Kind::kNack:
      return state_->Nack(*item.id, item.nack, now, random_);
    case AckItem::Kind::kExtend: {
      const AckOutcome outcome = state_->Extend(*item.id, item.deadline, now);
      if (outcome == AckOutcome::kOk) extensions_.push_back({*item.id, item.deadline});
      return outcome;
    }
  }
  return AckOutcome::kUnknown;
}

void Subscription::Update(SubscriptionSettings settings, Done<Decided> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    new_settings_ = settings.effective.SerializeAsString();
    if (settings.filter.key() != settings_->filter.key()) state_->NoteNewFilter();
    settings_ = std::make_shared<const SubscriptionSettings>(std::move(settings));
    state_->SetPolicy(settings_->policy);
    ReadAnew();
    return Decided();
  };
  Decide(decide, std::move(done));
}

void Subscription::Seek(Sequence position, Done<Decided> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    state_->Seek(position);
    ReadAnew();
    return Decided();
  };
  Decide(decide, std::move(done));
}

void Subscription::Redrive(std::vector<Sequence> sequences,
                           Done<std::vector<RedriveOutcome>> done) {
  const Sequence earliest = context_.log.Position().earliest;
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<RedriveOutcome> outcomes;
    outcomes.reserve(sequences.size());
    for (const Sequence sequence : sequences) {
      outcomes.push_back(state_->Redrive(sequence, earliest, Now()));
    }
    return outcomes;
  };
  Decide(decide, std::move(done));
}

void Subscription::Discard(std::vector<Sequence> sequences, Done<std::vector<bool>> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<bool> outcomes;
    outcomes.reserve(sequences.size());
    for (const Sequence sequence : sequences) outcomes.push_back(state_->Discard(sequence));
    return outcomes;
  };
  Decide(decide, std::move(done));
}

template <typename Decision, typename Outcome>
void Subscription::Decide(const Decision& decide, Done<Outcome> done) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mu_);
    Schedule();
    refusal = refusal_;
    if (refusal.ok()) {
      answers_.push_back(
          [outcome = decide(), done = std::move(done)](const absl::Status& status) mutable {
            if (status.ok()) {
              std::move(done)(std::move(outcome));
            } else {
              std::move(done)(status);
            }
          });
      return;
    }
  }
  std::move(done)(refusal);
}

// --- What others ask. ---

SubscriptionStatus Subscription::GetStatus() {
  absl::MutexLock lock(&mu_);
  return {.settings = settings_->effective,
          .position = state_->position(),
          .in_flight = state_->in_flight(),
          .awaiting_redelivery = state_->waiting(),
          .dead_letters = dead_letters_,
          .passed = state_->passed(),
          .admitted = state_->admitted(),
          .conditions = state_->conditions(),
          .consumers = state_->consumers(Now())};
}

std::vector<SubscriptionCondition> Subscription::Conditions() {
  absl::MutexLock lock(&mu_);
  return state_->conditions();
}

absl::StatusOr<std::vector<DeadEvent>> Subscription::DeadLetters(Sequence after, size_t max) {
  return context_.store.LoadDeadLetters(id_, after, max);
}

Backlog Subscription::GetBacklog() {
  const Sequence head = context_.log.Position().head;
  Backlog backlog;
  absl::optional<absl::Time> oldest;
  Sequence position = 0;
  {
    absl::MutexLock lock(&mu_);
    position = state_->position();
    backlog.events = state_->unsettled() + std::max<int64_t>(head - position, 0);
    backlog.lost = state_->lost();
    backlog.lost_unread = state_->lost_unread();
    oldest = state_->oldest_receive_time();
  }
  if (!oldest.has_value() && position < head) {
    const absl::StatusOr<LogEventPtr> next = FindEvent(position + 1);
    if (next.ok()) oldest = (*next)->receive_time;
  }
  if (oldest.has_value()) {
    backlog.oldest_unacked_age = std::max(context_.clock.WallNow() - *oldest, absl::ZeroDuration());
  }
  return backlog;
}

// --- Waking up and ending. ---

void Subscription::Wake() {
  absl::MutexLock lock(&mu_);
  Schedule();
}

void Subscription::Schedule() {
  if (turn_taken_) {
    woken_ = true;
    return;
  }
  if (closed_) return;
  turn_taken_ = true;
  context_.executor.Post([self = shared_from_this()] { self->Advance(); });
}

void Subscription::Close(const absl::Status& status) {
  std::vector<std::shared_ptr<Receiver>> receivers;
  std::vector<Answer> answers;
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    refusal_ = status;
    receivers = TakeReceivers();
    answers = std::exchange(answers_, {});
  }
  context_.watch.Forget(this);
  for (const auto& receiver : receivers) receiver->OnEnd(status);
  for (Answer& answer : answers) std::move(answer)(status);
}

void Subscription::WaitUntilIdle() {
  const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !turn_taken_; };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&idle));
}

// --- The turn. ---

void Subscription::Advance() {
  while (true) {
    if (!Reload()) {
      Pause();
      return;
    }
    LookAtClockAndLog();
    ReadOn();
    if (Commit(TakeDeliveries())) return;  // The turn goes on in OnCommitted.
    if (Rest()) return;
  }
}

// After a failed commit: back to what is stored, as soon as that can be read. Until then nothing is
// decided or written: the state holds what the store does not know of.
bool Subscription::Reload() {
  {
    absl::MutexLock lock(&mu_);
    if (refusal_.ok()) return true;
    if (closed_) return false;
  }
  const absl::StatusOr<StoredSubscription> stored = context_.store.LoadSubscription(id_);
  absl::StatusOr<SubscriptionSettings> settings =
      stored.ok() ? StoredSettings(*stored) : stored.status();
  absl::MutexLock lock(&mu_);
  if (closed_ || !settings.ok()) return false;
  settings_ = std::make_shared<const SubscriptionSettings>(*std::move(settings));
  state_ =
      std::make_unique<SubscriptionState>(*stored, settings_->policy, Now(), context_.bounds);
  dead_letters_ = state_->dead_letters();
  refusal_ = absl::OkStatus();
  return true;
}

// Until somebody wants to attach, or asks for something.
void Subscription::Pause() {
  absl::MutexLock lock(&mu_);
  turn_taken_ = false;
  woken_ = false;
}

void Subscription::LookAtClockAndLog() {
  const Sequence earliest = context_.log.Position().earliest;
  Loss lost;
  {
    absl::MutexLock lock(&mu_);
    woken_ = false;
    state_->Tick(Now(), random_);
    lost = state_->Overtaken(earliest, settings_->filter.admits_all());
    if (lost.events > 0) ReadAnew();
  }
  if (lost.events > 0) {
    Log(Severity::kWarning, "retention removed events that a subscription had not settled",
        {{"subscription", name_},
         {"events", lost.events},
         {"not_judged_by_its_filter", lost.unread},
         {"earliest", earliest}});
  }
  WarnOfConditions();
}

// Once a minute at most, while they last and something happens.
void Subscription::WarnOfConditions() {
  std::vector<SubscriptionCondition> conditions;
  {
    absl::MutexLock lock(&mu_);
    conditions = state_->conditions();
    conditions.erase(std::remove_if(conditions.begin(), conditions.end(),
                                    [](SubscriptionCondition condition) {
                                      return WarningOf(condition).empty();
                                    }),
                     conditions.end());
    const absl::Duration now = context_.clock.MonotonicNow();
    if (conditions.empty() || now < warn_at_) return;
    warn_at_ = now + kWarnEvery;
  }
  for (const SubscriptionCondition condition : conditions) {
    Log(Severity::kWarning, "a subscription is full",
        {{"subscription", name_}, {"what", WarningOf(condition)}});
  }
}

// Offers the next events that match, if somebody could take them.
void Subscription::ReadOn() {
  while (true) {
    Sequence after = 0;
    int64_t generation = 0;
    bool include_raw_body = false;
    std::shared_ptr<const SubscriptionSettings> settings;
    {
      absl::MutexLock lock(&mu_);
      if (context_.clock.MonotonicNow() < retry_at_) return;
      if (!state_->WantsOffers(ReadyStreams())) return;
      after = state_->offered_to();
      generation = generation_;
      include_raw_body = include_raw_body_;
      settings = settings_;
    }
    const absl::StatusOr<LogPage> page = ReadPage(after, settings->filter, include_raw_body);
    absl::MutexLock lock(&mu_);
    if (generation != generation_) continue;  // Something else is wanted by now.
    if (!page.ok()) {
      retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
      return;
    }
    std::vector<OfferedEvent> offers;
    for (const LogEventPtr& event : page->events) {
      offers.push_back({event->sequence, event->receive_time});
      page_[event->sequence] = event;
    }
    state_->Offer(offers, page->scanned_to);
    if (page->scanned_to == after) return;  // That was the head.
  }
}

absl::StatusOr<LogPage> Subscription::ReadPage(Sequence after, const EventFilter& filter,
                                               bool include_raw_body) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(after, kMaxBatchEvents);
  if (!slice.has_value()) {
    ReadLimits limits;
    limits.max_events = kMaxBatchEvents;
    limits.max_bytes = kMaxBatchBytes;
    limits.include_raw_body = include_raw_body;
    absl::StatusOr<LogPage> page = context_.log.Read(
        after, [&filter](const LogEvent& event) { return filter.Matches(event); }, limits);
    if (!page.ok()) {
      Log(Severity::kWarning, "a subscription could not read the log; trying again",
          {{"subscription", name_}, {"error", page.status().ToString()}});
    }
    return page;
  }
  LogPage page;
  page.scanned_to = after;
  for (const LogEventPtr& event : slice->events) {
    page.scanned_to = event->sequence;
    if (filter.Matches(*event)) page.events.push_back(event);
  }
  return page;
}

std::vector<Delivery> Subscription::TakeDeliveries() {
  std::vector<Delivery> deliveries;
  {
    absl::MutexLock lock(&mu_);
    assigned_at_ = Now();
    if (assigned_at_.monotonic < retry_at_) return deliveries;
    const auto size_of = [this](Sequence sequence, bool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      const auto known = page_.find(sequence);
      return absl::optional<int64_t>(known == page_.end()
                                         ? state_->BytesOf(sequence)
                                         : BytesOf(*known->second, include_raw_body_));
    };
    for (Lease& lease :
         state_->Assign(ReadyStreams(), kMaxBatchEvents, kMaxBatchBytes, assigned_at_, size_of)) {
      auto known = page_.extract(lease.id.sequence);
      deliveries.push_back({std::move(lease), known.empty() ? nullptr : std::move(known.mapped())});
    }
  }
  const auto unreadable = [this](Delivery& delivery) {
    return delivery.event == nullptr && !FillIn(delivery);
  };
  deliveries.erase(std::remove_if(deliveries.begin(), deliveries.end(), unreadable),
                   deliveries.end());
  FillInReasons(deliveries);
  return deliveries;
}

// Of redeliveries: why they were nacked. Without it none of them goes out.
void Subscription::FillInReasons(std::vector<Delivery>& deliveries) {
  std::vector<Sequence> sequences;
  for (const Delivery& delivery : deliveries) {
    if (delivery.lease.reason_is_stored) sequences.push_back(delivery.lease.id.sequence);
  }
  if (sequences.empty()) return;
  absl::StatusOr<std::vector<std::string>> reasons =
      context_.store.LoadNackReasons(id_, sequences);
  if (reasons.ok()) {
    auto next = reasons->begin();
    for (Delivery& delivery : deliveries) {
      if (delivery.lease.reason_is_stored) delivery.lease.nack_reason = std::move(*next++);
    }
    return;
  }
  absl::MutexLock lock(&mu_);
  const auto give_back = [this](const Delivery& delivery) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (delivery.lease.reason_is_stored) state_->GiveBack(delivery.lease.id, Now());
    return delivery.lease.reason_is_stored;
  };
  deliveries.erase(std::remove_if(deliveries.begin(), deliveries.end(), give_back),
                   deliveries.end());
  retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
}

// The event of a redelivery. False: it cannot be read now, or retention has just removed it.
bool Subscription::FillIn(Delivery& delivery) {
  absl::StatusOr<LogEventPtr> event = FindEvent(delivery.lease.id.sequence);
  if (event.ok()) {
    delivery.event = *std::move(event);
    return true;
  }
  absl::MutexLock lock(&mu_);
  state_->GiveBack(delivery.lease.id, Now());
  retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
  return false;
}

absl::StatusOr<LogEventPtr> Subscription::FindEvent(Sequence sequence) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
  if (slice.has_value() && !slice->events.empty()) return slice->events.front();
  return context_.log.Get(sequence);
}

bool Subscription::Commit(std::vector<Delivery> deliveries) {
  Batch batch;
  batch.deliveries = std::move(deliveries);
  auto changes = std::make_unique<SubscriptionChanges>();
  {
    absl::MutexLock lock(&mu_);
    *changes = state_->TakeChanges();
    changes->settings = std::exchange(new_settings_, absl::nullopt);
    batch.answers = std::exchange(answers_, {});
    batch.extensions = std::exchange(extensions_, {});
    batch.dead_letters = state_->dead_letters();
    if (!changes->empty()) batch_ = std::exchange(batch, {});
  }
  if (changes->empty()) {
    LetOut(std::move(batch));  // What it says is durable already.
    return false;
  }
  context_.store.WriteSubscription(
      id_, std::move(changes), [self = shared_from_this()](const absl::Status& status) {
        self->context_.executor.Post([self, status] { self->OnCommitted(status); });
      });
  return true;
}

void Subscription::OnCommitted(const absl::Status& status) {
  Batch batch;
  {
    absl::MutexLock lock(&mu_);
    batch = std::exchange(batch_, {});
  }
  if (status.ok()) {
    LetOut(std::move(batch));
  } else {
    StartAnew(status, std::move(batch));
  }
  Advance();
}

void Subscription::LetOut(Batch batch) {
  std::map<StreamId, std::pair<std::shared_ptr<Receiver>, std::vector<Delivery>>> by_stream;
  {
    absl::MutexLock lock(&mu_);
    const Instant now = Now();
    dead_letters_ = batch.dead_letters;
    for (const Extension& extension : batch.extensions) {
      state_->Extend(extension.id, extension.deadline, now);
    }
    for (Delivery& delivery : batch.deliveries) {
      const auto stream = streams_.find(delivery.lease.stream);
      if (stream == streams_.end()) continue;  // Detach has given it back.
      if (stream->second.stopped) {
        state_->GiveBack(delivery.lease.id, now);
        continue;
      }
      const absl::optional<absl::Time> expire_time = state_->HandOut(delivery.lease.id, now);
      if (!expire_time.has_value()) continue;  // A seek came in between.
      delivery.lease.expire_time = *expire_time;
      stream->second.ready = false;
      auto& [receiver, deliveries] = by_stream[delivery.lease.stream];
      receiver = stream->second.receiver;
      deliveries.push_back(std::move(delivery));
    }
  }
  for (auto& [stream, out] : by_stream) out.first->OnDeliveries(std::move(out.second));
  for (Answer& answer : batch.answers) std::move(answer)(absl::OkStatus());
}

// What was decided since the last commit is void, in part or, after a failed sync, perhaps: nobody
// may hear of it, and nobody may go on from it.
void Subscription::StartAnew(const absl::Status& why, Batch batch) {
  std::vector<std::shared_ptr<Receiver>> receivers;
  {
    absl::MutexLock lock(&mu_);
    if (!closed_) refusal_ = why;
    receivers = TakeReceivers();
    std::move(answers_.begin(), answers_.end(), std::back_inserter(batch.answers));
    answers_.clear();
    extensions_.clear();
    new_settings_.reset();
    ReadAnew();
  }
  Log(Severity::kWarning,
      "the state of a subscription could not be stored; its consumers are sent away",
      {{"subscription", name_}, {"receivers", receivers.size()}, {"error", why.ToString()}});
  for (const auto& receiver : receivers) receiver->OnEnd(why);
  for (Answer& answer : batch.answers) std::move(answer)(why);
}

bool Subscription::Rest() {
  Sequence seen = HeadWatch::kWhateverTheHead;
  absl::Duration deadline = absl::InfiniteDuration();
  {
    absl::MutexLock lock(&mu_);
    if (woken_) return false;
    // What has become due since then was not assigned, and must not be waited for in vain.
    deadline = state_->NextTick(assigned_at_);
    if (assigned_at_.monotonic < retry_at_) {
      deadline = std::min(deadline, retry_at_);
    } else if (state_->WantsOffers(ReadyStreams())) {
      seen = state_->offered_to();
    }
  }
  const bool waits = seen != HeadWatch::kWhateverTheHead || deadline != absl::InfiniteDuration();
  if (waits && !context_.watch.Await(seen, deadline, shared_from_this())) return false;
  absl::MutexLock lock(&mu_);
  if (woken_) return false;
  turn_taken_ = false;
  return true;
}

std::vector<StreamId> Subscription::ReadyStreams() const {
  std::vector<StreamId> ready;
  for (const auto& [id, stream] : streams_) {
    if (stream.ready) ready.push_back(id);
  }
  return ready;
}

// What was read and not taken may not be what is wanted next.
void Subscription::ReadAnew() {
  state_->ForgetOffers();
  page_.clear();
  ++generation_;
}

std::vector<std::shared_ptr<Receiver>> Subscription::TakeReceivers() {
  std::vector<std::shared_ptr<Receiver>> receivers;
  for (auto& [id, stream] : streams_) receivers.push_back(std::move(stream.receiver));
  streams_.clear();
  return receivers;
}

}  // namespace hookgate
