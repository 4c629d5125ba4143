// What senders are answered by a real gateway, and what is stored then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/base/config.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/event/event_schema.h"
#include "server/event/sample_event.h"
#include "tests/bench/process_usage.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

using testing::HasSubstr;

class IngestTest : public GatewayTest {
 protected:
  // Expects that `request` is refused so, and that nothing was stored.
  void ExpectRefused(const std::string& request, int status, const std::string& code,
                     const std::string& detail_part = "") {
    const HttpReply reply = SendBytes(request);
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_EQ(reply.field("content-type"), "application/problem+json");
    EXPECT_THAT(reply.body, HasSubstr(absl::StrCat("\"code\":\"", code, "\"")));
    EXPECT_THAT(reply.body, HasSubstr(detail_part));
    EXPECT_THAT(StoredEvents(), testing::IsEmpty());
  }
  // Counts the rows of a table of the stopped gateway's log.
  int RowsOf(const std::string& table) {
    sqlite3* database = nullptr;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_open((data_dir_ + "/events.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_prepare_v2(database, ("SELECT count(*) FROM " + table).c_str(), -1,
                                 &statement, nullptr),
              SQLITE_OK);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const int rows = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return rows;
  }
};

TEST_F(IngestTest, BatchFailedIsStoredAndTyped) {
  Start();
  const HttpReply reply = Send({.webhook_id = "wh_1", .body = BatchFailedBody("batch_abc")});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"status":"stored","sequence":"1"})");
  const auto events = StoredEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].source(), "openai");
  EXPECT_EQ(events[0].webhook_id(), "wh_1");
  EXPECT_EQ(events[0].type(), "batch.failed");
  EXPECT_EQ(events[0].subject(), "batch_abc");
  EXPECT_EQ(events[0].batch_failed().data().id(), "batch_abc");
  EXPECT_EQ(events[0].batch_failed().created_at(), 1750000000);
  EXPECT_EQ(events[0].raw_body(), BatchFailedBody("batch_abc"));
  EXPECT_EQ(events[0].durability(), v1::DURABILITY_LOCAL_DISK);
}

TEST_F(IngestTest, RepeatIsAnsweredTheSameSequenceAndAddsNothing) {
  Start();
  Store({.webhook_id = "wh_1"});
  // As OpenAI repeats: a new time and signature.
  const HttpReply reply =
      Send({.webhook_id = "wh_1", .webhook_time = absl::Now() - absl::Seconds(100)});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"status":"duplicate","sequence":"1"})");
  EXPECT_EQ(StoredEvents().size(), 1u);
}

TEST_F(IngestTest, RepeatWithAnotherBodyKeepsTheFirstAndIsLoggedAsAConflict) {
  Start();
  Store({.webhook_id = "wh_1", .body = BatchFailedBody("first")});
  EXPECT_EQ(Send({.webhook_id = "wh_1", .body = BatchFailedBody("second")}).body,
            R"({"status":"duplicate","sequence":"1"})");
  const auto events = StoredEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].subject(), "first");
  EXPECT_THAT(gateway_->log(), HasSubstr("another body"));
}

TEST_F(IngestTest, TheSameIdFromAnotherSourceIsAnotherEvent) {
  StartWithConfig(R"(
    sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } }
    sources { name: "staging" secrets { name: "b" inline: "OTHER_SECRET" } })");
  Store({.webhook_id = "wh_1"});
  Store({.webhook_id = "wh_1", .source = "staging", .secret = kOtherSecret});
  EXPECT_EQ(StoredEvents().size(), 2u);
  // Each source has its own secrets.
  EXPECT_EQ(Send({.source = "staging"}).status, 401);
}

TEST_F(IngestTest, UnknownTypeIsStoredWithItsJson) {
  Start();
  const std::string body = R"({"type":"moon.landed","data":{"id":"moon_1"},"extra":[1,2]})";
  Store({.body = body});
  const auto events = StoredEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type(), "moon.landed");
  EXPECT_EQ(events[0].subject(), "moon_1");
  EXPECT_EQ(events[0].unrecognized().raw_json(), body);
}

TEST_F(IngestTest, EveryKnownTypeArrivesTyped) {
  Start();
  for (const EventType& type : KnownEventTypes()) {
    Store({.body = SampleEventBody(type, "subject_of_it", absl::Now())});
  }
  const auto events = StoredEvents();
  ASSERT_EQ(events.size(), KnownEventTypes().size());
  for (size_t i = 0; i < events.size(); ++i) {
    const EventType& type = KnownEventTypes()[i];
    EXPECT_EQ(events[i].type(), type.name);
    EXPECT_EQ(events[i].subject(), "subject_of_it");
    EXPECT_TRUE(events[i].GetReflection()->HasField(events[i], type.arm)) << type.name;
  }
}

// A sender with a key pair: the gateway has the public key alone.
class KeyPair {
 public:
  KeyPair() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")) {}
  ~KeyPair() { EVP_PKEY_free(key_); }
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;

  std::string PublicKeyText() const {
    unsigned char bytes[32];
    size_t size = sizeof(bytes);
    EXPECT_EQ(EVP_PKEY_get_raw_public_key(key_, bytes, &size), 1);
    return absl::StrCat("whpk_", Base64(bytes, size));
  }
  // The entry of webhook-signature.
  std::string Sign(const std::string& message) const {
    unsigned char signature[64];
    size_t size = sizeof(signature);
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key_), 1);
    EXPECT_EQ(
        EVP_DigestSign(context, signature, &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()),
        1);
    EVP_MD_CTX_free(context);
    return absl::StrCat("v1a,", Base64(signature, size));
  }

 private:
  static std::string Base64(const unsigned char* bytes, size_t size) {
    return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(bytes), size));
  }

  EVP_PKEY* const key_;
};

TEST_F(IngestTest, SenderWithAKeyPairIsVerifiedByItsPublicKey) {
  const KeyPair pair;
  StartWithConfig(absl::StrCat(R"(sources { name: "openai" secrets { name: "pair" inline: ")",
                               pair.PublicKeyText(), "\" } }"));
  SignedWebhook webhook;
  auto fields = webhook.SignedFields();  // By the shared secret, which this source does not have.
  EXPECT_EQ(SendBytes(WebhookRequest("openai", fields, webhook.body)).status, 401);
  fields[2].second =
      pair.Sign(absl::StrCat(fields[0].second, ".", fields[1].second, ".", webhook.body));
  EXPECT_EQ(SendBytes(WebhookRequest("openai", fields, webhook.body)).status, 200);
  EXPECT_EQ(SendBytes(WebhookRequest("openai", fields, webhook.body + " ")).status, 401);
  // What everybody knows is no shared secret.
  EXPECT_EQ(Send({.secret = absl::StrCat("whsec_", pair.PublicKeyText().substr(5))}).status, 401);
}

TEST_F(IngestTest, SvixHeaderNamesAreTakenToo) {
  Start();
  Store({.header_prefix = "svix-"});
}

TEST_F(IngestTest, ChunkedBodyAndExpectContinueAreTaken) {
  Start();
  SignedWebhook webhook;
  std::string head =
      "POST /webhooks/openai HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
      "Transfer-Encoding: chunked\r\n";
  for (const auto& [name, value] : webhook.SignedFields()) {
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  HttpClient client(gateway_->http());
  client.Send(head + "\r\n");
  const auto go_on = client.ReadHead();
  ASSERT_TRUE(go_on.has_value());
  EXPECT_EQ(go_on->status, 100);
  for (char c : webhook.body) client.Send(absl::StrCat("1\r\n", std::string(1, c), "\r\n"));
  client.Send("0\r\n\r\n");
  EXPECT_EQ(client.ReadReply()->status, 200);
}

TEST_F(IngestTest, OneConnectionCarriesManyWebhooks) {
  Start();
  HttpClient client(gateway_->http());
  for (int i = 1; i <= 20; ++i) {
    client.Send(SignedWebhook{}.Request());
    const auto reply = client.ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->body, absl::StrCat(R"({"status":"stored","sequence":")", i, "\"}"));
  }
}

TEST_F(IngestTest, EveryRefusalSaysWhyAndStoresNothing) {
  StartWithConfig(R"(
    sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } }
    http { max_body_bytes: 1000 })");
  SignedWebhook webhook;
  const std::string body = webhook.body;
  const auto fields = webhook.SignedFields();

  // Not proven to be the sender's.
  ExpectRefused(WebhookRequest("openai", {}, body), 401, "missing_header", "webhook-id");
  ExpectRefused(WebhookRequest("openai", {fields[0], fields[2]}, body), 401, "missing_header",
                "webhook-timestamp");
  ExpectRefused(
      WebhookRequest("openai", {fields[0], fields[1], {"webhook-signature", "v2,eA=="}}, body), 401,
      "signature_mismatch");
  ExpectRefused(
      WebhookRequest("openai", {fields[0], {"webhook-timestamp", "now"}, fields[2]}, body), 401,
      "malformed_header", "webhook-timestamp");
  ExpectRefused(
      WebhookRequest("openai", {fields[0], {"webhook-id", "wh_other"}, fields[1], fields[2]}, body),
      401, "conflicting_headers", "webhook-id");
  ExpectRefused(SignedWebhook{.webhook_time = absl::Now() - absl::Seconds(310)}.Request(), 401,
                "timestamp_too_old");
  ExpectRefused(SignedWebhook{.webhook_time = absl::Now() + absl::Seconds(310)}.Request(), 401,
                "timestamp_too_new");
  ExpectRefused(WebhookRequest("openai", fields, body + " "), 401, "signature_mismatch");
  ExpectRefused(SignedWebhook{.secret = kWrongSecret}.Request(), 401, "signature_mismatch");

  // Not for this gateway.
  ExpectRefused(SignedWebhook{.source = "stripe"}.Request(), 404, "unknown_source");
  ExpectRefused("POST /nowhere HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", 404,
                "not_found");
  ExpectRefused("GET /webhooks/openai HTTP/1.1\r\nHost: test\r\n\r\n", 405, "method_not_allowed");
  ExpectRefused(SignedWebhook{.more_fields = {{"Content-Encoding", "gzip"}}}.Request(), 415,
                "encoded_body");
  ExpectRefused(SignedWebhook{.body = std::string(1001, ' ')}.Request(), 413, "body_too_large");
  ExpectRefused("POST /webhooks/openai HTTP/1.1\r\nHost: test\r\nX: " + std::string(100'000, 'x') +
                    "\r\n\r\n",
                431, "header_too_large");
  ExpectRefused("this is not HTTP\r\n\r\n", 400, "malformed_request");

  // Signed, but not to be read: kept aside.
  ExpectRefused(SignedWebhook{.body = "{\"type\": "}.Request(), 400, "body_not_json");
  ExpectRefused(SignedWebhook{.body = R"({"type":"batch.failed","data":{}})"}.Request(), 422,
                "invalid_event");
  ExpectRefused(SignedWebhook{.body = BatchFailedBody("\xff")}.Request(), 400, "body_not_json");
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  EXPECT_EQ(RowsOf("quarantine"), 3);
  EXPECT_EQ(RowsOf("events"), 0);
}

TEST_F(IngestTest, MethodRefusalNamesTheMethodThatIsTaken) {
  Start();
  EXPECT_EQ(SendBytes("GET /webhooks/openai HTTP/1.1\r\nHost: test\r\n\r\n").field("allow"),
            "POST");
}

TEST_F(IngestTest, OnlyAllowedAddressesMaySend) {
  StartWithConfig(R"(
    http { trusted_proxies: "127.0.0.1" }
    sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" }
              allowed_networks: "192.0.2.0/24" allowed_networks: "2001:db8::/32" }
    sources { name: "anywhere" secrets { name: "a" file: "SECRET_FILE" } })");
  const auto from = [](const std::string& forwarded_for) {
    return SignedWebhook{.more_fields = {{"X-Forwarded-For", forwarded_for}}};
  };
  ExpectRefused(from("203.0.113.9").Request(), 403, "address_not_allowed", "203.0.113.9");
  ExpectRefused(from("192.0.2.1, 203.0.113.9").Request(), 403, "address_not_allowed");
  ExpectRefused(from("192.0.2.1, nobody").Request(), 403, "address_not_allowed", "127.0.0.1");
  ExpectRefused(SignedWebhook().Request(), 403, "address_not_allowed", "127.0.0.1");
  EXPECT_THAT(gateway_->log(), HasSubstr("203.0.113.9"));
  Store(from("192.0.2.1"));
  Store(from("203.0.113.9, 2001:db8::1"));
  Store({.source = "anywhere"});
}

TEST_F(IngestTest, NobodyNamesAnotherAddressWithoutBeingTrusted) {
  const std::string sources = R"(
    sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } allowed_networks: ")";
  StartWithConfig(absl::StrCat(sources, "192.0.2.1\" }"));
  EXPECT_EQ(Send({.more_fields = {{"X-Forwarded-For", "192.0.2.1"}}}).status, 403);
  Reload(absl::StrCat(sources, "127.0.0.0/8\" }"));
  Store({.more_fields = {{"X-Forwarded-For", "192.0.2.1"}}});
}

TEST_F(IngestTest, WebhooksComeInOverTls) {
  const TestAuthority authority, next_authority;
  const TestCertificate own = authority.Issue();
  const std::string certificate = WriteFile(own.certificate);
  const std::string key = WriteFile(own.key);
  const std::string config = HttpsConfig(certificate, key);
  StartWithConfig(config);
  HttpClient sender(gateway_->http(), authority.certificate());
  ASSERT_TRUE(sender.Send(SignedWebhook().Request()));
  auto reply = sender.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, R"({"status":"stored","sequence":"1"})");
  EXPECT_FALSE(HttpClient(gateway_->http(), next_authority.certificate()).Send("x"));
  const TestCertificate next = next_authority.Issue();
  std::ofstream(certificate, std::ios::binary) << next.certificate;
  std::ofstream(key, std::ios::binary) << next.key;
  Reload(config);
  HttpClient again(gateway_->http(), next_authority.certificate());
  ASSERT_TRUE(again.Send(SignedWebhook().Request()));
  reply = again.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
}

TEST_F(IngestTest, TenThousandIdleConnectionsCostLittleAndMakeRoomForTheNext) {
  constexpr int kConnections = 10'000;
  constexpr int64_t kMaxBytesEach = 8 << 10;
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);  // The gateway's, too.
  ASSERT_GE(files.rlim_cur, kConnections + 200u)
      << "the hard limit of open files is too low for so many connections";

  StartWithConfig(R"(http { max_connections: 10000 max_connections_per_address: 10000
                            header_timeout { seconds: 3600 } idle_timeout { seconds: 3600 } }
                     sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } })");
  std::vector<std::unique_ptr<HttpClient>> clients;
  clients.push_back(std::make_unique<HttpClient>(gateway_->http()));
  ASSERT_TRUE(clients[0]->Send(SignedWebhook().Request()));
  ASSERT_TRUE(clients[0]->ReadReply().has_value());
  const int64_t before = ResidentBytes(gateway_->pid());
  while (clients.size() < kConnections) {
    clients.push_back(std::make_unique<HttpClient>(gateway_->http()));
  }
  // Connections are taken in the order in which they came: this one after all of them.
  Store({});
  EXPECT_TRUE(clients[1]->AtEnd());  // The first one that never sent anything.
  // What a sanitizer adds to each block is not the gateway's.
  if (!kSanitized) {
    EXPECT_LT((ResidentBytes(gateway_->pid()) - before) / kConnections, kMaxBytesEach);
  }
  for (const size_t i : {clients.size() - 1, clients.size() / 2, size_t{0}}) {
    ASSERT_TRUE(clients[i]->Send(SignedWebhook().Request()));
    const auto reply = clients[i]->ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 200) << reply->body;
  }
}

// 1,024 connections that sent nothing once closed the port for a minute, and one address might have
// all of them.
TEST_F(IngestTest, MuteConnectionsKeepNobodyOut) {
  StartWithConfig(R"(http { max_connections: 40 max_connections_per_address: 20 }
                     sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } })");
  std::vector<std::unique_ptr<HttpClient>> mute;
  for (int i = 0; i < 60; ++i) {
    mute.push_back(std::make_unique<HttpClient>(gateway_->http()));
    if (i % 2 == 0) mute.back()->Send("POST /webhooks/openai HTTP/1.1\r\nHost: t\r\nX: ");
  }
  for (int i = 0; i < 60; ++i) Store({});
}

// 1,000 webhooks of 1 MiB, all at once and unsigned, once left the process with 1 GiB.
TEST_F(IngestTest, UnsignedBodiesTakeBoundedMemoryWhichIsGivenBack) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer keeps what was freed";
  constexpr size_t kBody = 1 << 20;
  constexpr int64_t kMaxMore = 128 << 20;  // 64 MiB of bodies, and what 300 connections need
  constexpr int64_t kMaxLeft = 32 << 20;
  StartWithConfig(R"(http { max_connections: 400 max_connections_per_address: 400 }
                     sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } })");
  Store({});
  const int64_t before = ResidentBytes(gateway_->pid());
  const std::string half =
      absl::StrCat("POST /webhooks/openai HTTP/1.1\r\nHost: t\r\nContent-Length: ", kBody,
                   "\r\n\r\n", std::string(kBody - 1, 'x'));
  {
    std::vector<std::unique_ptr<HttpClient>> strangers;
    for (int i = 0; i < 300; ++i) {
      strangers.push_back(std::make_unique<HttpClient>(gateway_->http()));
      strangers.back()->Send(half);
    }
    EXPECT_LT(ResidentBytes(gateway_->pid()) - before, kMaxMore);
    Store({});  // Meanwhile.
  }
  EXPECT_TRUE(Eventually("the memory is given back",
                         [&] { return ResidentBytes(gateway_->pid()) - before <= kMaxLeft; }));
}

TEST_F(IngestTest, RequestsAreTakenInEveryFormThatHttpHas) {
  Start();
  SignedWebhook webhook;
  const std::string request = webhook.Request();
  const std::string from = "POST /webhooks/openai HTTP";
  ASSERT_EQ(request.substr(0, from.size()), from);
  const std::string rest = request.substr(from.size());
  for (const char* begin : {"\r\nPOST /webhooks/openai HTTP", "POST /webhooks/openai/ HTTP",
                            "POST http://gateway.example/webhooks/openai HTTP"}) {
    EXPECT_EQ(SendBytes(begin + rest).status, 200) << begin;
  }
  SignedWebhook rotated;
  rotated.more_fields = {{"webhook-signature", "v1,AAAA"}};
  Store(rotated);
}

TEST_F(IngestTest, RequestsThatCanBeReadInTwoWaysAreRefused) {
  Start();
  ExpectRefused(SignedWebhook{.more_fields = {{"webhook-timestamp", "1"}}}.Request(), 401,
                "conflicting_headers", "webhook-timestamp");
  ExpectRefused("POST /webhooks/openai HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400,
                "malformed_request", "Host");
  ExpectRefused("POST /webhooks/openai HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n 0\r\n\r\n", 400,
                "malformed_request");
}

TEST_F(IngestTest, LogNamesThePeerOfARefusalAndEachWebhookAtDebug) {
  Start({"--log_level=debug"});
  Store({.webhook_id = "wh_seen"});
  EXPECT_EQ(Send({.secret = kOtherSecret}).status, 401);
  EXPECT_THAT(gateway_->log(), HasSubstr("webhook stored"));
  EXPECT_THAT(gateway_->log(), HasSubstr("wh_seen"));
  EXPECT_THAT(gateway_->log(), HasSubstr(R"("peer":"127.0.0.1","client":"127.0.0.1")"));
}

// Such a subject could not be handed to a program, nor listed.
TEST_F(IngestTest, SubjectOf200KilobytesIsNoKey) {
  Start();
  Store({.body = BatchFailedBody(std::string(200'000, 's'))});
  const auto events = StoredEvents();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type(), "batch.failed");
  EXPECT_EQ(events[0].subject(), "");
  EXPECT_TRUE(events[0].has_unrecognized());
}

// The number after `name` in the newest line of `log` that says `what`; -1: there is none.
int64_t NumberInLog(const std::string& log, const std::string& what, const std::string& name) {
  const size_t line = log.rfind(what);
  const size_t at = line == std::string::npos ? line : log.find(name, line);
  if (at == std::string::npos) return -1;
  const size_t digits = log.find_first_of("0123456789", at + name.size());
  return digits == std::string::npos ? -1 : std::stoll(log.substr(digits));
}

TEST_F(IngestTest, WithoutFileDescriptorsNewConnectionsWaitAndOpenOnesAreServed) {
  if (kSanitized) {
    GTEST_SKIP() << "UndefinedBehaviorSanitizer opens a pipe to see whether there is an object at "
                    "an address; where it cannot, it says that there is none";
  }
  Start();
  HttpClient open(gateway_->http());
  ASSERT_TRUE(open.Send(SignedWebhook().Request()));
  ASSERT_TRUE(open.ReadReply().has_value());
  const std::filesystem::directory_iterator files(absl::StrCat("/proc/", gateway_->pid(), "/fd"));
  const auto in_use = static_cast<rlim_t>(std::distance(begin(files), end(files)));
  rlimit limit = {};
  ASSERT_EQ(prlimit(gateway_->pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = in_use + 8;
  ASSERT_EQ(prlimit(gateway_->pid(), RLIMIT_NOFILE, &limit, nullptr), 0);

  const absl::Time begin_time = absl::Now();
  std::vector<std::unique_ptr<HttpClient>> crowd;
  for (int i = 0; i < 40; ++i) crowd.push_back(std::make_unique<HttpClient>(gateway_->http()));
  HttpClient waiting(gateway_->http());
  ASSERT_TRUE(waiting.Send(SignedWebhook().Request()));
  const auto logged = [this](const char* text) {
    return gateway_->log().find(text) != std::string::npos;
  };
  ASSERT_TRUE(Eventually("it logs that", [&] { return logged("accept failed"); }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(open.Send(SignedWebhook().Request()));
    const auto reply = open.ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 200) << reply->body;
  }

  crowd.clear();
  const auto reply = waiting.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200) << reply->body;
  ASSERT_TRUE(
      Eventually("it accepts again", [&] { return logged("accepting connections again"); }));
  // It pauses 100 ms after each failure, and does not tell of each.
  const int64_t pauses = (absl::Now() - begin_time) / absl::Milliseconds(100);
  const std::string log = gateway_->log();
  const int64_t failures = NumberInLog(log, "accepting connections again", "failures");
  EXPECT_GE(failures, 1) << log;
  EXPECT_LE(failures, pauses + 1) << log;
  EXPECT_EQ(log.find("accept failed"), log.rfind("accept failed"));
  Store({});
}

TEST_F(IngestTest, RateLimitIsAnsweredWithTheTimeToWait) {
  StartWithConfig(R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" }
                               rate_limit { webhooks_per_second: 0.001 burst: 2 } })");
  Store({});
  // Nobody without the secret can use the rate up.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Send({.secret = kWrongSecret}).status, 401);
  Store({});
  const HttpReply reply = Send({});
  EXPECT_EQ(reply.status, 429);
  EXPECT_THAT(reply.body, HasSubstr("rate_limited"));
  EXPECT_FALSE(reply.field("retry-after").empty());
  EXPECT_EQ(StoredEvents().size(), 2u);
}

TEST_F(IngestTest, OldAndNewSecretBothSignWhileOneIsRotated) {
  StartWithConfig(R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" }
                               secrets { name: "new" inline: "NEW_SECRET" } })");
  Store({});
  Store({.secret = kNewSecret});
}

TEST_F(IngestTest, SlowSenderIsAnsweredATimeOutAndStoresNothing) {
  StartWithConfig(R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } }
                     http { header_timeout { nanos: 50000000 } body_timeout { nanos: 50000000 } })");
  const std::string request = SignedWebhook{}.Request();
  for (const size_t sent : {size_t{10}, request.size() - 1}) {
    HttpClient client(gateway_->http());
    client.Send(request.substr(0, sent));
    const auto reply = client.ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 408);
    EXPECT_THAT(reply->body, HasSubstr("request_timeout"));
  }
  EXPECT_THAT(StoredEvents(), testing::IsEmpty());
}

// P2: however many of them race.
TEST_F(IngestTest, TwentyConcurrentSendersOfOneIdMakeOneEvent) {
  Start();
  constexpr int kSenders = 20;
  std::vector<std::string> bodies(kSenders);
  std::vector<std::thread> senders;
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back([&, i] { bodies[i] = Send({.webhook_id = "wh_1"}).body; });
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(std::count(bodies.begin(), bodies.end(), R"({"status":"stored","sequence":"1"})"), 1);
  EXPECT_EQ(std::count(bodies.begin(), bodies.end(), R"({"status":"duplicate","sequence":"1"})"),
            kSenders - 1);
  EXPECT_EQ(StoredEvents().size(), 1u);
}

// What the support libraries search all tests' gateways for, where most is logged.
TEST_F(IngestTest, LogsHoldNoSecretNoSignatureAndNoBody) {
  SecretWatch::OfThisProgram().KeepBody("a subject", "batch_in_the_body");
  Start({"--log_level=debug"});
  Store({.body = BatchFailedBody("batch_in_the_body")});
  EXPECT_EQ(Send({.body = R"({"type":"batch.failed","data":{"id":"batch_in_the_body"}})"}).status,
            422);
  // The signature that would have been right is for nobody to see.
  SignedWebhook webhook;
  auto fields = webhook.SignedFields();
  SecretWatch::OfThisProgram().KeepSignature(fields[2].second);
  fields[2].second = absl::StrCat("v1,", std::string(43, 'A'), "=");
  EXPECT_EQ(SendBytes(WebhookRequest("openai", fields, webhook.body)).status, 401);
  EXPECT_EQ(Send({.secret = kWrongSecret}).status, 401);
  EXPECT_THAT(gateway_->log(), HasSubstr("quarantine"));
}

}  // namespace
}  // namespace hookgate
