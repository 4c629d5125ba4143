// The source of what the gateway tells about itself as events: both sides know them by it.
#ifndef HOOKGATE_SERVER_EVENT_OPERATOR_SOURCE_H_
#define HOOKGATE_SERVER_EVENT_OPERATOR_SOURCE_H_

namespace hookgate {

// Built in. No configured source may have this name while any type of operator event is on.
inline constexpr char kOperatorSource[] = "hookgate";

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_OPERATOR_SOURCE_H_
