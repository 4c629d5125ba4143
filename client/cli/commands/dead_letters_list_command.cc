#include "client/cli/commands/dead_letters_list_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "dead-letters list";

std::string CauseText(const v1::DeadLetter& letter) {
  switch (letter.cause()) {
    case v1::DeadLetter::CAUSE_NACKED:
      return "nacked";
    case v1::DeadLetter::CAUSE_DEADLINE_PASSED:
      return "deadline passed";
    case v1::DeadLetter::CAUSE_CONSUMER_DECIDED:
      return "consumer decided";
    case v1::DeadLetter::CAUSE_STREAM_LOST:
      return absl::StrCat("its consumer was lost, ", letter.lost_deliveries(), " times");
    default:
      return v1::DeadLetter::Cause_Name(letter.cause());
  }
}

ListedItems::Item ItemOf(const v1::DeadLetter& letter, const Reader& reader) {
  const v1::Event& event = letter.event();
  return {
      {{absl::StrCat(letter.sequence())},
       {When(letter.has_dead_letter_time(), letter.dead_letter_time(), reader).age, Look::kFaint},
       {letter.has_event() ? event.type() : "(removed by retention)"},
       {event.subject()},
       {absl::StrCat(letter.attempts())},
       {CauseText(letter), Look::kBad},
       {letter.nack_reason()}},
      MessageJson(letter)};
}

int Run(const Flags& flags, Environment& environment) {
  v1::ListDeadLettersRequest request;
  request.set_subscription(flags.arguments()[0]);
  return RunPagedListing({.command = kName,
                          .singular = "dead letter",
                          .plural = "dead letters",
                          .none = "There are no dead letters.",
                          .columns = {{"SEQUENCE", true},
                                      {"GIVEN UP"},
                                      {"TYPE"},
                                      {"SUBJECT"},
                                      {"ATTEMPTS", true},
                                      {"CAUSE"},
                                      {"REASON"}},
                          .fetch = FetchBy(&v1::SubscriptionService::StubInterface::ListDeadLetters,
                                           request, &v1::ListDeadLettersResponse::dead_letters,
                                           ItemOf, ReaderOf(flags, environment))},
                         flags, environment);
}

}  // namespace

Command DeadLettersListCommand() {
  return {.name = kName,
          .summary = "List dead letters, and why they failed",
          .description =
              "Lists the dead letters of a durable subscription, oldest first: when each was given "
              "up and after how many attempts, what it is about, and the reason of its last nack.",
          .arguments = {.usage = "SUBSCRIPTION", .least = 1, .most = 1},
          .flags = PagedListingFlags(),
          .examples = {{"hookgate dead-letters list billing", "Which events were dead-lettered?"},
                       {"hookgate dead-letters list billing --all --output json | jq -r .sequence",
                        "The sequences alone, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
