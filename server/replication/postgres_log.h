// A replicated log in PostgreSQL: a table whose primary key is the index, so that one insert of an
// index succeeds.
//
// Two tables for each cluster, which are made if they are not there:
//   hookgate_log_<cluster>       seq bigint primary key, data bytea
//   hookgate_identity_<cluster>  one row: genesis text, confirmed bigint
//
// What makes an append durable is PostgreSQL's synchronous replication, and that is a setting that
// can be taken away while we run. So each connection sets what it may set, reads the rest, and is
// refused by name if it is unsafe; each append looks again, in the same statement and after it.
#ifndef HOOKGATE_SERVER_REPLICATION_POSTGRES_LOG_H_
#define HOOKGATE_SERVER_REPLICATION_POSTGRES_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

struct PostgresLogOptions {
  // libpq's URI or key=value form, with TLS and password as libpq has them (sslmode, sslrootcert,
  // passfile ...). It may name several hosts, of which one can be written to. Never logged.
  std::string uri;
  // Take what cannot be seen over the connection on trust: that the storage under one server is
  // itself replicated and sound, as managed services promise. Then synchronous_standby_names may be
  // empty, and data_checksums and full_page_writes off. fsync and synchronous_commit have to be on
  // all the same.
  bool trust_storage = false;
};

// Nothing is connected yet.
// FAILED_PRECONDITION if libpq is not installed; INVALID_ARGUMENT for options that are not as their
// comments say.
absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenPostgresLog(const ReplicatedLogOptions& options,
                                                               const PostgresLogOptions& postgres);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_POSTGRES_LOG_H_
