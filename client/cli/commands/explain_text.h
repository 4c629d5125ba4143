// What `hookgate explain` prints for people. Pure.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_TEXT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_TEXT_H_

#include <string>

#include "client/cli/reader.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {

// The event, how it came, where it is in each subscription, and what to do next; or, where there is
// none, what is known instead.
//   what  the event, as it was asked for
std::string ExplainPage(const std::string& what, const v1::ExplainEventResponse& response,
                        const Reader& reader);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_TEXT_H_
