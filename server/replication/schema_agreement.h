// What the replicas of a cluster can read, and which schema (store/schema.h) they may agree on: the
// newest one that each of them reads, once each has just said so.
//
// Pure: time is monotonic, and the caller's. What was said before a moment ago counts no more, in
// whichever term: a replica that is being put back to an older version has to have no chance of
// being taken for what it was.
//
//   SchemaAgreement agreement(SchemaVersion(), {"b", "c"});
//   agreement.Heard("b", 6, now);
//   if (const auto version = agreement.MayAgreeOn(agreed, now)) ...  // append Schema{*version}
//   else agreement.WhatIsMissing(6, now);  // "replica c has not been heard of"
#ifndef HOOKGATE_SERVER_REPLICATION_SCHEMA_AGREEMENT_H_
#define HOOKGATE_SERVER_REPLICATION_SCHEMA_AGREEMENT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/store/schema.h"

namespace hookgate {

// Not thread-safe.
class SchemaAgreement {
 public:
  // Of a peer that does not say what it reads: the first version that had clusters.
  static constexpr int kUnsaid = kFirstClusterSchema;
  // A peer answers several times a second.
  static constexpr absl::Duration kFresh = absl::Seconds(3);

  //   own    what this replica reads
  //   peers  all others that are configured; empty: nobody is asked
  SchemaAgreement(int own, const std::vector<std::string>& peers);

  // `peer` has said that it reads `version`; 0: it does not say. One that is not configured is
  // ignored.
  void Heard(const std::string& peer, int version, absl::Duration now);

  // What to agree on beyond `agreed`; nullopt: there is nothing, or a peer is missing.
  absl::optional<int> MayAgreeOn(int agreed, absl::Duration now) const;

  // Why `version` cannot be agreed on, for people: "replica b reads schema 5, replica c has not
  // been heard of"; "" if it can.
  std::string WhatIsMissing(int version, absl::Duration now) const;

  // What `peer` has said last; 0: nothing yet.
  int Reads(const std::string& peer) const;

 private:
  struct Said {
    int version = 0;
    absl::Duration at = -absl::InfiniteDuration();
  };

  const int own_;
  std::map<std::string, Said> peers_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_SCHEMA_AGREEMENT_H_
