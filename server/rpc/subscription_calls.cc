#include "server/rpc/subscription_calls.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/base/logging.h"
#include "server/base/status.h"
#include "server/delivery/event_encoding.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_token.h"
#include "server/rpc/subscription_messages.h"

namespace hookgate {
namespace {

constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;
constexpr int kMaxSequences = 1000;

using hookgate::v1::RedriveDeadLettersResponse;

absl::StatusOr<size_t> PageSize(int32_t wanted) {
  if (wanted < 0) return InvalidField("page_size", "is negative; 0 is the default");
  return static_cast<size_t>(wanted == 0 ? kDefaultPageSize : std::min(wanted, kMaxPageSize));
}

absl::Status CheckSequences(int count) {
  if (count == 0) return InvalidField("sequences", "is empty: name at least one dead letter");
  if (count > kMaxSequences) {
    return InvalidField("sequences", absl::StrCat("has ", count, " entries; ask for ",
                                                  kMaxSequences, " at most at a time"));
  }
  return absl::OkStatus();
}

// Waits for what `start` begins with a callback.
template <typename Outcome, typename Start>
absl::StatusOr<Outcome> Await(Start start) {
  absl::Notification done;
  absl::StatusOr<Outcome> result;
  start([&](absl::StatusOr<Outcome> outcome) {
    result = std::move(outcome);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
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

}  // namespace

absl::Status SubscriptionCalls::Create(const hookgate::v1::CreateSubscriptionRequest& request,
                                       hookgate::v1::CreateSubscriptionResponse& response) {
  RETURN_IF_ERROR(CheckSubscriptionName(request.name(), "name"));
  ASSIGN_OR_RETURN(const SubscriptionSettings settings,
                   SubscriptionSettings::FromProto(request.settings(), "settings"));
  ASSIGN_OR_RETURN(const Sequence position, ResolveStart(request.start(), "start", log_));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Create(request.name(), settings, position));
  *response.mutable_subscription() = Describe(*subscription);
  return absl::OkStatus();
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

absl::Status SubscriptionCalls::Update(const hookgate::v1::UpdateSubscriptionRequest& request,
                                       hookgate::v1::UpdateSubscriptionResponse& response) {
  if (!request.has_settings()) {
    return InvalidField("settings", "is missing: give all of them, as GetSubscription shows them");
  }
  ASSIGN_OR_RETURN(SubscriptionSettings settings,
                   SubscriptionSettings::FromProto(request.settings(), "settings"));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.name()));
  RETURN_IF_ERROR(Await<Subscription::Decided>([&](Subscription::Done<Subscription::Decided> done) {
                    subscription->Update(std::move(settings), std::move(done));
                  }).status());
  Log(Severity::kInfo, "subscription updated", {{"subscription", request.name()}});
  *response.mutable_subscription() = Describe(*subscription);
  return absl::OkStatus();
}

absl::Status SubscriptionCalls::Delete(const hookgate::v1::DeleteSubscriptionRequest& request,
                                       hookgate::v1::DeleteSubscriptionResponse&) {
  return subscriptions_.Delete(request.name());
}

absl::Status SubscriptionCalls::Seek(const hookgate::v1::SeekSubscriptionRequest& request,
                                     hookgate::v1::SeekSubscriptionResponse& response) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.name()));
  ASSIGN_OR_RETURN(const Sequence position, ResolveStart(request.target(), "target", log_));
  RETURN_IF_ERROR(Await<Subscription::Decided>([&](Subscription::Done<Subscription::Decided> done) {
                    subscription->Seek(position, std::move(done));
                  }).status());
  Log(Severity::kInfo, "subscription sought",
      {{"subscription", request.name()}, {"after", position}});
  *response.mutable_subscription() = Describe(*subscription);
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
                     ParsePageToken(request.page_token(), log_.epoch(), fingerprint));
    after = token.after.sequence;
  }
  ASSIGN_OR_RETURN(std::vector<DeadEvent> page, subscription->DeadLetters(after, page_size + 1));
  if (page.size() > page_size) {
    page.resize(page_size);
    response.set_next_page_token(
        FormatPageToken({.after = {.sequence = page.back().sequence}}, log_.epoch(), fingerprint));
  }
  const bool include_events = !request.has_include_events() || request.include_events();
  PageBytes bytes;
  Sequence last = 0;
  for (const DeadEvent& dead : page) {
    hookgate::v1::DeadLetter entry = ToProto(dead);
    if (include_events) {
      const absl::StatusOr<LogEventPtr> event = log_.Get(dead.sequence);
      if (event.ok()) {
        *entry.mutable_event() = ToProto(**event, log_.epoch(), /*include_raw_body=*/false);
      } else if (!absl::IsNotFound(event.status())) {
        return event.status();
      }
    }
    if (!bytes.Take(entry)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, log_.epoch(), fingerprint));
      break;
    }
    last = dead.sequence;
    *response.add_dead_letters() = std::move(entry);
  }
  return absl::OkStatus();
}

absl::Status SubscriptionCalls::RedriveDeadLetters(
    const hookgate::v1::RedriveDeadLettersRequest& request, RedriveDeadLettersResponse& response) {
  RETURN_IF_ERROR(CheckSequences(request.sequences_size()));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  using Outcomes = std::vector<Subscription::RedriveOutcome>;
  ASSIGN_OR_RETURN(const Outcomes outcomes, Await<Outcomes>([&](Subscription::Done<Outcomes> done) {
                     subscription->Redrive({request.sequences().begin(), request.sequences().end()},
                                           std::move(done));
                   }));
  int redriven = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    auto& result = *response.add_results();
    result.set_sequence(request.sequences(static_cast<int>(i)));
    result.set_outcome(OutcomeOf(outcomes[i]));
    if (outcomes[i] == Subscription::RedriveOutcome::kRedriven) ++redriven;
  }
  Log(Severity::kInfo, "dead letters redriven",
      {{"subscription", request.subscription()}, {"events", redriven}});
  return absl::OkStatus();
}

absl::Status SubscriptionCalls::DiscardDeadLetters(
    const hookgate::v1::DiscardDeadLettersRequest& request,
    hookgate::v1::DiscardDeadLettersResponse& response) {
  RETURN_IF_ERROR(CheckSequences(request.sequences_size()));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   subscriptions_.Find(request.subscription()));
  using Outcomes = std::vector<bool>;
  ASSIGN_OR_RETURN(const Outcomes outcomes, Await<Outcomes>([&](Subscription::Done<Outcomes> done) {
                     subscription->Discard({request.sequences().begin(), request.sequences().end()},
                                           std::move(done));
                   }));
  for (size_t i = 0; i < outcomes.size(); ++i) {
    auto& result = *response.add_results();
    result.set_sequence(request.sequences(static_cast<int>(i)));
    result.set_discarded(outcomes[i]);
  }
  Log(Severity::kInfo, "dead letters discarded",
      {{"subscription", request.subscription()},
       {"events", std::count(outcomes.begin(), outcomes.end(), true)}});
  return absl::OkStatus();
}

}  // namespace hookgate
