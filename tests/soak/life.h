// One life of a gateway, as those outside know it.
#ifndef HOOKGATE_TESTS_SOAK_LIFE_H_
#define HOOKGATE_TESTS_SOAK_LIFE_H_

#include <string>

#include "absl/synchronization/notification.h"

namespace hookgate {

struct Life {
  // HOST:PORT.
  std::string http;
  std::string grpc;

  absl::Notification quiet;   // no more webhooks are to be sent
  absl::Notification ending;  // connections and streams may end; until then none may
  absl::Notification over;    // the process is gone
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_LIFE_H_
