// `hookgate cluster status`: the replicas of a cluster beside each other.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_STATUS_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_STATUS_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ClusterStatusCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_STATUS_COMMAND_H_
