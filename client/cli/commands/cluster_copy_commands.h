// `hookgate cluster snapshot` and `hookgate cluster reseed`: a replica begins with a copy of
// another one's log.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_COPY_COMMANDS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_COPY_COMMANDS_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ClusterSnapshotCommand();
Command ClusterReseedCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CLUSTER_COPY_COMMANDS_H_
