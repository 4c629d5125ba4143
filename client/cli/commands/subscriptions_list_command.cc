#include "client/cli/commands/subscriptions_list_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions list";

ListedItems::Item ItemOf(const v1::Subscription& subscription, const Reader&) {
  const v1::Backlog& backlog = subscription.backlog();
  return {
      {{subscription.name()},
       {absl::StrCat(backlog.events())},
       {AgeOf(backlog.has_oldest_unacked_age(), backlog.oldest_unacked_age()), Look::kFaint},
       {absl::StrCat(subscription.in_flight())},
       {absl::StrCat(subscription.awaiting_redelivery())},
       {absl::StrCat(subscription.dead_letters()),
        subscription.dead_letters() > 0 ? Look::kBad : Look::kPlain},
       {absl::StrCat(backlog.lost_events()), backlog.lost_events() > 0 ? Look::kBad : Look::kPlain},
       {ConditionNames(subscription),
        subscription.conditions().empty() ? Look::kPlain : Look::kBad}},
      MessageJson(subscription)};
}

int Run(const Flags& flags, Environment& environment) {
  return RunPagedListing(
      {.command = kName,
       .singular = "subscription",
       .plural = "subscriptions",
       .none = "There are no subscriptions.",
       .columns = {{"NAME"},
                   {"BACKLOG", true},
                   {"OLDEST"},
                   {"IN FLIGHT", true},
                   {"WAITING", true},
                   {"DEAD", true},
                   {"LOST", true},
                   {"NOTE"}},
       .fetch =
           FetchBy(&v1::SubscriptionService::StubInterface::ListSubscriptions,
                   v1::ListSubscriptionsRequest(), &v1::ListSubscriptionsResponse::subscriptions,
                   ItemOf, ReaderOf(flags, environment))},
      flags, environment);
}

}  // namespace

Command SubscriptionsListCommand() {
  return {
      .name = kName,
      .summary = "List them, with how far behind each is",
      .description =
          "Lists the durable subscriptions by name: events that are not acked yet and how old "
          "the oldest is, how many are in flight or wait for another attempt, dead letters, "
          "what retention took before it was acked, and whether something keeps one from "
          "working, such as a pause.",
      .flags = PagedListingFlags(),
      .examples = {{"hookgate subscriptions list", "Which subscriptions exist, and is one behind?"},
                   {"hookgate subscriptions list --all --output json | jq -r .name",
                    "The names alone, for a script."}},
      .exits = ListingExits(),
      .run = Run};
}

}  // namespace hookgate::cli
