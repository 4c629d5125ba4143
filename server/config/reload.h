// Which parts of the config may change while hookgated runs.
#ifndef HOOKGATE_SERVER_CONFIG_RELOAD_H_
#define HOOKGATE_SERVER_CONFIG_RELOAD_H_

#include <string>

#include "hookgate/config/v1/config.pb.h"
#include "server/config/problems.h"
#include "server/eventlog/retention.h"

namespace hookgate {

// A config as it is written, and with the flags that win over it.
struct AppliedConfig {
  hookgate::config::v1::Config file;
  hookgate::config::v1::Config whole;
};

// Whether a gateway that runs with `running` can go on with `next`. Pure. Adds an error for each
// thing that differs but may not, and for each thing that is gone and whose absence opens a door or
// removes data: principals, sources, the sections storage and logging. A file that was cut or
// emptied by accident looks so; each error says what to do if it is meant. Adds a warning for each
// right for all that is new. No message holds a secret. Networks of sources: source_doors.h.
void CheckReload(const AppliedConfig& running, const AppliedConfig& next, Problems& problems);

// The part of it that is about what is gone, which needs a config that could be read and no more:
// that a file was emptied is why the rest of it is wrong.
void CheckNothingIsLost(const AppliedConfig& running, const AppliedConfig& next,
                        Problems& problems);

// Adds a warning for each limit of what is kept that has become smaller: what is beyond it is
// removed, and does not come back.
void NoteSmallerLimits(const RetentionLimits& running, const RetentionLimits& next,
                       Problems& problems);

// Which settings differ, such as "storage.retention" and "sources[0].secrets[1]": the first 20, and
// how many more. No values, which may be secrets. "" if none do.
std::string ChangedSettings(const AppliedConfig& running, const AppliedConfig& next);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_RELOAD_H_
