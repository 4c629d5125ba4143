// Which tables replicas of a cluster share. The others are derived from these, or of one replica
// alone. A table that is new (store/schema.h) is in one of the three lists: a test sees to it.
#ifndef HOOKGATE_SERVER_EVENTLOG_REPLICATED_TABLES_H_
#define HOOKGATE_SERVER_EVENTLOG_REPLICATED_TABLES_H_

#include <string>

#include "absl/types/span.h"

namespace hookgate {

// What records hold rows of. In an order in which they can be applied.
absl::Span<const std::string> ReplicatedTables();
// For tests of what a next version does (AddSchemaStepForTest in store/schema.h): `table` is one of
// these, and comes before `before`.
void AddReplicatedTableForTest(const std::string& table, const std::string& before);
// Each replica makes its own of what it has applied: indexes.
absl::Span<const std::string> DerivedTables();
// What a replica knows of itself: what it has applied, and how it has been.
absl::Span<const std::string> LocalTables();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_REPLICATED_TABLES_H_
