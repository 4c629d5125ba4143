#include "client/cli/commands/call_exits.h"

#include "client/cli/exit_code.h"

namespace hookgate::cli {
namespace {

std::vector<Command::Exit> Exits(const std::string& done, const std::string& wrong_usage,
                                 const std::string& not_found) {
  return {{kSuccess, done},
          {kFailed, "The gateway refused, or the output could not be written."},
          {kWrongUsage, wrong_usage},
          {kUnreachable, "No gateway answered in time."},
          {kNotFound, not_found}};
}

}  // namespace

std::vector<Command::Exit> ShowExits(const std::string& done, const std::string& not_found) {
  return Exits(done, "The command line is wrong.", not_found);
}

std::vector<Command::Exit> ChangeExits(const std::string& done, const std::string& not_found) {
  return Exits(done, "The command line is wrong; nothing was done.", not_found);
}

}  // namespace hookgate::cli
