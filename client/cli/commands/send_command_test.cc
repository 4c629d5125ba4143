#include "client/cli/commands/send_command.h"

#include <fstream>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kSecret[] = "whsec_c2VjcmV0LXNlY3JldA==";

class SendTest : public CliTest {
 protected:
  SendTest() {
    variables_["OPENAI_WEBHOOK_SECRET"] = kSecret;
    answer_ = [](const HttpRequest&) {
      return HttpAnswer{200, {}, R"({"status":"stored","sequence":"42"})"};
    };
  }

  // What a gateway with the secret `text` says to the request sent last.
  absl::Status Verified(const std::string& text = kSecret) {
    const HttpRequest& request = posted_.back();
    return Verify({Field("webhook-id"), Field("webhook-timestamp"), Field("webhook-signature")},
                  request.body, {Secret::Parse("test", text).value()}, clock_.WallNow(),
                  absl::Minutes(5))
        .status();
  }

  absl::string_view Field(const std::string& name) {
    for (const auto& [field, value] : posted_.back().fields) {
      if (field == name) return value;
    }
    return absl::string_view();
  }

  std::string WriteFile(const std::string& name, const std::string& content) {
    std::string path = ::testing::TempDir() + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
};

TEST_F(SendTest, SignsASampleAndSaysHowItWasAnswered) {
  const Outcome outcome = Run({"send"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, "200 stored sequence 42 wh_fresh_1\n");
  EXPECT_EQ(outcome.err, "");
  ASSERT_THAT(posted_, SizeIs(1));
  EXPECT_EQ(posted_[0].url.ToString(), "http://127.0.0.1:8080/webhooks/openai");
  EXPECT_EQ(posted_[0].body,
            R"({"id":"evt_abc123","created_at":1750000600,"data":{"id":"batch_abc123"},)"
            R"("type":"batch.failed","object":"event"})");
  EXPECT_TRUE(Verified().ok());
  EXPECT_EQ(post_timeouts_[0], absl::Seconds(10));
}

TEST_F(SendTest, PrintsJson) {
  EXPECT_EQ(Run({"send", "--output=json", "--webhook-id=wh_1"}).out,
            "{\"status\":200,\"state\":\"stored\",\"sequence\":\"42\",\"webhook_id\":\"wh_1\"}\n");
}

TEST_F(SendTest, PutsTheSubjectIntoTheSample) {
  Run({"send", "--subject", "batch_of_mine", "--type=batch.failed"});
  EXPECT_THAT(posted_.at(0).body, HasSubstr(R"("data":{"id":"batch_of_mine"})"));
}

TEST_F(SendTest, GoesWhereItIsTold) {
  Run({"send", "--url=http://gateway:1/x", "--source=staging", "--timeout=3s"});
  EXPECT_EQ(posted_.at(0).url.ToString(), "http://gateway:1/x/webhooks/staging");
  EXPECT_EQ(post_timeouts_.at(0), absl::Seconds(3));
  variables_["HOOKGATE_URL"] = "http://other:2";
  Run({"send"});
  EXPECT_EQ(posted_.at(1).url.ToString(), "http://other:2/webhooks/openai");
}

TEST_F(SendTest, SendsAFilesBytesAsTheyAre) {
  const std::string body("{ \"a\" : 1 }\n\0\xFF", 14);
  const std::string path = WriteFile("body", body);
  EXPECT_EQ(Run({"send", "--file", path}).exit_code, kSuccess);
  EXPECT_EQ(posted_.at(0).body, body);
  EXPECT_TRUE(Verified().ok());
}

TEST_F(SendTest, SendsStandardInput) {
  in_ = "from elsewhere\n";
  EXPECT_EQ(Run({"send", "--file", "-"}).exit_code, kSuccess);
  EXPECT_EQ(posted_.at(0).body, in_);
}

TEST_F(SendTest, TakesTheSecretFromAnotherVariableOrAFile) {
  variables_["STAGING"] = "whsec_b3RoZXItb3RoZXI=";
  Run({"send", "--secret-env=STAGING"});
  EXPECT_TRUE(Verified("whsec_b3RoZXItb3RoZXI=").ok());
  Run({"send", "--secret-file", WriteFile("secret", "whsec_ZmlsZS1maWxl\n")});
  EXPECT_TRUE(Verified("whsec_ZmlsZS1maWxl").ok());
}

TEST_F(SendTest, ACorruptSignatureIsNotAccepted) {
  Run({"send", "--corrupt-signature"});
  EXPECT_EQ(Verified().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(Field("webhook-signature")), MatchesRegex("v1,[A-Za-z0-9+/]+=*"));
}

TEST_F(SendTest, AgeMovesTheTimestamp) {
  const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
  Run({"send", "--age", "10m"});
  EXPECT_EQ(std::string(Field("webhook-timestamp")), std::to_string(now - 600));
  Run({"send", "--age", "-10m"});
  EXPECT_EQ(std::string(Field("webhook-timestamp")), std::to_string(now + 600));
}

TEST_F(SendTest, SendsSeveralWithIdsOfTheirOwn) {
  const Outcome outcome = Run({"send", "--count=3"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out,
            "200 stored sequence 42 wh_fresh_1\n"
            "200 stored sequence 42 wh_fresh_2\n"
            "200 stored sequence 42 wh_fresh_3\n");
}

TEST_F(SendTest, ARefusalIsAFailureButNotTheEnd) {
  answer_ = [this](const HttpRequest&) {
    if (posted_.size() != 1) {
      return HttpAnswer{200, {}, R"({"status":"duplicate","sequence":"7"})"};
    }
    return HttpAnswer{
        429, {{"retry-after", "2"}}, R"({"code":"rate_limited","detail":"too fast"})"};
  };
  const Outcome outcome = Run({"send", "--count=2"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.out,
            "429 rate_limited wh_fresh_1: too fast (retry after 2 s)\n"
            "200 duplicate sequence 7 wh_fresh_2\n");
}

TEST_F(SendTest, NobodyThereIsUnreachableAndTheEnd) {
  answer_ = [](const HttpRequest&) { return absl::UnavailableError("cannot connect to x"); };
  const Outcome outcome = Run({"send", "--count=5"});
  EXPECT_EQ(outcome.exit_code, kUnreachable);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err,
              StartsWith("hookgate: cannot send wh_fresh_1: cannot connect to x. Check that "));
  EXPECT_THAT(posted_, SizeIs(1));
}

TEST_F(SendTest, WhatIsNoHttpIsAFailure) {
  answer_ = [](const HttpRequest&) { return absl::InternalError("not an HTTP answer"); };
  EXPECT_EQ(Run({"send"}).exit_code, kFailed);
}

TEST_F(SendTest, HttpsBelievesWhomTheFileNames) {
  const std::string ca = WriteFile("ca.pem", "an authority");
  EXPECT_EQ(Run({"send", "--url=https://gateway.example", "--tls-ca", ca}).exit_code, kSuccess);
  ASSERT_THAT(posted_, SizeIs(1));
  EXPECT_EQ(posted_[0].url.ToString(), "https://gateway.example/webhooks/openai");
  EXPECT_EQ(posted_[0].ca, "an authority");
  const Outcome printed = Run({"send", "--url=https://gateway.example", "--tls-ca", ca, "--print"});
  EXPECT_THAT(printed.out, HasSubstr("  --cacert '" + ca + "' \\\n"));
  EXPECT_EQ(Run({"send", "--tls-ca", ca}).exit_code, kWrongUsage) << "the default is http";
  EXPECT_EQ(Run({"send", "--url=https://h", "--tls-ca=/nowhere"}).exit_code, kWrongUsage);
  EXPECT_THAT(posted_, SizeIs(1));
}

TEST_F(SendTest, CertificateThatIsNotBelievedIsNoAnswerAndSaysWhatHelps) {
  answer_ = [](const HttpRequest&) { return absl::UnauthenticatedError("no TLS with h"); };
  const Outcome outcome = Run({"send", "--url=https://h"});
  EXPECT_EQ(outcome.exit_code, kUnreachable) << "as that of status";
  EXPECT_THAT(outcome.err, HasSubstr("no TLS with h. Give --tls-ca FILE"));
}

TEST_F(SendTest, AuthorityWithoutACertificateIsNamed) {
  const std::string ca = WriteFile("ca.pem", "no certificate");
  answer_ = [](const HttpRequest&) { return absl::InvalidArgumentError("holds none"); };
  const Outcome outcome = Run({"send", "--url=https://h", "--tls-ca", ca});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("--tls-ca " + ca + ": holds none"));
}

TEST_F(SendTest, PrintSendsNothing) {
  const Outcome outcome = Run({"send", "--print", "--webhook-id=wh_1"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(posted_, IsEmpty());
  EXPECT_THAT(outcome.out, StartsWith("curl --silent --show-error --include "
                                      "'http://127.0.0.1:8080/webhooks/openai' \\\n"));
  EXPECT_THAT(outcome.out, HasSubstr("  --header 'webhook-id: wh_1' \\\n"));
  EXPECT_THAT(outcome.out, HasSubstr("  --header 'webhook-signature: v1,"));
  EXPECT_THAT(outcome.out, EndsWith("\"type\":\"batch.failed\",\"object\":\"event\"}'\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("c2VjcmV0")));
}

TEST_F(SendTest, PrintNamesTheFile) {
  const std::string path = WriteFile("body.json", std::string("\0", 1));
  EXPECT_THAT(Run({"send", "--print", "--file", path}).out,
              EndsWith("  --data-binary '@" + path + "'\n"));
  in_ = std::string("\0", 1);
  EXPECT_EQ(Run({"send", "--print", "--file", "-"}).exit_code, kWrongUsage);
}

// Every one of these is found before anything is sent.
TEST_F(SendTest, WrongUsageSendsNothing) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--file=x", "--type=batch.failed"}, "--file and --type contradict"},
      {{"--file=x", "--subject=y"}, "--file and --subject contradict"},
      {{"--secret-env=X", "--secret-file=y"}, "--secret-env and --secret-file contradict"},
      {{"--count=2", "--webhook-id=x"}, "--count and --webhook-id contradict"},
      {{"--print", "--output=json"}, "--print prints a shell command"},
      {{"--type=batch.faild"}, "there is no sample of \"batch.faild\", did you mean batch.failed?"},
      {{"--type=x"}, "there is no sample of \"x\". Known: "},
      {{"--file=/no/such/file"}, "/no/such/file cannot be read"},
      {{"--secret-file=/no/such/file"}, "/no/such/file cannot be read"},
      {{"--secret-env=UNSET"}, "there is no secret to sign with: set UNSET"},
      {{"--url=h:80"}, "--url: it begins neither with http:// nor with https://"},
      {{"--source=../x"}, "--source: a source's name"},
      {{"--webhook-id=a b"}, "--webhook-id: it has only"},
      {{"--webhook-id=a\r\nX: y"}, "--webhook-id: it has only"},
      {{"--count=0"}, "--count: \"0\" is not valid"},
  };
  for (const auto& [flags, message] : cases) {
    std::vector<std::string> line = {"send"};
    line.insert(line.end(), flags.begin(), flags.end());
    const Outcome outcome = Run(line);
    EXPECT_EQ(outcome.exit_code, kWrongUsage) << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_THAT(posted_, IsEmpty());
}

// It ended by an exception.
TEST_F(SendTest, BodyThatIsNoFileIsNamed) {
  const Outcome outcome = Run({"send", "--file=/"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("/ cannot be read: Is a directory"));
  EXPECT_EQ(Run({"send", "--file=/dev/zero"}).exit_code, kWrongUsage);
  EXPECT_THAT(posted_, IsEmpty());
}

TEST_F(SendTest, APublicKeySignsNothing) {
  variables_["KEY"] = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";  // RFC 8032, 7.1, TEST 1
  const Outcome outcome = Run({"send", "--secret-env=KEY"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("KEY holds a public key (whpk_)"));
  EXPECT_THAT(posted_, IsEmpty());
}

// It once signed with whatever text there was, and a gateway that had been given the same one said
// that all was well: until the sender's first webhook.
TEST_F(SendTest, SecretThatWasPastedWronglyIsRefused) {
  const std::string secret = kSecret;
  const std::string texts[] = {
      "\"" + secret + "\"", "v1," + secret,         "\xef\xbb\xbf" + secret, "NAME=" + secret,
      "Bearer " + secret,   secret + "\n" + secret, secret.substr(0, 20),    "x",
      secret + " # mine",   "plain text secret"};
  for (const std::string& text : texts) {
    variables_["OPENAI_WEBHOOK_SECRET"] = text;
    for (const Outcome& outcome :
         {Run({"send"}), Run({"send", "--secret-file", WriteFile("wrong", text + "\n")})}) {
      EXPECT_EQ(outcome.exit_code, kWrongUsage) << text;
      EXPECT_THAT(outcome.err, HasSubstr("secret \"")) << text;
      EXPECT_THAT(outcome.err, Not(HasSubstr("c2VjcmV0"))) << text;
    }
  }
  EXPECT_THAT(posted_, IsEmpty());
}

TEST_F(SendTest, RawSecretIsAskedFor) {
  variables_["OPENAI_WEBHOOK_SECRET"] = "plain text secret";
  EXPECT_THAT(Run({"send"}).err, HasSubstr("give --raw-secret"));
  EXPECT_EQ(Run({"send", "--raw-secret"}).exit_code, kSuccess);
  const HttpRequest& request = posted_.at(0);
  EXPECT_TRUE(Verify({Field("webhook-id"), Field("webhook-timestamp"), Field("webhook-signature")},
                     request.body, {Secret::FromRawText("test", "plain text secret").value()},
                     clock_.WallNow(), absl::Minutes(5))
                  .ok());
}

TEST_F(SendTest, ASecretInTheWrongPlaceIsNotShown) {
  const Outcome as_name = Run({"send", "--secret-env", kSecret});
  EXPECT_EQ(as_name.exit_code, kWrongUsage);
  EXPECT_THAT(as_name.err, HasSubstr("takes the name of an environment variable"));
  const Outcome as_flag = Run({"send", std::string("--secret=") + kSecret});
  EXPECT_EQ(as_flag.exit_code, kWrongUsage);
  variables_["BAD"] = "whsec_c2VjcmV0-";
  const Outcome bad = Run({"send", "--secret-env=BAD"});
  EXPECT_EQ(bad.exit_code, kWrongUsage);
  EXPECT_THAT(bad.err, HasSubstr("secret \"BAD\" is base64 for URLs"));
  for (const std::string& err : {as_name.err, as_flag.err, bad.err}) {
    EXPECT_THAT(err, Not(HasSubstr("c2VjcmV0")));
  }
}

}  // namespace
}  // namespace hookgate::cli
