#include "client/cli/commands/streams_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "streams";

std::string Client(const v1::StreamInfo& stream) {
  if (stream.subscription().empty()) return stream.client_name();
  return absl::StrCat(stream.subscription(), " as ", stream.consumer_name());
}

Table::Cell StateCell(const v1::StreamInfo& stream) {
  switch (stream.state()) {
    case v1::StreamInfo::STATE_LIVE:
      return {"live", Look::kGood};
    case v1::StreamInfo::STATE_BEHIND:
      return {"behind", Look::kBad};
    case v1::StreamInfo::STATE_OPENING:
      return {"opening", Look::kFaint};
    default:
      return {"-"};
  }
}

std::string MethodText(const v1::StreamInfo& stream) {
  switch (stream.method()) {
    case v1::StreamInfo::METHOD_SUBSCRIBE:
      return "Subscribe";
    case v1::StreamInfo::METHOD_CONSUME:
      return "Consume";
    default:
      return "-";
  }
}

ListedItems::Item ItemOf(const v1::StreamInfo& stream, const Reader& reader) {
  return {{{MethodText(stream)},
           {Client(stream)},
           StateCell(stream),
           {absl::StrCat(stream.lag_events())},
           {absl::StrCat(stream.sent_events())},
           {When(stream.has_open_time(), stream.open_time(), reader).age, Look::kFaint},
           {stream.address()},
           {stream.principal()},
           {stream.has_filter() ? FilterText(stream.filter()) : ""}},
          MessageJson(stream)};
}

int Run(const Flags& flags, Environment& environment) {
  v1::ListStreamsRequest request;
  request.set_subscription(flags.Text("subscription"));
  return RunPagedListing(
      {.command = kName,
       .singular = "open stream",
       .plural = "open streams",
       .none = flags.Has("subscription") ? "This subscription has no open stream now."
                                         : "There are no open streams now.",
       .columns = {{"CALL"},
                   {"CLIENT"},
                   {"STATE"},
                   {"LAG", true},
                   {"SENT", true},
                   {"OPENED"},
                   {"ADDRESS"},
                   {"PRINCIPAL"},
                   {"EVENTS"}},
       .fetch = FetchBy(&v1::AdminService::StubInterface::ListStreams, request,
                        &v1::ListStreamsResponse::streams, ItemOf, ReaderOf(flags, environment))},
      flags, environment);
}

}  // namespace

Command StreamsCommand() {
  return {
      .name = kName,
      .summary = "List open streams",
      .description =
          "Lists the streams that are open now, the oldest first: who it is and from where, how "
          "many events are before it (LAG) and how many it was sent, since it was opened. A "
          "Subscribe stream calls itself what its client_name says; a Consume stream is named "
          "by its subscription and consumer, and its LAG is that of the subscription. Calls of "
          "Pull do not have streams: hookgate subscriptions show names their consumers.",
      .flags = Join({{{.name = "subscription",
                       .value = "NAME",
                       .help = "Only consumers of this durable subscription."}},
                     PagedListingFlags()}),
      .examples = {{"hookgate streams", "Who is connected, and who is behind?"},
                   {"hookgate streams --subscription mail", "Which streams consume this one?"}},
      .exits = ListingExits(),
      .run = Run};
}

}  // namespace hookgate::cli
