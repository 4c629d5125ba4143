// Events as text and as JSON. Pure. All that came from elsewhere is made Printable in text.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_TEXT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_TEXT_H_

#include <string>
#include <vector>

#include "client/cli/reader.h"
#include "client/cli/table.h"
#include "hookgate/v1/event.pb.h"

namespace hookgate::cli {

// One line without its end: when, sequence, type, subject, source and webhook-id.
std::string EventLine(const v1::Event& event, const Reader& reader);

// Every field on a line of its own, then the payload.
std::string EventDetails(const v1::Event& event, const Reader& reader);

// The same fields as EventLine's, as columns.
std::vector<Table::Column> EventColumns();
std::vector<Table::Cell> EventCells(const v1::Event& event, const Reader& reader);

// One JSON object, without line feeds: protobuf's JSON mapping with the names of the .proto files,
// so 64-bit numbers are strings and absent fields are left out.
std::string EventJson(const v1::Event& event);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_TEXT_H_
