#include "server/delivery/subscription.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/base/wake_batch.h"

namespace hookgate {
namespace {

// Between two warnings about the same subscription that takes nothing more.
constexpr absl::Duration kWarnEvery = absl::Minutes(1);

// After the log could not be read; and before a job goes on after it could not be written.
constexpr absl::Duration kReadRetry = absl::Seconds(1);

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
  const auto damaged = [&stored](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("the settings of subscription ", stored.name, " cannot be read", what));
  };
  if (!proto.ParseFromString(stored.settings)) return damaged("");
  absl::StatusOr<SubscriptionSettings> settings =
      SubscriptionSettings::FromProto(proto, "settings");
  if (!settings.ok()) return damaged(absl::StrCat(": ", settings.status().message()));
  return settings;
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
  std::shared_ptr<Subscription> subscription(new Subscription(
      stored, std::move(settings), BulkJobs::Load(stored.name, stored.jobs), context));
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
      feed_(stored.id, context.tail, context.log, context.store),
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

void Subscription::StorePosition(Done<Decided> done) {
  const auto decide = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) -> absl::StatusOr<Decided> {
    state_->StorePosition();
    return Decided();
  };
  Decide(decide, std::move(done));
}

// --- What others ask. ---

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
  if (!settings.ok()) return false;
  BulkJobs jobs = BulkJobs::Load(stored->name, stored->jobs);
  absl::MutexLock lock(&mu_);
  if (closed_) return false;
  settings_ = std::make_shared<const SubscriptionSettings>(*std::move(settings));
  state_ = std::make_unique<SubscriptionState>(*stored, settings_->policy, Now(), context_.bounds);
  control_ = stored->control;
  jobs_ = std::move(jobs);
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
  absl::optional<FeedRequest> request = NextRead();
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

absl::optional<FeedRequest> Subscription::NextRead() {
  absl::MutexLock lock(&mu_);
  const Instant now = Now();
  if (reading_ || now.monotonic < retry_at_) return absl::nullopt;
  const std::vector<AttachmentId> ready = ReadyStreams();
  const auto size_of = [this](Sequence sequence, bool include_raw_body) ABSL_SHARED_LOCKS_REQUIRED(
                           mu_) { return SizeOfHeld(sequence, include_raw_body); };
  FeedRequest request{.generation = read_ahead_.generation(), .settings = settings_};
  request.wanted = state_->Wanted(ready, EventFeed::kMaxWanted, now, size_of);
  for (const Sequence sequence : request.wanted.sequences) {
    if (state_->HasStoredReason(sequence)) request.reasons.insert(sequence);
  }
  if (!request.wanted.sequences.empty()) return request;
  if (!state_->WantsOffers(ready)) return absl::nullopt;
  request.after = state_->offered_to();
  request.include_raw_body = state_->WantsRawBodies(ready).value_or(false);
  return request;
}

bool Subscription::ReadFromTail(const FeedRequest& request) {
  if (!request.wanted.sequences.empty()) {
    absl::optional<HeldEvents> held = feed_.TakeWanted(request);
    if (!held.has_value()) return false;
    absl::MutexLock lock(&mu_);
    if (request.generation == read_ahead_.generation()) read_ahead_.KeepWanted(*std::move(held));
    return true;
  }
  const absl::optional<FeedPage> page = feed_.TakePage(request);
  if (!page.has_value()) return false;
  absl::MutexLock lock(&mu_);
  behind_ = false;
  if (request.generation == read_ahead_.generation()) Offer(request, *page);
  return true;
}

void Subscription::ReadFromLog(const FeedRequest& request, ReadQueue::Ticket ticket) {
  absl::StatusOr<FeedPage> page = FeedPage();
  absl::StatusOr<HeldEvents> held = HeldEvents();
  if (request.wanted.sequences.empty()) {
    page = feed_.ReadPage(request);
  } else {
    held = feed_.ReadWanted(request);
  }
  const absl::Status status = page.ok() ? held.status() : page.status();
  if (!status.ok() && !absl::IsOutOfRange(status)) {
    Log(Severity::kWarning, "a subscription could not read the log; trying again",
        {{"subscription", name_}, {"error", status.ToString()}});
  }
  absl::MutexLock lock(&mu_);
  reading_ = false;
  Schedule();
  if (request.generation != read_ahead_.generation() || closed_)
    return;  // Something else is wanted by now.
  if (!status.ok()) {
    retry_at_ = context_.clock.MonotonicNow() + kReadRetry;
  } else if (request.wanted.sequences.empty()) {
    Offer(request, *page);
    ticket_ = std::move(ticket);
  } else {
    read_ahead_.KeepWanted(*std::move(held));
    ticket_ = std::move(ticket);
  }
}

void Subscription::Offer(const FeedRequest& request, const FeedPage& page) {
  std::vector<OfferedEvent> offers;
  offers.reserve(page.page.events.size());
  for (const StoredEventPtr& event : page.page.events) {
    offers.push_back({event->sequence, event->receive_time});
  }
  read_ahead_.KeepPage(page.page.events, page.has_raw_bodies);
  state_->Offer(offers, page.page.scanned_to);
  if (page.page.scanned_to > request.after) scanned_ = page.last;
}

const HeldEvent* Subscription::FindHeld(Sequence sequence, bool include_raw_body) const {
  return read_ahead_.Find(sequence, include_raw_body, state_->HasStoredReason(sequence));
}

absl::optional<int64_t> Subscription::SizeOfHeld(Sequence sequence, bool include_raw_body) const {
  const HeldEvent* const held = FindHeld(sequence, include_raw_body);
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
  std::vector<Lease> leases = state_->Assign(ReadyStreams(), feed_.MaxEvents(),
                                             EventFeed::kMaxBytes, assigned_at_, size_of);
  deliveries.reserve(leases.size());
  for (Lease& lease : leases) {
    Stream& stream = streams_[lease.stream];
    stream.ready = false;
    const Sequence sequence = lease.id.sequence;
    const HeldEvent* const held = FindHeld(sequence, stream.include_raw_body);
    if (lease.reason_is_stored) lease.nack_reason = *held->nack_reason;
    deliveries.push_back({std::move(lease), held->event});
    read_ahead_.Take(sequence);
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
    // With what is written anyway.
    if (control_changed_ || new_settings_.has_value()) state_->StorePosition();
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
  read_ahead_.Discard();
}

std::vector<std::shared_ptr<Receiver>> Subscription::TakeReceivers() {
  std::vector<std::shared_ptr<Receiver>> receivers;
  for (auto& [id, stream] : streams_) receivers.push_back(std::move(stream.receiver));
  streams_.clear();
  return receivers;
}

}  // namespace hookgate
