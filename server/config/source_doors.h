// From where webhooks are taken, when the config changes while hookgated runs.
#ifndef HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_
#define HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_

#include <vector>

#include "hookgate/config/v1/config.pb.h"
#include "server/config/problems.h"
#include "server/ingest/source.h"

namespace hookgate {

// Compares each source of `next`, which are in the order of the config, with what it was before:
// the one of its name that runs, or that an earlier reload `removed`; those with a secret of its
// own, whose webhooks it takes; or, if there is neither, those that go now, one of which may have
// got a new name and new secrets at once.
//
// Adds an error if it has no networks, and so takes webhooks from every address, while one of these
// was held to some; a file from which a line was lost looks so. Adds a warning for each network
// from which webhooks are taken now and were not before. Pure. No message holds a secret.
void CheckSourceDoors(const std::vector<WebhookSource>& running,
                      const std::vector<WebhookSource>& removed,
                      const std::vector<WebhookSource>& next, Problems& problems);

// The same errors for a config that has others, such as a secret that cannot be read: `next` is
// what could be made of `config`, in its order.
void CheckNetworksStay(const std::vector<WebhookSource>& running,
                       const std::vector<WebhookSource>& removed, std::vector<WebhookSource> next,
                       const hookgate::config::v1::Config& config, Problems& problems);

// Takes into `removed` what runs and is not in `next`: sources, by their names, and secrets, each
// with the networks of its source, which may go on without it. And out of it what is there again.
// The newest 1,000 are kept.
void NoteRemovedSources(const std::vector<WebhookSource>& running,
                        const std::vector<WebhookSource>& next,
                        std::vector<WebhookSource>& removed);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_SOURCE_DOORS_H_
