#include "client/cli/commands/cluster_status_command.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/cli/time_format.h"
#include "client/target.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

using Cluster = v1::GetStatusResponse::Cluster;

constexpr char kName[] = "cluster status";
constexpr size_t kMaxGateways = 32;

// What one gateway said, or why it said nothing.
struct Answer {
  std::string target;
  absl::Status failure;
  bool unreachable = false;
  v1::GetStatusResponse status;

  bool is_replica() const { return failure.ok() && status.has_cluster(); }
  const Cluster& cluster() const { return status.cluster(); }
};

Answer Ask(const std::string& target, const Flags& flags, Environment& environment) {
  Answer answer = {.target = target};
  GatewayClient gateway(target, flags, environment);
  const GatewayError error = gateway.Try(&v1::AdminService::StubInterface::GetStatus,
                                         v1::GetStatusRequest(), answer.status);
  if (!error.status.ok()) {
    answer.failure = Explain(error, "cannot get the status", target);
    answer.unreachable = !error.FromGateway();
  }
  return answer;
}

Table::Cell RoleCell(const Cluster& cluster) {
  switch (cluster.role()) {
    case Cluster::ROLE_LEADER:
      return {"leader", Look::kGood};
    case Cluster::ROLE_FOLLOWER:
      return {"follower"};
    case Cluster::ROLE_CANDIDATE:
      return {"candidate", Look::kFaint};
    case Cluster::ROLE_STOPPED:
      return {"STOPPED", Look::kBad};
    default:
      return {"-"};
  }
}

std::string LagText(const Cluster& cluster) {
  if (!cluster.has_lag()) return "-";
  return DurationText(absl::Seconds(cluster.lag().seconds()) +
                      absl::Milliseconds(cluster.lag().nanos() / 1'000'000));
}

Table::Cell ReadyCell(const v1::GetStatusResponse& status) {
  if (status.ready()) return {"yes", Look::kGood};
  return {"no"};
}

void AddRow(const Answer& answer, Table& table) {
  const Cluster& cluster = answer.cluster();
  table.AddRow({{cluster.replica()},
                RoleCell(cluster),
                {absl::StrCat(cluster.term())},
                {absl::StrCat(cluster.applied_index())},
                {absl::StrCat(cluster.known_index())},
                {LagText(cluster)},
                ReadyCell(answer.status),
                {cluster.leader().empty() ? "-" : cluster.leader()},
                {cluster.engine_server().empty() ? cluster.engine() : cluster.engine_server()},
                {answer.target}});
}

// What is wrong with one of them.
void AddProblems(const Answer& answer, std::vector<std::string>& problems) {
  if (!answer.failure.ok()) {
    problems.push_back(std::string(answer.failure.message()));
    return;
  }
  if (!answer.status.has_cluster()) {
    problems.push_back(absl::StrCat(answer.target, ": is not a replica of a cluster"));
    return;
  }
  const Cluster& cluster = answer.cluster();
  if (cluster.role() == Cluster::ROLE_STOPPED) {
    problems.push_back(absl::StrCat(cluster.replica(), " has stopped, until a person acts: ",
                                    cluster.problem(), ". What to do stands in docs/cluster.md"));
  } else if (!cluster.problem().empty()) {
    problems.push_back(absl::StrCat(cluster.replica(), ": ", cluster.problem()));
  }
  if (!cluster.engine_problem().empty() && cluster.engine_problem() != cluster.problem()) {
    problems.push_back(
        absl::StrCat(cluster.replica(), ": ", cluster.engine(), ": ", cluster.engine_problem()));
  }
  for (const Cluster::Peer& peer : cluster.peers()) {
    if (peer.problem().empty()) continue;
    problems.push_back(
        absl::StrCat(cluster.replica(), " does not reach ", peer.name(), ": ", peer.problem()));
  }
}

// What is wrong with them as one cluster.
void AddProblemsOfAll(const std::vector<Answer>& answers, std::vector<std::string>& problems) {
  std::set<std::string> logs;
  std::set<std::string> names;
  std::vector<std::string> leaders;
  std::set<std::string> seen;  // as leaders, by the others
  for (const Answer& answer : answers) {
    if (!answer.is_replica()) continue;
    const Cluster& cluster = answer.cluster();
    logs.insert(absl::StrCat(cluster.name(), " (epoch ", answer.status.epoch(), ")"));
    if (!names.insert(cluster.replica()).second) {
      problems.push_back(absl::StrCat("two of these call themselves ", cluster.replica(),
                                      ": each replica needs a name of its own"));
    }
    if (cluster.role() == Cluster::ROLE_LEADER) leaders.push_back(cluster.replica());
    if (!cluster.leader().empty()) seen.insert(cluster.leader());
  }
  if (logs.size() > 1) {
    problems.push_back(
        absl::StrCat("these are not of one cluster, but of ", absl::StrJoin(logs, ", ")));
    return;
  }
  if (leaders.size() > 1) {
    problems.push_back(absl::StrCat(
        absl::StrJoin(leaders, " and "),
        " say that they lead: the one of the lower term has lost, and stores nothing; ask again"));
  }
  if (!logs.empty() && leaders.empty()) {
    problems.push_back(absl::StrCat(
        "none of these leads",
        seen.empty() ? ": unless one does that was not asked, webhooks are answered 503"
                     : absl::StrCat("; as far as they know, ", absl::StrJoin(seen, " or "),
                                    " does: ask that one, too")));
  }
}

// Of a cluster whose replicas hand nothing on to the leader, followers are not: nothing is wrong.
std::string NotReadyText(const std::vector<Answer>& answers) {
  std::string text;
  for (const Answer& answer : answers) {
    if (!answer.is_replica() || answer.status.ready()) continue;
    const std::string why = absl::StrJoin(answer.status.not_ready_reasons(), "; ");
    absl::StrAppend(
        &text, Printable(absl::StrCat(answer.cluster().replica(), " is not ready: ", why)), "\n");
  }
  return text;
}

std::string TrustText(const std::vector<Answer>& answers) {
  std::set<std::string> trusted;
  for (const Answer& answer : answers) {
    trusted.insert(answer.cluster().trusted().begin(), answer.cluster().trusted().end());
  }
  return absl::StrJoin(trusted, ", ");
}

// Who holds back what a newer version brings; "": nobody. Of a gateway that does not say what it
// reads nothing is known.
std::string SchemaText(const std::vector<Answer>& answers) {
  std::map<std::string, int> read;  // what each replica reads, as it says, or the leader
  int agreed = 0;
  int newest = 0;
  for (const Answer& answer : answers) {
    if (!answer.is_replica()) continue;
    const Cluster& cluster = answer.cluster();
    agreed = std::max(agreed, cluster.agreed_schema());
    for (const Cluster::Peer& peer : cluster.peers()) {
      read[peer.name()] =
          std::max(read[peer.name()], peer.schema());  // only the leader hears of all
    }
  }
  for (const Answer& answer : answers) {
    if (answer.is_replica()) read[answer.cluster().replica()] = answer.cluster().schema();
  }
  for (const auto& [name, schema] : read) newest = std::max(newest, schema);
  if (agreed == 0 || newest <= agreed) return "";
  std::vector<std::string> older;
  for (const auto& [name, schema] : read) {
    if (schema == 0) older.push_back(absl::StrCat(name, " (not heard of)"));
    if (schema > 0 && schema < newest) older.push_back(absl::StrCat(name, " (reads ", schema, ")"));
  }
  return absl::StrCat("the cluster has agreed on schema ", agreed, "; what needs schema ", newest,
                      " is refused until ",
                      older.empty()
                          ? "the leader has heard that all replicas read it"
                          : absl::StrCat("these are upgraded: ", absl::StrJoin(older, ", ")));
}

void PrintText(const std::vector<Answer>& answers, const std::vector<std::string>& problems,
               const Style& style, std::ostream& out) {
  const auto first = std::find_if(answers.begin(), answers.end(),
                                  [](const Answer& answer) { return answer.is_replica(); });
  if (first != answers.end()) {
    out << "cluster " << Printable(first->cluster().name()) << ", epoch "
        << Printable(first->status.epoch()) << "\n\n";
    Table table({{"REPLICA"},
                 {"ROLE"},
                 {"TERM", /*right_aligned=*/true},
                 {"APPLIED", true},
                 {"KNOWN", true},
                 {"LAG", true},
                 {"READY"},
                 {"LEADER"},
                 {"ENGINE"},
                 {"ADDRESS"}});
    for (const Answer& answer : answers) {
      if (answer.is_replica()) AddRow(answer, table);
    }
    table.Print(style, out);
  }
  const std::string not_ready = NotReadyText(answers);
  if (!not_ready.empty()) out << "\n" << not_ready;
  const std::string schema = SchemaText(answers);
  if (!schema.empty()) out << "\n" << Printable(schema) << "\n";
  const std::string trusted = TrustText(answers);
  if (!trusted.empty()) out << "\ntaken on trust: " << Printable(trusted) << "\n";
  if (problems.empty()) return;
  out << "\n";
  for (const std::string& problem : problems) {
    out << style(Look::kBad, absl::StrCat("! ", Printable(problem))) << "\n";
  }
}

// One object a line, for each gateway.
void PrintJson(const std::vector<Answer>& answers, std::ostream& out) {
  for (const Answer& answer : answers) {
    out << R"({"target":)"
        << PrintableJson(boost::json::serialize(boost::json::string(answer.target)));
    if (answer.is_replica()) {
      out << R"(,"ready":)" << (answer.status.ready() ? "true" : "false") << R"(,"epoch":)"
          << PrintableJson(boost::json::serialize(boost::json::string(answer.status.epoch())))
          << R"(,"cluster":)" << MessageJson(answer.cluster());
    } else {
      const std::string error = answer.failure.ok() ? "is not a replica of a cluster"
                                                    : std::string(answer.failure.message());
      out << R"(,"error":)" << PrintableJson(boost::json::serialize(boost::json::string(error)));
    }
    out << "}\n";
  }
}

int Run(const Flags& flags, Environment& environment) {
  std::vector<std::string> targets = flags.arguments();
  if (targets.empty()) targets.push_back(flags.Text("grpc"));
  for (const std::string& target : flags.arguments()) {
    const absl::Status right = CheckTarget(target);
    if (!right.ok()) {
      return WrongUsage(kName, absl::StrCat("\"", target, "\" is not right: ", right.message()),
                        environment);
    }
  }
  std::vector<Answer> answers;
  for (const std::string& target : targets) answers.push_back(Ask(target, flags, environment));
  std::vector<std::string> problems;
  for (const Answer& answer : answers) AddProblems(answer, problems);
  AddProblemsOfAll(answers, problems);
  if (IsJson(flags)) {
    PrintJson(answers, environment.out);
  } else {
    PrintText(answers, problems, StyleOf(flags, environment), environment.out);
  }
  const bool nobody_answered = std::all_of(answers.begin(), answers.end(),
                                           [](const Answer& answer) { return answer.unreachable; });
  if (nobody_answered) return kUnreachable;
  return problems.empty() ? kSuccess : kFailed;
}

}  // namespace

Command ClusterStatusCommand() {
  return {
      .name = kName,
      .summary = "Tell who leads, and how far each replica is",
      .description =
          "Asks each gateway that is named, or the one of --grpc, and shows what it says of "
          "itself: its role, the term, the newest record of the cluster's log that it has applied "
          "and that it has heard of, for how long it has been behind, whether it is ready, who "
          "leads as far as it knows, and the engine's server that it is connected to. Below that "
          "stands, during an upgrade, which replicas hold back what a newer version brings; and "
          "what is wrong with one of them, or with all of them together.\n\n"
          "Name every replica: one that is not asked may lead, and one that does not answer is "
          "known by its silence alone.",
      .arguments = {.usage = "[HOST:PORT ...]", .least = 0, .most = kMaxGateways},
      .flags = CallFlags("How long each gateway may take."),
      .examples = {{"hookgate cluster status a.internal:50051 b.internal:50051 c.internal:50051",
                    "Is the cluster well?"},
                   {"hookgate cluster status --output json | jq -r .cluster.leader_address",
                    "Where does the leader take calls?"}},
      .exits = {{kSuccess, "All that were asked are well, and somebody leads."},
                {kFailed, "Something is wrong, and is printed."},
                {kWrongUsage, "The command line is wrong."},
                {kUnreachable, "No gateway answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
