#include "server/rpc/subscription_calls.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/bulk_job.h"
#include "server/delivery/event_encoding.h"
#include "server/rpc/delivery_messages.h"
#include "server/rpc/get_without_body.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_token.h"
#include "server/rpc/settings_mask.h"
#include "server/rpc/subscription_messages.h"

namespace hookgate {
namespace {

constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;
constexpr int kMaxSequences = 1000;

using hookgate::v1::RedeliverEventsResponse;
using hookgate::v1::RedriveDeadLettersResponse;

absl::StatusOr<size_t> PageSize(int32_t wanted) {
  if (wanted < 0) return InvalidField("page_size", "is negative; 0 is the default");
  return static_cast<size_t>(wanted == 0 ? kDefaultPageSize : std::min(wanted, kMaxPageSize));
}

// Either sequences, or a selection. `what` is one of them.
template <typename Request>
absl::Status CheckWhich(const Request& request, absl::string_view what) {
  const int count = request.sequences_size();
  if (request.has_selection()) {
    if (count == 0) return absl::OkStatus();
    return InvalidField("selection", "is given beside sequences: give one of them");
  }
  if (count == 0) {
    return InvalidField("sequences",
                        absl::StrCat("is empty: name at least one ", what, ", or a selection"));
  }
  if (count > kMaxSequences) {
    return InvalidField("sequences",
                        absl::StrCat("has ", count, " entries; ask for ", kMaxSequences,
                                     " at most at a time, or for a selection"));
  }
  if (request.preview()) {
    return InvalidField("preview", "is given with sequences: it is for a selection");
  }
  return absl::OkStatus();
}

// The page token apart.
absl::StatusOr<DeliveryQuery> DeliveryQueryOf(const v1::ListDeliveriesRequest& request) {
  DeliveryQuery query;
  for (int i = 0; i < request.states_size(); ++i) {
    switch (request.states(i)) {
      case v1::DELIVERY_STATE_SKIPPED:
      case v1::DELIVERY_STATE_LOST:
      case v1::DELIVERY_STATE_LEASED:
      case v1::DELIVERY_STATE_WAITING:
      case v1::DELIVERY_STATE_ACKED:
      case v1::DELIVERY_STATE_DEAD_LETTERED:
      case v1::DELIVERY_STATE_DISCARDED:
        query.states.insert(static_cast<DeliveryState>(request.states(i)));
        break;
      default:
        return InvalidField(absl::StrCat("states[", i, "]"),
                            "is not a state of a delivered event: use SKIPPED, "
                            "LOST, LEASED, WAITING, ACKED, DEAD_LETTERED or DISCARDED; "
                            "EventService.ExplainEvent tells why an event was not delivered");
    }
  }
  if (request.reason_contains().size() > SubscriptionState::kMaxReasonBytes) {
    return InvalidField("reason_contains",
                        absl::StrCat("is longer than ", SubscriptionState::kMaxReasonBytes,
                                     " bytes, as long as a reason can be"));
  }
  if (!request.consumer().empty()) {
    RETURN_IF_ERROR(CheckConsumerName(request.consumer(), "consumer"));
  }
  query.reason_contains = request.reason_contains();
  query.consumer = request.consumer();
  switch (request.order()) {
    case v1::ORDER_UNSPECIFIED:
    case v1::ORDER_NEWEST_FIRST:
      query.newest_first = true;
      break;
    case v1::ORDER_OLDEST_FIRST:
      query.newest_first = false;
      break;
    default:
      return InvalidField("order", "is not an order that this gateway knows");
  }
  ASSIGN_OR_RETURN(query.max_events, PageSize(request.page_size()));
  return query;
}

using Finish = SubscriptionCalls::Finish;

// Calls `begin`, which takes `finish` along once it has begun something; with an error it has not,
// and the call ends with that.
void BeginOrFinish(Finish finish, absl::FunctionRef<absl::Status(Finish& finish)> begin) {
  const absl::Status begun = begin(finish);
  if (!begun.ok()) std::move(finish)(begun);
}

RedriveDeadLettersResponse::Outcome OutcomeOf(Subscription::RedriveOutcome outcome) {
  switch (outcome) {
    case Subscription::RedriveOutcome::kRedriven:
      return RedriveDeadLettersResponse::OUTCOME_REDRIVEN;
    case Subscription::RedriveOutcome::kNotFound:
      return RedriveDeadLettersResponse::OUTCOME_NOT_FOUND;
    case Subscription::RedriveOutcome::kEventRemoved:
      return RedriveDeadLettersResponse::OUTCOME_EVENT_REMOVED;
    case Subscription::RedriveOutcome::kTooMany:
      return RedriveDeadLettersResponse::OUTCOME_TOO_MANY_UNSETTLED;
  }
  return RedriveDeadLettersResponse::OUTCOME_UNSPECIFIED;
}

RedeliverEventsResponse::Outcome OutcomeOf(absl::optional<Subscription::RedeliverOutcome> outcome) {
  if (!outcome.has_value()) return RedeliverEventsResponse::OUTCOME_NOT_ADMITTED;
  switch (*outcome) {
    case Subscription::RedeliverOutcome::kRedelivered:
      return RedeliverEventsResponse::OUTCOME_REDELIVERED;
    case Subscription::RedeliverOutcome::kEventRemoved:
      return RedeliverEventsResponse::OUTCOME_EVENT_NOT_FOUND;
    case Subscription::RedeliverOutcome::kNotReached:
      return RedeliverEventsResponse::OUTCOME_NOT_REACHED;
    case Subscription::RedeliverOutcome::kUnsettled:
      return RedeliverEventsResponse::OUTCOME_UNSETTLED;
    case Subscription::RedeliverOutcome::kTooMany:
      return RedeliverEventsResponse::OUTCOME_TOO_MANY_UNSETTLED;
  }
  return RedeliverEventsResponse::OUTCOME_UNSPECIFIED;
}

// A job about dead letters.
template <typename Request>
hookgate::v1::Job LetterJob(const Request& request, hookgate::v1::Job::Kind kind) {
  hookgate::v1::Job job;
  job.set_kind(kind);
  *job.mutable_dead_letters() = request.selection();
  return job;
}

}  // namespace

void SubscriptionCalls::FinishWith(std::shared_ptr<Subscription> subscription,
                                   hookgate::v1::Subscription& response, Finish finish) {
  executor_.Post(
      [subscription = std::move(subscription), &response, finish = std::move(finish)]() mutable {
        response = Describe(*subscription);
        subscription.reset();
        std::move(finish)(absl::OkStatus());
      });
}

void SubscriptionCalls::Create(const hookgate::v1::CreateSubscriptionRequest& request,
                               hookgate::v1::CreateSubscriptionResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    RETURN_IF_ERROR(CheckNewSubscriptionName(request.name(), "name"));
    ASSIGN_OR_RETURN(const SubscriptionSettings settings,
                     SubscriptionSettings::FromProto(request.settings(), "settings"));
    ASSIGN_OR_RETURN(const Sequence position, ResolveStart(request.start(), "start", log_));
    subscriptions_.Create(request.name(), settings, position,
                          [this, &response, finish = std::move(finish)](
                              absl::StatusOr<std::shared_ptr<Subscription>> created) mutable {
                            if (!created.ok()) return std::move(finish)(created.status());
                            FinishWith(*std::move(created), *response.mutable_subscription(),
                                       std::move(finish));
                          });
    return absl::OkStatus();
  });
}

absl::Status SubscriptionCalls::Get(const hookgate::v1::GetSubscriptionRequest& request,
                                    hookgate::v1::GetSubscriptionResponse& response) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.name()));
  *response.mutable_subscription() = Describe(*subscription);
  return absl::OkStatus();
}

// The page token is the name behind which the next page begins.
absl::Status SubscriptionCalls::List(const hookgate::v1::ListSubscriptionsRequest& request,
                                     hookgate::v1::ListSubscriptionsResponse& response) {
  ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  if (!request.page_token().empty()) {
    RETURN_IF_ERROR(CheckSubscriptionName(request.page_token(), "page_token"));
  }
  RETURN_IF_ERROR(subscriptions_.CheckDecides());
  auto page = subscriptions_.List(request.page_token(), page_size + 1);
  if (page.size() > page_size) {
    page.resize(page_size);
    response.set_next_page_token(page.back()->name());
  }
  PageBytes bytes;
  for (const auto& subscription : page) {
    hookgate::v1::Subscription entry = Describe(*subscription);
    entry.clear_consumers();
    if (!bytes.Take(entry)) {
      response.set_next_page_token(response.subscriptions().rbegin()->name());
      break;
    }
    *response.add_subscriptions() = std::move(entry);
  }
  return absl::OkStatus();
}

void SubscriptionCalls::Update(const hookgate::v1::UpdateSubscriptionRequest& request,
                               hookgate::v1::UpdateSubscriptionResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    if (!request.has_settings()) {
      return InvalidField("settings",
                          "is missing: give all of them, as GetSubscription shows them");
    }
    const bool masked = request.has_update_mask();
    if (masked) RETURN_IF_ERROR(CheckSettingsMask(request.update_mask(), "update_mask"));
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.name()));
    const auto change = [&](const hookgate::v1::SubscriptionSettings& current) {
      return SubscriptionSettings::FromProto(
          masked ? MaskedSettings(current, request.settings(), request.update_mask())
                 : request.settings(),
          "settings");
    };
    subscription->Update(change,
                         ChangeDone(subscription, "subscription updated",
                                    *response.mutable_subscription(), std::move(finish)),
                         request.etag());
    return absl::OkStatus();
  });
}

Subscription::Done<Subscription::Decided> SubscriptionCalls::ChangeDone(
    std::shared_ptr<Subscription> subscription, absl::string_view what,
    hookgate::v1::Subscription& response, Finish finish) {
  return
      [this, subscription = std::move(subscription), what, &response,
       finish = std::move(finish)](const absl::StatusOr<Subscription::Decided>& changed) mutable {
        if (!changed.ok()) return std::move(finish)(changed.status());
        Log(Severity::kInfo, what, {{"subscription", subscription->name()}});
        FinishWith(std::move(subscription), response, std::move(finish));
      };
}

void SubscriptionCalls::Delete(const hookgate::v1::DeleteSubscriptionRequest& request,
                               hookgate::v1::DeleteSubscriptionResponse&, Finish finish) {
  subscriptions_.Delete(request.name(), std::move(finish), request.etag());
}

void SubscriptionCalls::Seek(const hookgate::v1::SeekSubscriptionRequest& request,
                             hookgate::v1::SeekSubscriptionResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.name()));
    ASSIGN_OR_RETURN(const Sequence position, ResolveStart(request.target(), "target", log_));
    subscription->Seek(
        position,
        [this, subscription, position, &response,
         finish = std::move(finish)](const absl::StatusOr<Subscription::Decided>& moved) mutable {
          if (!moved.ok()) return std::move(finish)(moved.status());
          Log(Severity::kInfo, "subscription moved by a seek",
              {{"subscription", subscription->name()}, {"after", position}});
          FinishWith(std::move(subscription), *response.mutable_subscription(), std::move(finish));
        },
        request.etag());
    return absl::OkStatus();
  });
}

void SubscriptionCalls::Pause(const hookgate::v1::PauseSubscriptionRequest& request,
                              hookgate::v1::PauseSubscriptionResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.name()));
    subscription->Pause(ChangeDone(subscription, "subscription paused",
                                   *response.mutable_subscription(), std::move(finish)),
                        request.etag());
    return absl::OkStatus();
  });
}

void SubscriptionCalls::Resume(const hookgate::v1::ResumeSubscriptionRequest& request,
                               hookgate::v1::ResumeSubscriptionResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.name()));
    subscription->Resume(ChangeDone(subscription, "subscription resumed",
                                    *response.mutable_subscription(), std::move(finish)),
                         request.etag());
    return absl::OkStatus();
  });
}

absl::Status SubscriptionCalls::ListDeliveries(const v1::ListDeliveriesRequest& request,
                                               v1::ListDeliveriesResponse& response) {
  ASSIGN_OR_RETURN(DeliveryQuery query, DeliveryQueryOf(request));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  // Another subscription of this name has other deliveries.
  const uint64_t fingerprint =
      ListFingerprint(absl::StrCat("deliveries ", subscription->id()), request);
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log_), fingerprint));
    query.after = token.after.sequence;
  }
  ASSIGN_OR_RETURN(DeliveryPage page, subscription->ListDeliveries(query));
  PageBytes bytes;
  Sequence last = 0;
  for (const ListedDelivery& delivery : page.deliveries) {
    v1::ListedDelivery entry;
    entry.set_sequence(delivery.sequence);
    *entry.mutable_delivery() = ToProto(delivery.explanation);
    ASSIGN_OR_RETURN(const StoredEventPtr event, GetWithoutBody(log_, delivery.sequence));
    if (event != nullptr) {
      entry.set_source(event->source);
      entry.set_type(event->type);
      entry.set_subject(event->subject);
      entry.set_webhook_id(event->webhook_id);
      *entry.mutable_receive_time() = ToProto(event->receive_time);
    }
    if (!bytes.Take(entry)) {
      page.next = last;
      break;
    }
    last = delivery.sequence;
    *response.add_deliveries() = std::move(entry);
  }
  if (page.next.has_value()) {
    response.set_next_page_token(
        FormatPageToken({.after = {.sequence = *page.next}}, PointOf(log_), fingerprint));
  }
  return absl::OkStatus();
}

absl::Status SubscriptionCalls::ListDeadLetters(const hookgate::v1::ListDeadLettersRequest& request,
                                                hookgate::v1::ListDeadLettersResponse& response) {
  ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  const uint64_t fingerprint =
      RequestFingerprint(absl::StrCat("dead letters ", subscription->id()));
  Sequence after = 0;
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log_), fingerprint));
    after = token.after.sequence;
  }
  ASSIGN_OR_RETURN(std::vector<DeadEvent> page, subscription->DeadLetters(after, page_size + 1));
  if (page.size() > page_size) {
    page.resize(page_size);
    response.set_next_page_token(
        FormatPageToken({.after = {.sequence = page.back().sequence}}, PointOf(log_), fingerprint));
  }
  const bool include_events = !request.has_include_events() || request.include_events();
  PageBytes bytes;
  Sequence last = 0;
  for (const DeadEvent& dead : page) {
    hookgate::v1::DeadLetter entry = ToProto(dead);
    if (include_events) {
      ASSIGN_OR_RETURN(const StoredEventPtr event, GetWithoutBody(log_, dead.sequence));
      if (event != nullptr) {
        *entry.mutable_event() = ToProto(*event, log_.history(), /*include_raw_body=*/false);
      }
    }
    if (!bytes.Take(entry)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, PointOf(log_), fingerprint));
      break;
    }
    last = dead.sequence;
    *response.add_dead_letters() = std::move(entry);
  }
  return absl::OkStatus();
}

template <typename Request, typename Response>
absl::Status SubscriptionCalls::StartOrPreview(const Request& request, hookgate::v1::Job job,
                                               Subscription& subscription, Response& response,
                                               Finish& finish) {
  if (request.preview()) {
    ASSIGN_OR_RETURN(*response.mutable_preview(), subscription.PreviewJob(std::move(job)));
    std::move(finish)(absl::OkStatus());
    return absl::OkStatus();
  }
  subscription.StartJob(std::move(job),
                        [&response, finish = std::move(finish)](
                            const absl::StatusOr<hookgate::v1::Job>& started) mutable {
                          if (!started.ok()) return std::move(finish)(started.status());
                          Log(Severity::kInfo, "a job of a subscription was started",
                              {{"subscription", started->subscription()},
                               {"job", started->job_id()},
                               {"kind", hookgate::v1::Job::Kind_Name(started->kind())}});
                          *response.mutable_job() = *started;
                          std::move(finish)(absl::OkStatus());
                        });
  return absl::OkStatus();
}

void SubscriptionCalls::RedriveDeadLetters(const hookgate::v1::RedriveDeadLettersRequest& request,
                                           RedriveDeadLettersResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    RETURN_IF_ERROR(CheckWhich(request, "dead letter"));
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.subscription()));
    if (request.has_selection()) {
      return StartOrPreview(request,
                            LetterJob(request, hookgate::v1::Job::KIND_REDRIVE_DEAD_LETTERS),
                            *subscription, response, finish);
    }
    using Outcomes = std::vector<Subscription::RedriveOutcome>;
    subscription->Redrive({request.sequences().begin(), request.sequences().end()},
                          [&request, &response, finish = std::move(finish)](
                              const absl::StatusOr<Outcomes>& outcomes) mutable {
                            if (!outcomes.ok()) return std::move(finish)(outcomes.status());
                            for (size_t i = 0; i < outcomes->size(); ++i) {
                              auto& result = *response.add_results();
                              result.set_sequence(request.sequences(static_cast<int>(i)));
                              result.set_outcome(OutcomeOf((*outcomes)[i]));
                            }
                            Log(Severity::kInfo, "dead letters redriven",
                                {{"subscription", request.subscription()},
                                 {"events", std::count(outcomes->begin(), outcomes->end(),
                                                       Subscription::RedriveOutcome::kRedriven)}});
                            std::move(finish)(absl::OkStatus());
                          });
    return absl::OkStatus();
  });
}

void SubscriptionCalls::DiscardDeadLetters(const hookgate::v1::DiscardDeadLettersRequest& request,
                                           hookgate::v1::DiscardDeadLettersResponse& response,
                                           Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    RETURN_IF_ERROR(CheckWhich(request, "dead letter"));
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.subscription()));
    if (request.has_selection()) {
      return StartOrPreview(request,
                            LetterJob(request, hookgate::v1::Job::KIND_DISCARD_DEAD_LETTERS),
                            *subscription, response, finish);
    }
    using Outcomes = std::vector<bool>;
    subscription->Discard({request.sequences().begin(), request.sequences().end()},
                          [&request, &response, finish = std::move(finish)](
                              const absl::StatusOr<Outcomes>& outcomes) mutable {
                            if (!outcomes.ok()) return std::move(finish)(outcomes.status());
                            for (size_t i = 0; i < outcomes->size(); ++i) {
                              auto& result = *response.add_results();
                              result.set_sequence(request.sequences(static_cast<int>(i)));
                              result.set_discarded((*outcomes)[i]);
                            }
                            Log(Severity::kInfo, "dead letters discarded",
                                {{"subscription", request.subscription()},
                                 {"events", std::count(outcomes->begin(), outcomes->end(), true)}});
                            std::move(finish)(absl::OkStatus());
                          });
    return absl::OkStatus();
  });
}

void SubscriptionCalls::RedeliverEvents(const hookgate::v1::RedeliverEventsRequest& request,
                                        RedeliverEventsResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    RETURN_IF_ERROR(CheckWhich(request, "event"));
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.subscription()));
    if (request.has_selection()) {
      hookgate::v1::Job job;
      job.set_kind(hookgate::v1::Job::KIND_REDELIVER_EVENTS);
      *job.mutable_events() = request.selection();
      ASSIGN_OR_RETURN(const auto selection, BulkSelection::Create(job, "selection"));
      ASSIGN_OR_RETURN(const absl::optional<Sequence> first,
                       log_.FirstAtOrAfter(selection->start()));
      job.set_after_sequence(first.has_value() ? *first - 1 : std::numeric_limits<Sequence>::max());
      return StartOrPreview(request, std::move(job), *subscription, response, finish);
    }
    using Outcomes = std::vector<absl::optional<Subscription::RedeliverOutcome>>;
    subscription->Redeliver(
        {request.sequences().begin(), request.sequences().end()}, request.include_not_admitted(),
        [&request, &response,
         finish = std::move(finish)](const absl::StatusOr<Outcomes>& outcomes) mutable {
          if (!outcomes.ok()) return std::move(finish)(outcomes.status());
          for (size_t i = 0; i < outcomes->size(); ++i) {
            auto& result = *response.add_results();
            result.set_sequence(request.sequences(static_cast<int>(i)));
            result.set_outcome(OutcomeOf((*outcomes)[i]));
          }
          Log(Severity::kInfo, "events redelivered",
              {{"subscription", request.subscription()},
               {"events", std::count(outcomes->begin(), outcomes->end(),
                                     Subscription::RedeliverOutcome::kRedelivered)}});
          std::move(finish)(absl::OkStatus());
        });
    return absl::OkStatus();
  });
}

absl::Status SubscriptionCalls::GetJob(const hookgate::v1::GetJobRequest& request,
                                       hookgate::v1::GetJobResponse& response) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  ASSIGN_OR_RETURN(*response.mutable_job(), subscription->FindJob(request.job_id()));
  return absl::OkStatus();
}

// The page token is the id before which the next page begins.
absl::Status SubscriptionCalls::ListJobs(const hookgate::v1::ListJobsRequest& request,
                                         hookgate::v1::ListJobsResponse& response) {
  ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  int64_t before = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &before) || before < 1)) {
    return InvalidField("page_token", "is not a page token: pass on next_page_token unchanged");
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  const std::vector<hookgate::v1::Job> page = subscription->ListJobs(before, page_size + 1);
  PageBytes bytes;
  for (const hookgate::v1::Job& job : page) {
    if (static_cast<size_t>(response.jobs_size()) == page_size || !bytes.Take(job)) {
      response.set_next_page_token(absl::StrCat(response.jobs().rbegin()->job_id()));
      break;
    }
    *response.add_jobs() = job;
  }
  return absl::OkStatus();
}

void SubscriptionCalls::CancelJob(const hookgate::v1::CancelJobRequest& request,
                                  hookgate::v1::CancelJobResponse& response, Finish finish) {
  BeginOrFinish(std::move(finish), [&](Finish& finish) -> absl::Status {
    ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                     subscriptions_.Find(request.subscription()));
    subscription->CancelJob(request.job_id(),
                            [&response, finish = std::move(finish)](
                                const absl::StatusOr<hookgate::v1::Job>& job) mutable {
                              if (job.ok()) *response.mutable_job() = *job;
                              std::move(finish)(job.status());
                            });
    return absl::OkStatus();
  });
}

}  // namespace hookgate
