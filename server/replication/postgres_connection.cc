#include "server/replication/postgres_connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/status.h"
#include "server/replication/log_errors.h"

namespace hookgate {
namespace {

constexpr char kSqlState[] = "sqlstate";
constexpr int kBinary = 1;

// libpq's messages end with a line break, and may have several.
std::string OneLine(const char* message) {
  std::string line(message == nullptr ? "" : message);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  return line;
}

// Classes 28 (who we are) and 3D (which database) end attempts to connect; 42501 is a missing
// privilege.
bool IsAboutAccess(absl::string_view sql_state) {
  return absl::StartsWith(sql_state, "28") || absl::StartsWith(sql_state, "3D") ||
         sql_state == "42501";
}

absl::Status ServerError(const LibPq& pq, const PGresult* result) {
  const char* const field = pq.PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string sql_state = field == nullptr ? "" : field;
  const std::string message = OneLine(pq.PQresultErrorMessage(result));
  absl::Status status =
      IsAboutAccess(sql_state) ? EngineAccess(message) : EngineUnavailable(message);
  SetMetadata(status, kSqlState, sql_state);
  return status;
}

}  // namespace

StopSignal::StopSignal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

StopSignal::~StopSignal() {
  if (fd_ >= 0) close(fd_);
}

void StopSignal::Set() {
  set_ = true;
  const uint64_t one = 1;
  if (fd_ >= 0 && write(fd_, &one, sizeof one) < 0) {
    // The counter is full: it is set already.
  }
}

PostgresValue PostgresValue::Int(int64_t number) {
  PostgresValue value("", true);
  value.owned.resize(sizeof number);
  for (size_t i = 0; i < sizeof number; ++i) {
    value.owned[i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * (7 - i)));
  }
  return value;
}

absl::string_view PostgresRows::Bytes(int row, int column) const {
  if (pq_->PQgetisnull(result_.get(), row, column) != 0) return "";
  return {pq_->PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(pq_->PQgetlength(result_.get(), row, column))};
}

int64_t PostgresRows::Int(int row, int column) const {
  uint64_t number = 0;
  for (const char c : Bytes(row, column)) number = number << 8 | static_cast<unsigned char>(c);
  return static_cast<int64_t>(number);
}

int64_t PostgresRows::changed() const {
  int64_t rows = 0;
  return absl::SimpleAtoi(pq_->PQcmdTuples(result_.get()), &rows) ? rows : 0;
}

std::string SqlStateOf(const absl::Status& status) {
  const auto metadata = MetadataOf(status);
  const auto sql_state = metadata.find(kSqlState);
  return sql_state == metadata.end() ? "" : sql_state->second;
}

absl::StatusOr<PostgresAddress> PostgresAddress::Parse(const LibPq& pq, const std::string& uri) {
  PostgresAddress address;
  address.uri_ = uri;
  char* error = nullptr;
  PQconninfoOption* const options = pq.PQconninfoParse(uri.c_str(), &error);
  if (options == nullptr) {
    pq.PQfreemem(error);
    // libpq's message quotes the string, in which a password may be.
    return absl::InvalidArgumentError(
        "not an address of PostgreSQL's: postgresql://USER@HOST/DATABASE");
  }
  std::vector<std::string> hosts;
  std::vector<std::string> addresses;
  std::vector<std::string> ports;
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string keyword = option->keyword;
    address.said_.insert(keyword);
    if (keyword == "host") hosts = absl::StrSplit(option->val, ',');
    if (keyword == "hostaddr") addresses = absl::StrSplit(option->val, ',');
    if (keyword == "port") ports = absl::StrSplit(option->val, ',');
  }
  pq.PQconninfoFree(options);
  const auto entry = [](const std::vector<std::string>& list, size_t i) {
    if (list.empty()) return std::string();
    return list.size() == 1 ? list[0] : i < list.size() ? list[i] : std::string();
  };
  const size_t count = std::max({hosts.size(), addresses.size(), size_t{1}});
  for (size_t i = 0; i < count; ++i) {
    Keywords keywords;
    if (count > 1) {
      keywords = {
          {"host", entry(hosts, i)}, {"hostaddr", entry(addresses, i)}, {"port", entry(ports, i)}};
    }
    address.hosts_.push_back(std::move(keywords));
  }
  return address;
}

PostgresAddress::Keywords PostgresAddress::KeywordsOf(size_t host) const {
  Keywords keywords = {{"dbname", uri_}};
  // Whatever the URI leaves open. Keepalives end a connection whose server is gone while nobody
  // asks it anything.
  const Keywords defaults = {{"application_name", "hookgated"},
                             {"target_session_attrs", "read-write"},
                             {"keepalives_idle", "10"},
                             {"keepalives_interval", "5"},
                             {"keepalives_count", "3"}};
  for (const auto& keyword : defaults) {
    if (said_.count(keyword.first) == 0) keywords.push_back(keyword);
  }
  // What comes later wins.
  for (const auto& keyword : hosts_[host % hosts_.size()]) keywords.push_back(keyword);
  return keywords;
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Connect(
    const LibPq& pq, const PostgresAddress& address, size_t first_host, const StopSignal& stop,
    SteadyTime deadline) {
  // A host that hangs must not take the time of the others.
  constexpr absl::Duration kEachHost = absl::Seconds(2);
  absl::Status error;
  for (size_t i = 0; i < address.host_count(); ++i) {
    const SteadyTime until =
        address.host_count() == 1 ? deadline : std::min(deadline, SteadyDeadline(kEachHost));
    auto connection = ConnectTo(pq, address.KeywordsOf(first_host + i), stop, until);
    if (connection.ok()) {
      (*connection)->host_ = first_host + i;
      return connection;
    }
    // What a person has to mend is said rather than what may pass.
    if (error.ok() || connection.status().code() == absl::StatusCode::kPermissionDenied) {
      error = connection.status();
    }
    if (stop.is_set() || TimeLeft(deadline) <= absl::ZeroDuration()) break;
  }
  return error;
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::ConnectTo(
    const LibPq& pq, const PostgresAddress::Keywords& keywords, const StopSignal& stop,
    SteadyTime deadline) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const raw = pq.PQconnectStartParams(names.data(), values.data(), /*expand_dbname=*/1);
  if (raw == nullptr) return EngineUnavailable("no memory for a connection");
  std::unique_ptr<PostgresConnection> connection(new PostgresConnection(pq, stop, raw));
  RETURN_IF_ERROR(connection->FinishConnecting(deadline));
  return connection;
}

PostgresConnection::~PostgresConnection() { pq_.PQfinish(connection_); }

absl::Status PostgresConnection::FinishConnecting(SteadyTime deadline) {
  if (pq_.PQstatus(connection_) == CONNECTION_BAD) {
    return EngineUnavailable(OneLine(pq_.PQerrorMessage(connection_)));
  }
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) {
      const std::string message = OneLine(pq_.PQerrorMessage(connection_));
      // libpq has no SQLSTATE for these, and the server's words are in English only if it speaks
      // English: what is not recognised is tried again.
      const bool access = absl::StrContains(message, "authentication failed") ||
                          absl::StrContains(message, "no pg_hba.conf entry") ||
                          absl::StrContains(message, "does not exist") ||
                          absl::StrContains(message, "no password supplied") ||
                          absl::StrContains(message, "certificate");
      return access ? EngineAccess(message) : EngineUnavailable(message);
    }
    RETURN_IF_ERROR(Await(next == PGRES_POLLING_WRITING, deadline));
    next = pq_.PQconnectPoll(connection_);
  }
  pq_.PQsetNoticeReceiver(connection_, &PostgresConnection::OnNotice, this);
  if (pq_.PQsetnonblocking(connection_, 1) != 0 || pq_.PQenterPipelineMode(connection_) != 1) {
    return Broken("the connection cannot be used");
  }
  return absl::OkStatus();
}

std::string PostgresConnection::Server() const {
  return absl::StrCat(pq_.PQhost(connection_), ":", pq_.PQport(connection_), "/",
                      pq_.PQdb(connection_));
}

void PostgresConnection::OnNotice(void* self, const PGresult* notice) {
  auto* const connection = static_cast<PostgresConnection*>(self);
  const char* const severity =
      connection->pq_.PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && std::strcmp(severity, "WARNING") == 0) {
    connection->warning_ = OneLine(connection->pq_.PQresultErrorMessage(notice));
  }
}

absl::Status PostgresConnection::Broken(absl::string_view why) {
  broken_ = true;
  return EngineUnavailable(why);
}

absl::Status PostgresConnection::Await(bool or_written, SteadyTime deadline) {
  pollfd waits[] = {
      {pq_.PQsocket(connection_), static_cast<short>(or_written ? POLLIN | POLLOUT : POLLIN), 0},
      {stop_.fd(), POLLIN, 0}};
  while (true) {
    if (stop_.is_set()) return Broken("the log is shut down");
    const absl::Duration left = TimeLeft(deadline);
    if (left <= absl::ZeroDuration()) return Broken("the engine did not answer in time");
    // At least a millisecond, so that the last part of one is not spent in a loop.
    const int64_t milliseconds = std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000);
    const int ready = poll(waits, 2, static_cast<int>(milliseconds));
    if (ready > 0 && waits[0].revents != 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Broken(std::strerror(errno));
  }
}

absl::Status PostgresConnection::Send(const Statement& statement) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  // Text is sent with its end, which views do not have.
  std::vector<std::string> texts;
  texts.reserve(statement.values.size());
  for (const PostgresValue& value : statement.values) {
    if (!value.binary) texts.push_back(std::string(value.view()));
    values.push_back(value.binary ? value.view().data() : texts.back().c_str());
    lengths.push_back(static_cast<int>(value.view().size()));
    formats.push_back(value.binary ? kBinary : 0);
  }
  const int count = static_cast<int>(values.size());
  const int sent =
      statement.prepared
          ? pq_.PQsendQueryPrepared(connection_, statement.text.c_str(), count, values.data(),
                                    lengths.data(), formats.data(), kBinary)
          : pq_.PQsendQueryParams(connection_, statement.text.c_str(), count, nullptr,
                                  values.data(), lengths.data(), formats.data(), kBinary);
  if (sent != 1 || pq_.PQpipelineSync(connection_) != 1) {
    return Broken(OneLine(pq_.PQerrorMessage(connection_)));
  }
  return absl::OkStatus();
}

absl::StatusOr<PGresult*> PostgresConnection::NextResult(SteadyTime deadline) {
  while (true) {
    const int unsent = pq_.PQflush(connection_);
    if (unsent < 0) return Broken(OneLine(pq_.PQerrorMessage(connection_)));
    if (unsent == 0 && pq_.PQisBusy(connection_) == 0) return pq_.PQgetResult(connection_);
    RETURN_IF_ERROR(Await(unsent == 1, deadline));
    if (pq_.PQconsumeInput(connection_) != 1) {
      return Broken(OneLine(pq_.PQerrorMessage(connection_)));
    }
  }
}

absl::StatusOr<std::vector<PostgresRows>> PostgresConnection::Receive(size_t count,
                                                                      SteadyTime deadline) {
  std::vector<PostgresRows> rows;
  absl::Status error;
  // Each statement is answered by its result, by nothing, and by its synchronisation point.
  for (size_t synchronised = 0; synchronised < count;) {
    ASSIGN_OR_RETURN(PGresult* const result, NextResult(deadline));
    if (result == nullptr) {
      if (pq_.PQstatus(connection_) == CONNECTION_BAD) {
        return Broken(OneLine(pq_.PQerrorMessage(connection_)));
      }
      continue;
    }
    PostgresRows answer(pq_, result);
    switch (pq_.PQresultStatus(result)) {
      case PGRES_PIPELINE_SYNC:
        ++synchronised;
        break;
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        rows.push_back(std::move(answer));
        break;
      default:
        if (error.ok()) error = ServerError(pq_, result);
        // The last words of a connection that the server ends.
        if (pq_.PQstatus(connection_) == CONNECTION_BAD) {
          broken_ = true;
          return error;
        }
    }
  }
  if (!warning_.empty()) return Broken(absl::StrCat("PostgreSQL warned: ", warning_));
  if (!error.ok()) return error;
  return rows;
}

absl::StatusOr<std::vector<PostgresRows>> PostgresConnection::Run(
    const std::vector<Statement>& statements, SteadyTime deadline) {
  if (broken_) return EngineUnavailable("the connection is broken");
  warning_.clear();
  for (const Statement& statement : statements) RETURN_IF_ERROR(Send(statement));
  return Receive(statements.size(), deadline);
}

absl::StatusOr<PostgresRows> PostgresConnection::RunOne(Statement statement, SteadyTime deadline) {
  std::vector<Statement> statements;
  statements.push_back(std::move(statement));
  ASSIGN_OR_RETURN(std::vector<PostgresRows> rows, Run(statements, deadline));
  if (rows.size() != 1) return Broken("PostgreSQL gave an unexpected answer");
  return std::move(rows.front());
}

absl::Status PostgresConnection::Prepare(const std::string& name, const std::string& sql,
                                         SteadyTime deadline) {
  if (pq_.PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr) != 1 ||
      pq_.PQpipelineSync(connection_) != 1) {
    return Broken(OneLine(pq_.PQerrorMessage(connection_)));
  }
  return Receive(1, deadline).status();
}

}  // namespace hookgate
