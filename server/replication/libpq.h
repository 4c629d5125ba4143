// PostgreSQL's client library, loaded when it is first wanted.
#ifndef HOOKGATE_SERVER_REPLICATION_LIBPQ_H_
#define HOOKGATE_SERVER_REPLICATION_LIBPQ_H_

#include <postgresql/libpq-fe.h>

#include "absl/status/statusor.h"

namespace hookgate {

// What is used of it.
#define HOOKGATE_LIBPQ_FUNCTIONS(F) \
  F(PQclear)                        \
  F(PQcmdTuples)                    \
  F(PQconninfoFree)                 \
  F(PQconninfoParse)                \
  F(PQconnectPoll)                  \
  F(PQconnectStartParams)           \
  F(PQconsumeInput)                 \
  F(PQdb)                           \
  F(PQenterPipelineMode)            \
  F(PQerrorMessage)                 \
  F(PQfinish)                       \
  F(PQflush)                        \
  F(PQfreemem)                      \
  F(PQgetResult)                    \
  F(PQgetisnull)                    \
  F(PQgetlength)                    \
  F(PQgetvalue)                     \
  F(PQhost)                         \
  F(PQisBusy)                       \
  F(PQnfields)                      \
  F(PQntuples)                      \
  F(PQpipelineSync)                 \
  F(PQport)                         \
  F(PQresultErrorField)             \
  F(PQresultErrorMessage)           \
  F(PQresultStatus)                 \
  F(PQsendPrepare)                  \
  F(PQsendQueryParams)              \
  F(PQsendQueryPrepared)            \
  F(PQsetNoticeReceiver)            \
  F(PQsetnonblocking)               \
  F(PQsocket)                       \
  F(PQstatus)

// One instance for the process; thread-safe as libpq is: a connection belongs to one thread at a
// time.
struct LibPq {
#define HOOKGATE_DECLARE(name) decltype(::name)* name = nullptr;
  HOOKGATE_LIBPQ_FUNCTIONS(HOOKGATE_DECLARE)
#undef HOOKGATE_DECLARE

  // FAILED_PRECONDITION if it is not installed.
  static absl::StatusOr<const LibPq*> Load();
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_LIBPQ_H_
