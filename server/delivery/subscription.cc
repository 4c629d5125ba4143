#include "server/delivery/subscription.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/base/wake_batch.h"

namespace hookgate {
namespace {

// What one delivery to a receiver holds at most, unless a single event is larger; far below the
// 4 MiB that a gRPC client takes by default. One read brings as much.
constexpr size_t kMaxBatchEvents = 512;
constexpr int64_t kMaxBatchBytes = 256 << 10;
// Events looked at in one read, whether the filter admits them or not: about 2 ms.
constexpr int64_t kMaxScanned = 1024;
// Events beyond those in a page that are read at a time: each may take a look-up of its own.
constexpr size_t kMaxWanted = 128;
// How far a look-up reads on for the next one before it looks that up instead.
constexpr int64_t kMaxGap = 16;

// Events looked at for one page of deliveries: about 3 ms.
constexpr size_t kMaxListed = 1024;

// Between two warnings about the same subscription that takes nothing more.
constexpr absl::Duration kWarnEvery = absl::Minutes(1);

// Dead letters that are remembered for who looks next. Nobody may ever.
constexpr size_t kMaxNewDead = 128;

// After the log could not be read; and before a job goes on after it could not be written.
constexpr absl::Duration kReadRetry = absl::Seconds(1);

int64_t BytesInMemory(const StoredEvent& event) {
  return static_cast<int64_t>(event.envelope.size() + event.raw_body.size());
}

// Empty: a hint for those who look, not a warning.
absl::string_view WarningOf(SubscriptionCondition condition) {
  switch (condition) {
    case SubscriptionCondition::kLeasesFull:
      return "too many events are leased: nothing is handed out until some are acked";
    case SubscriptionCondition::kUnsettledFull:
      return "too many events are neither acked nor dead: nothing new is taken until some are";
    case SubscriptionCondition::kDeadLettersFull:
      return "the dead letters are full: events out of attempts are tried on until some are "
             "redriven or discarded";
    case SubscriptionCondition::kFilterAdmitsNone:
    case SubscriptionCondition::kPaused:
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

// What is delivered from now on has this process's mark, also where that could not be stored yet.
DeliveryIds IdsOf(const StoredSubscription& stored, HistoryMark mark) {
  std::vector<Stretch> numbers = stored.deliveries;
  if (numbers.empty() || numbers.back().mark != mark) {
    numbers.push_back({stored.position.last_delivery + 1, mark});
  }
  return {stored.id, Stretches(std::move(numbers))};
}

}  // namespace

absl::StatusOr<std::shared_ptr<Subscription>> Subscription::Create(
    const StoredSubscription& stored, const SubscriptionContext& context) {
  ASSIGN_OR_RETURN(SubscriptionSettings settings, StoredSettings(stored));
  absl::StatusOr<BulkJobs> jobs = BulkJobs::Load(stored.jobs);
  if (!jobs.ok()) return Annotate(jobs.status(), absl::StrCat("subscription ", stored.name));
  std::shared_ptr<Subscription> subscription(
      new Subscription(stored, std::move(settings), *std::move(jobs), context));
  subscription->PrepareGauges();
  return subscription;
}

Subscription::Subscription(const StoredSubscription& stored, SubscriptionSettings settings,
                           BulkJobs jobs, const SubscriptionContext& context)
    : id_(stored.id),
      name_(stored.name),
      create_time_(stored.create_time),
      context_(context),
      delivery_ids_(IdsOf(stored, context.log.history().mark)),
      settings_(std::make_shared<const SubscriptionSettings>(std::move(settings))),
      state_(std::make_unique<SubscriptionState>(stored, settings_->policy, Now(), context.bounds)),
      control_(stored.control),
      jobs_(std::move(jobs)),
      told_jobs_(jobs_),
      dead_letters_(state_->dead_letters()),
      metrics_(context.metrics == nullptr ? nullptr : context.metrics->Add(name_)) {}

Instant Subscription::Now() const {
  return {context_.clock.WallNow(), context_.clock.MonotonicNow()};
}

// --- What others ask for: decided at once, let out with the next commit. ---

absl::StatusOr<AttachmentId> Subscription::Attach(const std::string& name,
                                                  const ConsumerLimits& limits,
                                                  bool include_raw_body,
                                                  std::shared_ptr<Receiver> receiver) {
  absl::MutexLock lock(&mu_);
  Schedule();
  if (!refusal_.ok()) return refusal_;
  const AttachmentId stream = ++last_stream_;
  if (!state_->Attach(stream, name, limits, include_raw_body)) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyConsumers,
        absl::StrCat("subscription ", name_, " has ", SubscriptionState::kMaxConsumers,
                     " consumers already, as many as one can have"));
  }
  streams_[stream] = {.receiver = std::move(receiver), .include_raw_body = include_raw_body};
  return stream;
}

void Subscription::SetLimits(AttachmentId stream, const ConsumerLimits& limits) {
  absl::MutexLock lock(&mu_);
  state_->SetLimits(stream, limits);
  Schedule();
}

void Subscription::Ready(AttachmentId stream) {
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.stopped) return;
  found->second.ready = true;
  Schedule();
}

void Subscription::StopDeliveries(AttachmentId stream) {
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  found->second.ready = false;
  found->second.stopped = true;
}

void Subscription::TellIfNone(AttachmentId stream, None none) {
  absl::MutexLock lock(&mu_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  found->second.none = std::move(none);
  Schedule();
}

void Subscription::Detach(AttachmentId stream, DeliveryCause why, bool keep_leases) {
  Stream last;  // What it holds is destroyed without the lock.
  bool was_last = false;
  {
    absl::MutexLock lock(&mu_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return;
    last = std::move(found->second);
    streams_.erase(found);
    state_->Detach(stream, why, keep_leases, Now(), random_);
    was_last = streams_.empty();
    if (was_last) {
      DiscardReadAhead();  // Nobody takes what is held for them.
      behind_ = false;
    }
    Schedule();
  }
  if (was_last) PrepareGauges();
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
    const Instant now = Now();
    for (const AckItem& item : items) outcomes.push_back(SettleOne(item, now));
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

// The id tells it from one that was created later under the same name.
std::string Subscription::EtagNow() const {
  return absl::StrCat(id_, "-", absl::Hex(control_.etag, absl::kZeroPad16));
}

absl::Status Subscription::MatchEtag(absl::string_view etag) const {
  const std::string current = EtagNow();
  if (etag.empty() || etag == current) return absl::OkStatus();
  absl::Status status = ErrorWithReason(
      absl::StatusCode::kAborted, reason::kEtagMismatch,
      absl::StrCat("subscription ", name_,
                   " was changed since this etag was read, and has the etag ", current,
                   ": read it again, and repeat the request with that etag if it is "
                   "still wanted. Nothing was changed"));
  SetMetadata(status, "etag", current);
  return status;
}

absl::Status Subscription::EtagMismatch() {
  absl::MutexLock lock(&mu_);
  return MatchEtag("-");
}

absl::StatusOr<int64_t> Subscription::CheckEtag(absl::string_view etag) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(MatchEtag(etag));
  return control_.etag;
}

// Random, so that a log that was put back to an older state does not come to the same etag with
// other settings.
void Subscription::NoteOperatorChange() {
  control_.etag = absl::Uniform<int64_t>(random_, 1, std::numeric_limits<int64_t>::max());
  control_changed_ = true;
}

void Subscription::Update(SettingsChange change, Done<Decided> done, absl::string_view etag) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Decided> {
    RETURN_IF_ERROR(MatchEtag(etag));
    ASSIGN_OR_RETURN(SubscriptionSettings settings, change(settings_->effective));
    std::string serialized = settings.effective.SerializeAsString();
    if (serialized == settings_->effective.SerializeAsString()) return Decided();
    NoteOperatorChange();
    new_settings_ = std::move(serialized);
    if (settings.filter.key() != settings_->filter.key()) {
      state_->NoteNewFilter(*new_settings_, Now());
    }
    settings_ = std::make_shared<const SubscriptionSettings>(std::move(settings));
    state_->SetPolicy(settings_->policy);
    DiscardReadAhead();
    return Decided();
  };
  Decide(decide, std::move(done));
}

void Subscription::Seek(Sequence position, Done<Decided> done, absl::string_view etag) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Decided> {
    RETURN_IF_ERROR(MatchEtag(etag));
    if (!state_->MovesBySeek(position)) return Decided();
    NoteOperatorChange();
    state_->Seek(position, Now());
    DiscardReadAhead();
    return Decided();
  };
  Decide(decide, std::move(done));
}

void Subscription::Pause(Done<Decided> done, absl::string_view etag) {
  SetPaused(true, std::move(done), etag);
}

void Subscription::Resume(Done<Decided> done, absl::string_view etag) {
  SetPaused(false, std::move(done), etag);
}

// What was assigned before goes out with the commit before the one that answers, or with that one,
// before its answers: nothing is handed out after the answer.
void Subscription::SetPaused(bool paused, Done<Decided> done, absl::string_view etag) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Decided> {
    RETURN_IF_ERROR(MatchEtag(etag));
    if (control_.pause_time.has_value() == paused) return Decided();
    NoteOperatorChange();
    control_.pause_time = absl::nullopt;
    if (paused) control_.pause_time = context_.clock.WallNow();
    state_->SetPaused(paused);
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
    for (const Sequence sequence : sequences) outcomes.push_back(state_->Discard(sequence, Now()));
    return outcomes;
  };
  Decide(decide, std::move(done));
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
          .consumers = state_->consumers(Now()),
          .pause_time = control_.pause_time,
          .etag = EtagNow()};
}

Sequence Subscription::position() {
  absl::MutexLock lock(&mu_);
  return state_->position();
}

hookgate::v1::EventFilter Subscription::filter() {
  absl::MutexLock lock(&mu_);
  return settings_->effective.filter();
}

absl::optional<absl::Time> Subscription::pause_time() {
  absl::MutexLock lock(&mu_);
  return control_.pause_time;
}

std::vector<SubscriptionCondition> Subscription::Conditions() {
  absl::MutexLock lock(&mu_);
  return state_->conditions();
}

SubscriptionPulse Subscription::TakePulse() {
  const Sequence head = context_.log.Position().head;
  absl::MutexLock lock(&mu_);
  SubscriptionPulse pulse = {
      .new_dead = {new_dead_.begin(), new_dead_.end()},
      .more_dead = std::exchange(more_dead_, 0),
      .dead_letters = dead_letters_,
      .lost = state_->lost(),
      .settled = settled_,
      .position = state_->position(),
      .oldest_unsettled = state_->oldest_unsettled(),
      .backlog = state_->unsettled() + std::max<int64_t>(head - state_->position(), 0),
      .settings = settings_};
  for (const ConsumerStatus& consumer : state_->consumers(Now())) {
    if (consumer.streams > 0) ++pulse.consumers;
  }
  new_dead_.clear();
  return pulse;
}

void Subscription::NotePulse(const Batch& batch) {
  settled_ += batch.settled;
  for (const SubscriptionPulse::Dead& dead : batch.new_dead) {
    new_dead_.push_back(dead);
    if (new_dead_.size() <= kMaxNewDead) continue;
    new_dead_.pop_front();
    ++more_dead_;
  }
}

absl::StatusOr<std::vector<DeadEvent>> Subscription::DeadLetters(Sequence after, size_t max) {
  return context_.store.LoadDeadLetters(id_, after, max);
}

DeliveryExplanation Subscription::Explain(Sequence sequence, const StoredEvent* event,
                                          const StoredExplanation& stored) {
  std::shared_ptr<const SubscriptionSettings> settings;
  Sequence position = 0;
  absl::optional<UnsettledPlace> place;
  {
    absl::MutexLock lock(&mu_);
    settings = settings_;
    position = state_->position();
    place = state_->PlaceOf(sequence, Now());
  }
  return ExplainDelivery({.sequence = sequence,
                          .event = event,
                          .stored = stored,
                          .position = position,
                          .filter = settings->filter,
                          .place = std::move(place)});
}

absl::StatusOr<DeliveryExplanation> Subscription::Explain(Sequence sequence,
                                                          const StoredEvent* event) {
  ASSIGN_OR_RETURN(const std::vector<StoredExplanation> stored,
                   context_.store.ExplainEvent(sequence, {id_}));
  return Explain(sequence, event, stored.front());
}

absl::StatusOr<DeliveryPage> Subscription::ListDeliveries(const DeliveryQuery& query) {
  const auto wants = [&query](std::initializer_list<DeliveryState> states) {
    return query.states.empty() ||
           std::any_of(states.begin(), states.end(),
                       [&](DeliveryState state) { return query.states.contains(state); });
  };
  using enum DeliveryState;
  ASSIGN_OR_RETURN(
      const DeliveryScanPage scanned,
      context_.store.ScanDeliveries(id_, {.newest_first = query.newest_first,
                                          .after = query.after,
                                          .unsettled = wants({kLeased, kWaiting}),
                                          .dead = wants({kDead}),
                                          .history = wants({kAcked, kDiscarded, kLost, kSkipped}),
                                          .max_events = kMaxListed}));
  std::vector<absl::optional<UnsettledPlace>> places;
  places.reserve(scanned.deliveries.size());
  {
    absl::MutexLock lock(&mu_);
    const Instant now = Now();
    for (const StoredDelivery& stored : scanned.deliveries) {
      places.push_back(stored.unsettled.has_value() ? state_->PlaceOf(stored.sequence, now)
                                                    : absl::nullopt);
    }
  }
  DeliveryPage page;
  page.next = scanned.next;
  for (size_t i = 0; i < scanned.deliveries.size(); ++i) {
    const StoredDelivery& stored = scanned.deliveries[i];
    DeliveryExplanation explanation = DescribeDelivery(stored, places[i]);
    // One whose attempts a seek has made void comes again, or was skipped with many others.
    if (explanation.state == kNotRemembered || !wants({explanation.state}) ||
        !absl::StrContains(explanation.reason, query.reason_contains) ||
        (!query.consumer.empty() && explanation.consumer != query.consumer)) {
      continue;
    }
    if (page.deliveries.size() == query.max_events) {
      page.next = page.deliveries.back().sequence;
      break;
    }
    page.deliveries.push_back({stored.sequence, std::move(explanation)});
  }
  return page;
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
  if (!oldest.has_value() && position < head) oldest = ReceiveTimeOf(position + 1);
  if (oldest.has_value()) {
    backlog.oldest_unacked_age = std::max(context_.clock.WallNow() - *oldest, absl::ZeroDuration());
  }
  return backlog;
}

// As far as it is known without the disk; otherwise it is looked up for the next time. Of one whose
// filter admits little, the position moves on meanwhile: then the event before it says about when.
absl::optional<absl::Time> Subscription::ReceiveTimeOf(Sequence sequence) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
  if (slice.has_value() && !slice->events.empty()) return slice->events.front()->receive_time;
  bool look_up = false;
  absl::optional<absl::Time> known;
  {
    absl::MutexLock lock(&mu_);
    known = KnownReceiveTime(sequence, look_up);
  }
  if (look_up) PostLookUp(sequence);
  return known;
}

absl::optional<absl::Time> Subscription::KnownReceiveTime(Sequence sequence, bool& look_up) {
  const Held* const next = FindHeld(sequence, /*include_raw_body=*/false);
  if (next != nullptr) return next->event->receive_time;
  if (oldest_.sequence == sequence) return oldest_.time;
  if (scanned_.sequence == sequence - 1 && (reading_ || behind_)) return scanned_.time;
  if (looking_up_ || closed_) return absl::nullopt;
  looking_up_ = true;
  look_up = true;
  return absl::nullopt;
}

void Subscription::PostLookUp(Sequence sequence) {
  context_.reads.Post(
      [self = shared_from_this(), sequence](ReadQueue::Ticket) { self->LookUpOldest(sequence); });
}

void Subscription::LookUpOldest(Sequence sequence) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
  if (slice.has_value() && !slice->events.empty()) {
    absl::MutexLock lock(&mu_);
    looking_up_ = false;
    oldest_ = {slice->events.front()->sequence, slice->events.front()->receive_time};
    return;
  }
  const absl::StatusOr<EventPage> page = context_.log.Read(
      sequence - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  absl::MutexLock lock(&mu_);
  looking_up_ = false;
  if (!page.ok() || page->events.empty()) return;
  oldest_ = {page->events.front()->sequence, page->events.front()->receive_time};
}

Backlog Subscription::ReadBacklog() {
  Backlog backlog = GetBacklog();
  if (backlog.oldest_unacked_age.has_value() || backlog.events == 0) return backlog;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    next = state_->position() + 1;
  }
  const absl::StatusOr<EventPage> page = context_.log.Read(
      next - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  if (page.ok() && !page->events.empty()) {
    backlog.oldest_unacked_age = std::max(
        context_.clock.WallNow() - page->events.front()->receive_time, absl::ZeroDuration());
  }
  return backlog;
}

absl::optional<SubscriptionGauges> Subscription::GetGauges(Sequence head) {
  SubscriptionGauges gauges;
  absl::optional<absl::Time> oldest;
  bool look_up = false;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    if (metrics_ == nullptr) return absl::nullopt;
    next = state_->position() + 1;
    const int64_t beyond = std::max<int64_t>(head - state_->position(), 0);
    gauges.backlog = state_->unsettled() + beyond;
    gauges.in_flight = state_->in_flight();
    gauges.awaiting_redelivery = state_->waiting();
    gauges.dead_letters = dead_letters_;
    gauges.consumers = state_->open_consumers();
    gauges.paused = control_.pause_time.has_value();
    oldest = state_->oldest_receive_time();
    if (!oldest.has_value() && beyond > 0) oldest = KnownReceiveTime(next, look_up);
  }
  if (look_up) PostLookUp(next);
  if (oldest.has_value()) {
    gauges.oldest_unacked_age = std::max(context_.clock.WallNow() - *oldest, absl::ZeroDuration());
  }
  return gauges;
}

void Subscription::PrepareGauges() {
  const Sequence head = context_.log.Position().head;
  bool look_up = false;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    next = state_->position() + 1;
    if (metrics_ == nullptr || next > head || state_->oldest_receive_time().has_value()) return;
    KnownReceiveTime(next, look_up);
  }
  if (look_up) PostLookUp(next);
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
  QueueForTurn();
}

size_t Subscription::MaxBatchEvents() const {
  return std::min(kMaxBatchEvents, context_.store.EventsPerWrite());
}

void Subscription::QueueForTurn() {
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
    ticket_ = {};
    metrics_.reset();
  }
  context_.watch.Forget(this);
  for (const auto& receiver : receivers) receiver->OnEnd(status);
  for (Answer& answer : answers) std::move(answer)(status);
}

void Subscription::WaitUntilIdle() {
  const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return !turn_taken_ && !reading_ && !looking_up_ && !job_reading_;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&idle));
}

// --- The turn. ---

void Subscription::Advance() {
  bool in_order = false;
  {
    absl::MutexLock lock(&mu_);
    in_order = refusal_.ok();
  }
  if (!in_order) {
    context_.reads.Post([self = shared_from_this()](ReadQueue::Ticket) { self->Reload(); });
    return;
  }
  ExpireAndTrim();
  ContinueJob();
  ReadOn();
  std::vector<Delivery> deliveries = TakeDeliveries();
  TellWhoGetsNone();
  if (Commit(std::move(deliveries))) return;  // The turn goes on in OnCommitted.
  if (!Rest()) QueueForTurn();
}

// After a failed commit: back to what is stored, as soon as that can be read. Until then nothing is
// decided or written: the state holds what the store does not know of.
void Subscription::Reload() {
  if (LoadStored()) {
    QueueForTurn();
  } else {
    EndTurn();
  }
}

bool Subscription::LoadStored() {
  {
    absl::MutexLock lock(&mu_);
    if (closed_) return false;
  }
  const absl::StatusOr<StoredSubscription> stored = context_.store.LoadSubscription(id_);
  absl::StatusOr<SubscriptionSettings> settings =
      stored.ok() ? StoredSettings(*stored) : stored.status();
  absl::StatusOr<BulkJobs> jobs = stored.ok() ? BulkJobs::Load(stored->jobs) : stored.status();
  absl::MutexLock lock(&mu_);
  if (closed_ || !settings.ok() || !jobs.ok()) return false;
  settings_ = std::make_shared<const SubscriptionSettings>(*std::move(settings));
  state_ = std::make_unique<SubscriptionState>(*stored, settings_->policy, Now(), context_.bounds);
  control_ = stored->control;
  jobs_ = *std::move(jobs);
  told_jobs_ = jobs_;
  dead_letters_ = state_->dead_letters();
  refusal_ = absl::OkStatus();
  return true;
}

// Until somebody wants to attach, or asks for something.
void Subscription::EndTurn() {
  absl::MutexLock lock(&mu_);
  turn_taken_ = false;
  woken_ = false;
}

void Subscription::ExpireAndTrim() {
  const Sequence earliest = context_.log.Position().earliest;
  Loss lost;
  {
    absl::MutexLock lock(&mu_);
    woken_ = false;
    for (auto& [id, stream] : streams_) stream.is_seen = stream.none != nullptr;
    state_->Tick(Now(), random_);
    lost = state_->DropBefore(earliest, settings_->filter.admits_all(), Now());
    if (lost.events > 0) DiscardReadAhead();
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

// Has what comes next at hand, as far as memory has it; otherwise it is read meanwhile, and another
// turn goes on with it.
void Subscription::ReadOn() {
  absl::optional<ReadRequest> request = NextRead();
  if (!request.has_value() || ReadFromTail(*request)) return;
  {
    absl::MutexLock lock(&mu_);
    if (closed_) return;
    reading_ = true;
    if (request->wanted.sequences.empty()) behind_ = true;
  }
  context_.reads.Post(
      [self = shared_from_this(), request = *std::move(request)](ReadQueue::Ticket ticket) mutable {
        self->ReadFromLog(request, std::move(ticket));
      });
}

absl::optional<Subscription::ReadRequest> Subscription::NextRead() {
  absl::MutexLock lock(&mu_);
  const Instant now = Now();
  if (reading_ || now.monotonic < retry_at_) return absl::nullopt;
  const std::vector<AttachmentId> ready = ReadyStreams();
  const auto size_of = [this](Sequence sequence, bool include_raw_body) ABSL_SHARED_LOCKS_REQUIRED(
                           mu_) { return SizeOfHeld(sequence, include_raw_body); };
  ReadRequest request{.generation = generation_, .settings = settings_};
  request.wanted = state_->Wanted(ready, kMaxWanted, now, size_of);
  for (const Sequence sequence : request.wanted.sequences) {
    if (state_->HasStoredReason(sequence)) request.reasons.insert(sequence);
  }
  if (!request.wanted.sequences.empty()) return request;
  if (!state_->WantsOffers(ready)) return absl::nullopt;
  request.after = state_->offered_to();
  request.include_raw_body = state_->WantsRawBodies(ready).value_or(false);
  return request;
}

bool Subscription::ReadFromTail(const ReadRequest& request) {
  int64_t bytes = 0;
  if (!request.wanted.sequences.empty()) {
    HeldEvents held;
    for (const Sequence sequence : request.wanted.sequences) {
      if (bytes >= kMaxBatchBytes || request.reasons.contains(sequence)) break;
      const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
      if (!slice.has_value() || slice->events.empty()) break;
      bytes += BytesInMemory(*slice->events.front());
      held[sequence] = {slice->events.front(), /*has_raw_body=*/true};
    }
    if (held.empty()) return false;
    absl::MutexLock lock(&mu_);
    if (request.generation == generation_) KeepWanted(std::move(held));
    return true;
  }
  const absl::optional<Tail::Slice> slice = context_.tail.Read(request.after, MaxBatchEvents());
  if (!slice.has_value()) return false;
  Page page{.has_raw_bodies = true};
  page.page.scanned_to = request.after;
  for (const StoredEventPtr& event : slice->events) {
    if (bytes >= kMaxBatchBytes) break;
    page.page.scanned_to = event->sequence;
    page.last = {event->sequence, event->receive_time};
    if (!request.settings->filter.Matches(*event)) continue;
    bytes += BytesInMemory(*event);
    page.page.events.push_back(event);
  }
  absl::MutexLock lock(&mu_);
  behind_ = false;
  if (request.generation == generation_) Offer(request, page);
  return true;
}

void Subscription::ReadFromLog(const ReadRequest& request, ReadQueue::Ticket ticket) {
  absl::StatusOr<Page> page = Page();
  absl::StatusOr<HeldEvents> held = HeldEvents();
  if (request.wanted.sequences.empty()) {
    page = ReadPage(request);
  } else {
    held = ReadWanted(request);
  }
  const absl::Status status = page.ok() ? held.status() : page.status();
  if (!status.ok() && !absl::IsOutOfRange(status)) {
    Log(Severity::kWarning, "a subscription could not read the log; trying again",
        {{"subscription", name_}, {"error", status.ToString()}});
  }
  absl::MutexLock lock(&mu_);
  reading_ = false;
  Schedule();
  if (request.generation != generation_ || closed_) return;  // Something else is wanted by now.
  if (!status.ok()) {
    retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
  } else if (request.wanted.sequences.empty()) {
    Offer(request, *page);
    ticket_ = std::move(ticket);
  } else {
    KeepWanted(*std::move(held));
    ticket_ = std::move(ticket);
  }
}

absl::StatusOr<Subscription::Page> Subscription::ReadPage(const ReadRequest& request) {
  Page page{.has_raw_bodies = request.include_raw_body};
  const auto matches = [&](const StoredEvent& event) {
    page.last = {event.sequence, event.receive_time};
    return request.settings->filter.Matches(event);
  };
  ASSIGN_OR_RETURN(page.page,
                   context_.log.Read(request.after, matches,
                                     {.max_events = static_cast<int64_t>(MaxBatchEvents()),
                                      .max_bytes = kMaxBatchBytes,
                                      .max_scanned = kMaxScanned,
                                      .include_raw_body = request.include_raw_body}));
  return page;
}

// Those that are close to each other by one read; as many as fit into a batch, and the first
// whatever its size. OUT_OF_RANGE if retention has just removed the first.
absl::StatusOr<Subscription::HeldEvents> Subscription::ReadWanted(const ReadRequest& request) {
  const WantedEvents& wanted = request.wanted;
  const std::set<Sequence> all(wanted.sequences.begin(), wanted.sequences.end());
  const auto is_wanted = [&all](const StoredEvent& event) { return all.contains(event.sequence); };
  HeldEvents held;
  int64_t bytes = 0;
  for (const Sequence sequence : wanted.sequences) {
    if (bytes >= kMaxBatchBytes) break;
    if (held.contains(sequence)) continue;
    const absl::StatusOr<EventPage> page =
        context_.log.Read(sequence - 1, is_wanted,
                          {.max_events = static_cast<int64_t>(kMaxWanted),
                           .max_bytes = kMaxBatchBytes - bytes,
                           .max_scanned = kMaxGap,
                           .include_raw_body = wanted.include_raw_body});
    if (!page.ok() && held.empty()) return page.status();
    if (!page.ok()) break;
    for (const StoredEventPtr& event : page->events) {
      bytes += BytesInMemory(*event);
      held[event->sequence] = {event, wanted.include_raw_body};
    }
  }
  if (held.empty()) {
    return absl::DataLossError(
        absl::StrCat("event ", wanted.sequences.front(), " is not in the log"));
  }
  std::vector<Sequence> nacked;
  for (const auto& [sequence, event] : held) {
    if (request.reasons.contains(sequence)) nacked.push_back(sequence);
  }
  if (nacked.empty()) return held;
  ASSIGN_OR_RETURN(std::vector<std::string> reasons, context_.store.LoadNackReasons(id_, nacked));
  for (size_t i = 0; i < nacked.size(); ++i) held[nacked[i]].nack_reason = std::move(reasons[i]);
  return held;
}

// As many reads as there are kinds of events of which the first may have to wait for credit: none
// of these is read again and again while the first of another is read.
void Subscription::KeepWanted(HeldEvents held) {
  constexpr size_t kKinds = 3;
  wanted_.push_front(std::move(held));
  if (wanted_.size() > kKinds) wanted_.pop_back();
}

void Subscription::Offer(const ReadRequest& request, const Page& page) {
  std::vector<OfferedEvent> offers;
  offers.reserve(page.page.events.size());
  page_.clear();  // All of it was taken, or comes again as what was redriven.
  for (const StoredEventPtr& event : page.page.events) {
    offers.push_back({event->sequence, event->receive_time});
    page_[event->sequence] = {event, page.has_raw_bodies};
  }
  state_->Offer(offers, page.page.scanned_to);
  if (page.page.scanned_to > request.after) scanned_ = page.last;
}

const Subscription::Held* Subscription::FindHeld(Sequence sequence, bool include_raw_body) const {
  const bool needs_reason = state_->HasStoredReason(sequence);
  const auto find = [&](const HeldEvents& events) -> const Held* {
    const auto found = events.find(sequence);
    if (found == events.end()) return nullptr;
    const Held& held = found->second;
    if (include_raw_body && !held.has_raw_body) return nullptr;
    return needs_reason && !held.nack_reason.has_value() ? nullptr : &held;
  };
  for (const HeldEvents& events : wanted_) {
    const Held* const held = find(events);
    if (held != nullptr) return held;
  }
  return find(page_);
}

absl::optional<int64_t> Subscription::SizeOfHeld(Sequence sequence, bool include_raw_body) const {
  const Held* const held = FindHeld(sequence, include_raw_body);
  if (held == nullptr) return absl::nullopt;
  const StoredEvent& event = *held->event;
  return static_cast<int64_t>(event.envelope.size() +
                              (include_raw_body ? event.raw_body.size() : 0));
}

bool Subscription::WantsRead(absl::Span<const AttachmentId> ready) const {
  const auto size_of = [this](Sequence sequence, bool include_raw_body) ABSL_SHARED_LOCKS_REQUIRED(
                           mu_) { return SizeOfHeld(sequence, include_raw_body); };
  return !state_->Wanted(ready, 1, assigned_at_, size_of).sequences.empty() ||
         (state_->WantsOffers(ready) && state_->offered_to() < context_.tail.extent().head);
}

// What is given to a stream is not taken from it before it is Ready again.
std::vector<Delivery> Subscription::TakeDeliveries() {
  std::vector<Delivery> deliveries;
  absl::MutexLock lock(&mu_);
  assigned_at_ = Now();
  const auto size_of = [this](Sequence sequence, bool include_raw_body) ABSL_SHARED_LOCKS_REQUIRED(
                           mu_) { return SizeOfHeld(sequence, include_raw_body); };
  std::vector<Lease> leases =
      state_->Assign(ReadyStreams(), MaxBatchEvents(), kMaxBatchBytes, assigned_at_, size_of);
  deliveries.reserve(leases.size());
  for (Lease& lease : leases) {
    Stream& stream = streams_[lease.stream];
    stream.ready = false;
    const Sequence sequence = lease.id.sequence;
    const Held* const held = FindHeld(sequence, stream.include_raw_body);
    if (lease.reason_is_stored) lease.nack_reason = *held->nack_reason;
    deliveries.push_back({std::move(lease), held->event});
    page_.erase(sequence);
    for (HeldEvents& events : wanted_) events.erase(sequence);
  }
  return deliveries;
}

// Those who asked, and for whom this turn has found nothing: what is there has been looked at to
// the end, or they could not take it.
void Subscription::TellWhoGetsNone() {
  std::vector<std::pair<None, absl::Status>> told;
  {
    absl::MutexLock lock(&mu_);
    const bool unreadable = assigned_at_.monotonic < retry_at_;
    for (auto& [id, stream] : streams_) {
      if (!stream.is_seen || !stream.ready) continue;
      const bool has_credit = state_->WantsRawBodies({id}).has_value();
      if (has_credit && !unreadable && (reading_ || WantsRead({id}))) continue;
      absl::Status status;
      if (has_credit && unreadable) {
        status = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable,
                                 "the log cannot be read now: try again in a moment");
      }
      told.emplace_back(std::exchange(stream.none, nullptr), std::move(status));
      stream.is_seen = false;
    }
  }
  for (auto& [none, status] : told) std::move(none)(status);
}

bool Subscription::Commit(std::vector<Delivery> deliveries) {
  Batch batch;
  batch.deliveries = std::move(deliveries);
  auto changes = std::make_unique<SubscriptionChanges>();
  {
    absl::MutexLock lock(&mu_);
    *changes = state_->TakeChanges();
    batch.counts = state_->TakeCounts();
    changes->settings = std::exchange(new_settings_, absl::nullopt);
    if (std::exchange(control_changed_, false)) changes->control = control_;
    if (jobs_.has_changes()) batch.jobs = jobs_;
    jobs_.TakeChanges(*changes);
    batch.answers = std::exchange(answers_, {});
    batch.extensions = std::exchange(extensions_, {});
    batch.dead_letters = state_->dead_letters();
    batch.settled =
        static_cast<int64_t>(changes->settled.size()) + (changes->forget_unsettled ? 1 : 0);
    for (const DeadEvent& dead : changes->dead) {
      batch.new_dead.push_back({dead.sequence, dead.cause, dead.dead_letter_time});
    }
    batch.ticket = std::exchange(ticket_, {});
    if (!changes->empty()) batch_ = std::exchange(batch, {});
  }
  if (changes->empty()) {
    ReleaseCommitted(std::move(batch));  // What it says is durable already.
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
    ReleaseCommitted(std::move(batch));
    if (Rest()) return;
  } else {
    ResetAfterFailedCommit(status, std::move(batch));
  }
  QueueForTurn();
}

void Subscription::ReleaseCommitted(Batch batch) {
  std::map<AttachmentId, std::pair<std::shared_ptr<Receiver>, std::vector<Delivery>>> by_stream;
  std::shared_ptr<SubscriptionMetrics> metrics;
  const Instant now = Now();
  {
    absl::MutexLock lock(&mu_);
    metrics = metrics_;
    dead_letters_ = batch.dead_letters;
    if (batch.jobs.has_value()) told_jobs_ = *std::move(batch.jobs);
    NotePulse(batch);
    for (const Extension& extension : batch.extensions) {
      state_->Extend(extension.id, extension.deadline, now);
    }
    for (Delivery& delivery : batch.deliveries) {
      const auto stream = streams_.find(delivery.lease.stream);
      if (stream == streams_.end()) continue;  // Detach has given it back.
      if (stream->second.stopped) {
        state_->ReturnLease(delivery.lease.id, now);
        woken_ = true;
        continue;
      }
      const absl::optional<absl::Time> expire_time = state_->HandOut(delivery.lease.id, now);
      if (!expire_time.has_value()) {  // A seek came in between.
        stream->second.ready = true;   // Unless there is something else for it.
        woken_ = true;
        continue;
      }
      delivery.lease.expire_time = *expire_time;
      auto& [receiver, deliveries] = by_stream[delivery.lease.stream];
      if (receiver == nullptr) {
        receiver = stream->second.receiver;
        deliveries.reserve(batch.deliveries.size());
      }
      deliveries.push_back(std::move(delivery));
    }
    for (const auto& [stream, out] : by_stream) streams_[stream].ready = false;
  }
  if (metrics != nullptr) metrics->Count(batch.counts, now.wall);
  WakeBatch wakes;  // Deliveries and results of acks go to the same streams.
  for (auto& [stream, out] : by_stream) out.first->OnDeliveries(std::move(out.second));
  for (Answer& answer : batch.answers) std::move(answer)(absl::OkStatus());
}

// What was decided since the last commit is void, in part or, after a failed sync, perhaps: nobody
// may hear of it, and nobody may go on from it.
void Subscription::ResetAfterFailedCommit(const absl::Status& why, Batch batch) {
  std::vector<std::shared_ptr<Receiver>> receivers;
  {
    absl::MutexLock lock(&mu_);
    if (!closed_) refusal_ = why;
    receivers = TakeReceivers();
    std::move(answers_.begin(), answers_.end(), std::back_inserter(batch.answers));
    answers_.clear();
    extensions_.clear();
    new_settings_.reset();
    control_changed_ = false;
    job_retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
    ticket_ = {};
    DiscardReadAhead();
  }
  Log(Severity::kWarning, "the state of a subscription could not be stored; its streams are ended",
      {{"subscription", name_}, {"receivers", receivers.size()}, {"error", why.ToString()}});
  for (const auto& receiver : receivers) receiver->OnEnd(why);
  for (Answer& answer : batch.answers) std::move(answer)(why);
}

bool Subscription::Rest() {
  Sequence seen = HeadWatch::kTimerOnly;
  absl::Duration deadline = absl::InfiniteDuration();
  {
    absl::MutexLock lock(&mu_);
    if (closed_) {
      turn_taken_ = false;
      return true;
    }
    if (woken_ || JobIsDue()) return false;
    // What has become due since then was not assigned, and must not be waited for in vain.
    deadline = state_->NextTick(assigned_at_);
    if (jobs_.running() != nullptr && context_.clock.MonotonicNow() < job_retry_at_) {
      deadline = std::min(deadline, job_retry_at_);
    }
    if (assigned_at_.monotonic < retry_at_) {
      deadline = std::min(deadline, retry_at_);
    } else if (!reading_) {  // What is being read wakes it.
      const std::vector<AttachmentId> ready = ReadyStreams();
      if (WantsRead(ready)) return false;
      if (state_->WantsOffers(ready)) seen = state_->offered_to();
    }
  }
  const bool waits = seen != HeadWatch::kTimerOnly || deadline != absl::InfiniteDuration();
  if (waits && !context_.watch.Await(seen, deadline, shared_from_this())) return false;
  absl::MutexLock lock(&mu_);
  if (woken_ && !closed_) return false;
  turn_taken_ = false;
  return true;
}

std::vector<AttachmentId> Subscription::ReadyStreams() const {
  std::vector<AttachmentId> ready;
  for (const auto& [id, stream] : streams_) {
    if (stream.ready) ready.push_back(id);
  }
  return ready;
}

// What was read and not taken may not be what is wanted next.
void Subscription::DiscardReadAhead() {
  state_->ForgetOffers();
  page_.clear();
  wanted_.clear();
  ++generation_;
}

std::vector<std::shared_ptr<Receiver>> Subscription::TakeReceivers() {
  std::vector<std::shared_ptr<Receiver>> receivers;
  for (auto& [id, stream] : streams_) receivers.push_back(std::move(stream.receiver));
  streams_.clear();
  return receivers;
}

}  // namespace hookgate
