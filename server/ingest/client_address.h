// Who sent a request: the peer of its connection, or whom a proxy that is trusted names.
#ifndef HOOKGATE_SERVER_INGEST_CLIENT_ADDRESS_H_
#define HOOKGATE_SERVER_INGEST_CLIENT_ADDRESS_H_

#include <vector>

#include "absl/types/optional.h"
#include "server/http/http_handler.h"
#include "server/ingest/network.h"

namespace hookgate {

// The peer, unless it is in `trusted_proxies`. Then the last address in X-Forwarded-For that is not
// in them: each proxy adds the address that it saw at the end, and what stands before the addition
// of the first trusted one is whatever the client liked to send. If all of them are trusted, the
// first one; without the field, the peer.
// An entry may have a port, and IPv6 brackets. nullopt if what would have to be believed is no
// address, so that nobody gets in by garbage.
absl::optional<IpAddress> ClientAddress(const HttpHead& head,
                                        const std::vector<Network>& trusted_proxies);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_CLIENT_ADDRESS_H_
