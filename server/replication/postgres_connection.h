// One connection to PostgreSQL whose every call ends in time, whatever the server does.
//
// A call that takes too long is never cancelled: a cancelled wait for the standbys makes PostgreSQL
// say that the commit succeeded. The connection is closed instead, and whether the statement was
// done is not known.
#ifndef HOOKGATE_SERVER_REPLICATION_POSTGRES_CONNECTION_H_
#define HOOKGATE_SERVER_REPLICATION_POSTGRES_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/replication/call_slot.h"
#include "server/replication/libpq.h"

namespace hookgate {

// Wakes whoever waits on a socket, for good. Thread-safe.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void Set();
  bool is_set() const { return set_; }
  int fd() const { return fd_; }  // readable once it is set; -1 if the system has none left

 private:
  const int fd_;
  std::atomic<bool> set_ = false;
};

// Where PostgreSQL is, and who we are to it. Constant; thread-safe.
class PostgresAddress {
 public:
  using Keywords = std::vector<std::pair<std::string, std::string>>;

  // `uri` is libpq's: a URI or key=value form; it may name several hosts. INVALID_ARGUMENT, without
  // what it says, if it is neither.
  static absl::StatusOr<PostgresAddress> Parse(const LibPq& pq, const std::string& uri);

  size_t host_count() const { return hosts_.size(); }
  // What libpq is told to reach one of the hosts, counted round and round.
  Keywords KeywordsOf(size_t host) const;

 private:
  std::string uri_;
  std::set<std::string> said_;  // keywords that the URI has
  std::vector<Keywords> hosts_;
};

// A parameter of a statement.
struct PostgresValue {
  static PostgresValue Int(int64_t number);
  static PostgresValue Text(absl::string_view text) { return {text, false}; }
  static PostgresValue Bytes(absl::string_view bytes) { return {bytes, true}; }

  absl::string_view view() const { return owned.empty() ? absl::string_view(data) : owned; }

  PostgresValue(absl::string_view data, bool binary) : data(data), binary(binary) {}
  absl::string_view data;  // a view of the caller's; not for Int
  bool binary = false;
  std::string owned;
};

// What a statement returned. Values are in the server's binary format.
class PostgresRows {
 public:
  PostgresRows(const LibPq& pq, PGresult* result) : pq_(&pq), result_(result, pq.PQclear) {}

  int size() const { return pq_->PQntuples(result_.get()); }
  // "" if it is null.
  absl::string_view Bytes(int row, int column) const;
  // Of a bigint; 0 if it is null.
  int64_t Int(int row, int column) const;
  // Of a boolean.
  bool Bool(int row, int column) const { return Bytes(row, column) == absl::string_view("\1", 1); }
  // How many rows a command changed.
  int64_t changed() const;

 private:
  const LibPq* pq_;
  std::unique_ptr<PGresult, decltype(LibPq::PQclear)> result_;
};

// The SQLSTATE of an error that the server reported, "" of another one.
std::string SqlStateOf(const absl::Status& status);

// For one thread at a time.
class PostgresConnection {
 public:
  struct Statement {
    std::string text;  // the name of a prepared statement, or SQL
    bool prepared = false;
    std::vector<PostgresValue> values;
  };

  // Connects to a server that can be written to: the host at `first_host` of the address's list or
  // one after it, each for 2 s at most if there are several. `stop` outlives the connection. Name
  // resolution may take longer than `deadline`: it is the C library's.
  // Errors: UNAVAILABLE engine_unavailable; PERMISSION_DENIED engine_access if a server turns us
  // away.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(const LibPq& pq,
                                                                     const PostgresAddress& address,
                                                                     size_t first_host,
                                                                     const StopSignal& stop,
                                                                     SteadyTime deadline);
  ~PostgresConnection();

  // Runs each statement in a transaction of its own (unless they are BEGIN and COMMIT), one round
  // trip for all.
  // Errors: what the server said, with its SQLSTATE (SqlStateOf); UNAVAILABLE engine_unavailable
  // if there was no answer in time, or a WARNING came with it, which says that something is not as
  // durable as was asked for. After these, and after any error of the connection, broken() holds.
  absl::StatusOr<std::vector<PostgresRows>> Run(const std::vector<Statement>& statements,
                                                SteadyTime deadline);
  // The same for one.
  absl::StatusOr<PostgresRows> RunOne(Statement statement, SteadyTime deadline);
  absl::Status Prepare(const std::string& name, const std::string& sql, SteadyTime deadline);

  // It is of no use any more. What was sent may still be done.
  bool broken() const { return broken_; }
  // It is not to be used any more.
  void GiveUp() { broken_ = true; }
  // "host:port/database".
  std::string Server() const;
  // Its place in the address's list, counted on from the `first_host` of Connect.
  size_t host() const { return host_; }

 private:
  PostgresConnection(const LibPq& pq, const StopSignal& stop, PGconn* connection)
      : pq_(pq), stop_(stop), connection_(connection) {}

  static absl::StatusOr<std::unique_ptr<PostgresConnection>> ConnectTo(
      const LibPq& pq, const PostgresAddress::Keywords& keywords, const StopSignal& stop,
      SteadyTime deadline);
  absl::Status FinishConnecting(SteadyTime deadline);
  absl::Status Send(const Statement& statement);
  // Reads the results of `count` statements, each followed by its synchronisation point.
  absl::StatusOr<std::vector<PostgresRows>> Receive(size_t count, SteadyTime deadline);
  absl::StatusOr<PGresult*> NextResult(SteadyTime deadline);
  // Waits until the socket can be read (or also written).
  absl::Status Await(bool or_written, SteadyTime deadline);
  absl::Status Broken(absl::string_view why);
  static void OnNotice(void* self, const PGresult* notice);

  const LibPq& pq_;
  const StopSignal& stop_;
  PGconn* const connection_;
  size_t host_ = 0;
  bool broken_ = false;
  std::string warning_;  // the last one that came
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_POSTGRES_CONNECTION_H_
