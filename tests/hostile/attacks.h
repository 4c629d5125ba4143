// The attacks that the gateway has to bear.
#ifndef HOOKGATE_TESTS_HOSTILE_ATTACKS_H_
#define HOOKGATE_TESTS_HOSTILE_ATTACKS_H_

#include <string>
#include <vector>

#include "tests/hostile/attack.h"

namespace hookgate {

// By somebody who may only connect, and by somebody who has a right to read everything, whose token
// is `token`.
//
// `scale` multiplies the connections of those that are crowds: 1 for a test, 4 for a report.
std::vector<Attack> AllAttacks(const std::string& token, int scale);

// Peers that ask for as much as is right, by hand and so faster than a gRPC library would; with
// `token`, since strangers are served within their share of the time.
std::vector<Attack> HonestCrowds(const std::string& token);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_ATTACKS_H_
