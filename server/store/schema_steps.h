// The statements by which the file of each version becomes one of the next.
#ifndef HOOKGATE_SERVER_STORE_SCHEMA_STEPS_H_
#define HOOKGATE_SERVER_STORE_SCHEMA_STEPS_H_

#include <vector>

#include "server/store/schema.h"

namespace hookgate {

// Step i leads from version i to version i + 1. Those of this build, and what a test has added.
std::vector<SchemaStep>& SchemaSteps();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_SCHEMA_STEPS_H_
