// The same webhooks into what people would take instead, each as durable as it can be told to be.
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/load_generator.h"
#include "tests/bench/subscribers.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

constexpr int kConnections = 64;

Figure PerSecond(const LoadResult& load) {
  ExpectNoneRefused(load.refused);
  return {.value = static_cast<double>(load.latencies.size()) / absl::ToDoubleSeconds(load.elapsed),
          .note = absl::StrFormat("p99 %.2f ms",
                                  absl::ToDoubleMilliseconds(Percentile(load.latencies, 0.99)))};
}

Figure MeasureGateway(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  return PerSecond(RunLoad({.address = gateway->http(), .connections = kConnections},
                           SignedRequests(settings.Count(200'000, 10'000))));
}

std::vector<std::string> Bodies(int count) {
  std::vector<std::string> bodies;
  for (int i = 0; i < count; ++i) bodies.push_back(BatchFailedBody(absl::StrCat("batch_", i)));
  return bodies;
}

std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// --- Redis: its protocol is RESP ---

std::string RedisCommand(const std::vector<std::string>& words) {
  std::string command = absl::StrCat("*", words.size(), "\r\n");
  for (const std::string& word : words) {
    absl::StrAppend(&command, "$", word.size(), "\r\n", word, "\r\n");
  }
  return command;
}

// A bulk string, the id of the entry, or an error.
absl::optional<LoadProtocol::Answer> ParseRedis(absl::string_view received) {
  const size_t line_end = received.find("\r\n");
  if (line_end == absl::string_view::npos) return absl::nullopt;
  size_t length = 0;
  if (received[0] != '$' || !absl::SimpleAtoi(received.substr(1, line_end - 1), &length)) {
    return LoadProtocol::Answer{.bytes = line_end + 2, .good = false};
  }
  const size_t bytes = line_end + 2 + length + 2;
  if (received.size() < bytes) return absl::nullopt;
  return LoadProtocol::Answer{.bytes = bytes, .good = true};
}

Figure MeasureRedis(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const std::string address = FreeAddress();
  const ServerProcess redis(
      settings,
      {"redis-server", "--bind", "127.0.0.1", "--port", PortOf(address), "--dir", folder.path(),
       "--save", "", "--appendonly", "yes", "--appendfsync", "always"},
      address);
  std::vector<std::string> requests;
  for (const std::string& body : Bodies(settings.Count(200'000, 10'000))) {
    requests.push_back(RedisCommand({"XADD", "events", "*", "body", body}));
  }
  return PerSecond(
      RunLoad({.address = address, .connections = kConnections, .protocol = {.parse = &ParseRedis}},
              requests));
}

// --- NATS: its protocol is lines, and JetStream answers on the reply subject ---

absl::optional<LoadProtocol::Answer> ParseNats(absl::string_view received) {
  absl::string_view rest = received;
  while (absl::ConsumePrefix(&rest, "PING\r\n")) continue;
  const size_t line_end = rest.find("\r\n");
  if (line_end == absl::string_view::npos) return absl::nullopt;
  const std::vector<absl::string_view> words = absl::StrSplit(rest.substr(0, line_end), ' ');
  size_t length = 0;
  if (words[0] != "MSG" || !absl::SimpleAtoi(words.back(), &length)) {
    return LoadProtocol::Answer{.bytes = received.size(), .good = false};
  }
  const size_t bytes = line_end + 2 + length + 2;
  if (rest.size() < bytes) return absl::nullopt;
  return LoadProtocol::Answer{.bytes = received.size() - rest.size() + bytes,
                              .good = !absl::StrContains(rest.substr(line_end, length), "error")};
}

LoadProtocol NatsProtocol(const std::string& subject) {
  return {.greeting =
              [](int connection) {
                return absl::StrCat("CONNECT {\"verbose\":false}\r\nSUB _INBOX.", connection,
                                    " 1\r\nPING\r\n");
              },
          .greeting_reply_end = "PONG\r\n",
          .to_wire =
              [subject](int connection, const std::string& body) {
                return absl::StrCat("PUB ", subject, " _INBOX.", connection, " ", body.size(),
                                    "\r\n", body, "\r\n");
              },
          .parse = &ParseNats};
}

Figure MeasureNats(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const std::string address = FreeAddress();
  const ServerProcess nats(settings,
                           {"nats-server", "--addr", "127.0.0.1", "--port", PortOf(address),
                            "--jetstream", "--store_dir", folder.path()},
                           address);
  const std::vector<std::string> create = {
      R"({"name":"EVENTS","subjects":["events"],"storage":"file","retention":"limits"})"};
  ExpectNoneRefused(RunLoad({.address = address,
                             .connections = 1,
                             .protocol = NatsProtocol("$JS.API.STREAM.CREATE.EVENTS")},
                            create)
                        .refused);
  return PerSecond(
      RunLoad({.address = address, .connections = kConnections, .protocol = NatsProtocol("events")},
              Bodies(settings.Count(200'000, 10'000))));
}

// --- Node ---

Figure MeasureNode(const BenchSettings& settings) {
  const BenchFolder folder(settings.folder);
  const std::string address = FreeAddress();
  const ServerProcess node(settings,
                           {"node", settings.node_server, settings.node_modules, folder.path(),
                            PortOf(address), kTestSecret},
                           address);
  return PerSecond(RunLoad({.address = address, .connections = kConnections},
                           SignedRequests(settings.Count(50'000, 8'000))));
}

// --- Go ---

Figure MeasureWithSubscribers(const std::string& http, const std::string& grpc, int subscribers,
                              int webhooks) {
  const std::vector<std::string> requests = SignedRequests(webhooks);
  Subscribers live(grpc, subscribers, Subscribers::Start::kLatest,
                   static_cast<int64_t>(requests.size()));
  const LoadResult load = RunLoad({.address = http, .connections = kConnections}, requests);
  live.Wait();
  return PerSecond(load);
}

Figure MeasureGatewayWith(const BenchSettings& settings, int subscribers) {
  const BenchFolder folder(settings.folder);
  const auto gateway = StartGateway(settings, folder.path());
  return MeasureWithSubscribers(gateway->http(), gateway->grpc(), subscribers,
                                settings.Count(200'000, 10'000));
}

Figure MeasureGo(const BenchSettings& settings, int subscribers) {
  const BenchFolder folder(settings.folder);
  const std::string http = FreeAddress();
  const std::string grpc = FreeAddress();
  const ServerProcess go(settings, {settings.go_receiver, http, grpc, folder.path(), kTestSecret},
                         http);
  return MeasureWithSubscribers(http, grpc, subscribers, settings.Count(100'000, 8'000));
}

std::string MissingUnless(bool installed, const std::string& what) {
  return installed ? "" : what + " is not installed: bazel/bench --install";
}

}  // namespace

std::vector<BenchCase> AlternativeCases(const BenchSettings& settings) {
  const auto measure = [&settings] { return MeasureGateway(settings); };
  const std::string what = "webhooks stored, 64 connections";
  const auto no_go_receiver = [&settings] {
    return MissingUnless(std::filesystem::exists(settings.go_receiver), "The receiver in Go");
  };
  return {{.name = "redis",
           .what = what,
           .unit = "/s",
           .reference = "Redis XADD, appendfsync always",
           .target = 1.2,
           .measure = measure,
           .measure_reference = [&settings] { return MeasureRedis(settings); },
           .why_skipped = [] { return MissingUnless(IsInPath("redis-server"), "Redis"); }},
          {.name = "nats",
           .what = what,
           .unit = "/s",
           .reference = "NATS JetStream file store",
           .target = 1.5,
           .measure = measure,
           .measure_reference = [&settings] { return MeasureNats(settings); },
           .why_skipped = [] { return MissingUnless(IsInPath("nats-server"), "NATS"); }},
          {.name = "node",
           .what = what,
           .unit = "/s",
           .reference = "Node: fastify, openai's unwrap, fsync",
           .target = 6,
           .measure = measure,
           .measure_reference = [&settings] { return MeasureNode(settings); },
           .why_skipped =
               [&settings] {
                 const bool installed =
                     IsInPath("node") && std::filesystem::exists(settings.node_modules + "/openai");
                 return MissingUnless(installed, "Node with fastify and openai");
               }},
          {.name = "go",
           .what = what,
           .unit = "/s",
           .reference = "Go: net/http, SQLite in groups, grpc-go",
           .target = 2.5,
           .measure = measure,
           .measure_reference = [&settings] { return MeasureGo(settings, 0); },
           .why_skipped = no_go_receiver},
          {.name = "go_subscribed",
           .what = "webhooks stored, 10 live subscribers",
           .unit = "/s",
           .reference = "Go, the same",
           .target = 2.5,
           .measure = [&settings] { return MeasureGatewayWith(settings, 10); },
           .measure_reference = [&settings] { return MeasureGo(settings, 10); },
           .why_skipped = no_go_receiver}};
}

}  // namespace hookgate
