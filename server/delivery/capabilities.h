// What this gateway can do beyond what each gateway of version 1 of the API can, by name. Clients
// ask for these names instead of comparing versions: above all where an older gateway would not
// refuse, but ignore a field that it does not know, and do something else than was asked.
#ifndef HOOKGATE_SERVER_DELIVERY_CAPABILITIES_H_
#define HOOKGATE_SERVER_DELIVERY_CAPABILITIES_H_

namespace hookgate {

// All of them, in the order of the alphabet. docs/capabilities.md says what each means; a test
// compares the two. A name is never taken away or given another meaning.
inline constexpr const char* kCapabilities[] = {
    "conflicts", "deliveries", "etag",    "explain", "jobs",  "pause",
    "preview",   "redeliver",  "refused", "streams", "trace", "update_mask",
};

// Of Opened and GetStatusResponse.
template <typename Message>
void AddCapabilities(Message& message) {
  for (const char* name : kCapabilities) message.add_capabilities(name);
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_CAPABILITIES_H_
