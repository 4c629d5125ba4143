// From where webhooks are taken, when the config changes while hookgated runs.
#ifndef HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_
#define HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_

#include <vector>

#include "server/config/problems.h"
#include "server/ingest/source.h"

namespace hookgate {

// Compares each source of `next`, which are in the order of the config, with what it was before: the
// running one of its name; those with a secret of its own, whose webhooks it takes; or, if there is
// neither, those that are gone, one of which may have got a new name and new secrets at once.
//
// Adds an error if it has no networks, and so takes webhooks from every address, while one of these was
// held to some; a file from which a line was lost looks so. Adds a warning for each network from
// which webhooks are taken now and were not before. Pure. No message holds a secret.
void CheckSourceDoors(const std::vector<WebhookSource>& running,
                      const std::vector<WebhookSource>& next, Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_
