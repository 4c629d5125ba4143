// The command line against a real gateway, as its users have it.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class CliTest : public GatewayTest {
 protected:
  void SetUp() override { Start(); }

  // hookgate ARGUMENTS, towards this gateway.
  ProgramOutcome Hookgate(const std::vector<std::string>& arguments, const std::string& in = "") {
    return RunProgram(kHookgate, arguments,
                      {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc()),
                       absl::StrCat("HOOKGATE_URL=http://", gateway_->http()),
                       absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)},
                      in);
  }
  // The same, in the background.
  pid_t StartHookgate(const std::vector<std::string>& arguments) {
    const std::string out_path = FreshTestFile("out");
    const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const pid_t pid =
        StartProgram(kHookgate, arguments, {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc())},
                     "/dev/null", out, FreshTestFile("err"));
    close(out);
    return pid;
  }
  static size_t LinesOf(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  static void WaitForLines(const std::string& path, size_t count) {
    ASSERT_TRUE(Eventually(absl::StrCat(count, " lines are in ", path),
                           [&] { return LinesOf(ReadTestFile(path)) >= count; }));
  }
  // A consumer of "billing" whose program runs on, with a child; both process ids are in the file
  // `pids`, each on a line, as soon as they run.
  pid_t StartConsumerThatHangs(const std::string& pids) {
    Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
    Hookgate({"send"});
    const pid_t consumer = StartHookgate(
        {"consume", "billing", "--exec",
         absl::StrCat("echo $$ >> ", pids, "; sleep 1000 & echo $! >> ", pids, "; wait; true")});
    WaitForLines(pids, 2);
    return consumer;
  }
  // Every process that the file names has ended.
  static void WaitUntilGone(const std::string& pids) {
    for (absl::string_view pid : absl::StrSplit(ReadTestFile(pids), '\n', absl::SkipEmpty())) {
      const std::string stat = absl::StrCat("/proc/", pid, "/stat");
      for (std::string now = ReadTestFile(stat); !now.empty() && !absl::StrContains(now, ") Z ");) {
        std::this_thread::yield();
        now = ReadTestFile(stat);
      }
    }
  }
  // What the next consumer is told of the event that another had.
  std::string NextAttempt() {
    const ProgramOutcome next =
        Hookgate({"consume", "billing", "--max-events", "1", "--exec", "echo $HOOKGATE_ATTEMPT"});
    EXPECT_EQ(next.exit_code, 0) << next.err;
    return next.out;
  }
};

TEST_F(CliTest, SendSaysHowItWasAnswered) {
  const std::vector<std::string> send = {"send", "--webhook-id", "wh_1"};
  const ProgramOutcome first = Hookgate(send);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("200 stored sequence 1 wh_1"));
  EXPECT_THAT(Hookgate(send).out, HasSubstr("200 duplicate sequence 1 wh_1"));
  const ProgramOutcome forged = Hookgate({"send", "--corrupt-signature"});
  EXPECT_EQ(forged.exit_code, 1);
  EXPECT_THAT(forged.out + forged.err, HasSubstr("401 signature_mismatch"));
  const ProgramOutcome stale = Hookgate({"send", "--age", "10m"});
  EXPECT_THAT(stale.out + stale.err, HasSubstr("401 timestamp_too_old"));
}

// Whoever is on call has an id in hand, and asks who has handled it.
TEST_F(CliTest, ExplainAndFailuresSayWhoHasHandledAnEvent) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  Hookgate({"send", "--webhook-id", "wh_1"});
  EXPECT_THAT(Hookgate({"explain", "wh_1"}).out, HasSubstr("not reached"));
  EXPECT_THAT(Hookgate({"failures", "--unhandled"}).out, HasSubstr("wh_1"));
  EXPECT_EQ(Hookgate({"consume", "billing", "--max-events", "1", "--exec", "true"}).exit_code, 0);
  for (const char* const id : {"wh_1", "1"}) {
    const ProgramOutcome explained = Hookgate({"explain", id});
    EXPECT_EQ(explained.exit_code, 0) << explained.err;
    EXPECT_THAT(explained.out, AllOf(HasSubstr("webhook-id  wh_1\n"), HasSubstr("acked")));
  }
  EXPECT_THAT(Hookgate({"failures", "--unhandled"}).out,
              HasSubstr("No unhandled failures in the last 24 h"));
  EXPECT_THAT(Hookgate({"failures", "--handled"}).out, HasSubstr("wh_1"));
  const ProgramOutcome absent = Hookgate({"explain", "evt_none"});
  EXPECT_EQ(absent.exit_code, 4);
  EXPECT_THAT(absent.out, HasSubstr("it never came"));
}

class SecureCliTest : public CliTest {
 protected:
  void SetUp() override {}  // Tests start the gateway with certificates of their own.

  void StartWithCertificate(const TestCertificate& certificate) {
    StartWithConfig(HttpsConfig(WriteFile(certificate.certificate), WriteFile(certificate.key)));
  }
  std::string https_url() const { return absl::StrCat("https://", gateway_->http()); }
};

TEST_F(SecureCliTest, SendSpeaksTlsWithWhomItIsToldToBelieve) {
  const TestAuthority authority, other_authority;
  StartWithCertificate(authority.Issue());
  const std::string ca = WriteFile(authority.certificate());
  const ProgramOutcome sent = Hookgate({"send", "--url", https_url(), "--tls-ca", ca});
  EXPECT_EQ(sent.exit_code, 0) << sent.err;
  EXPECT_THAT(sent.out, HasSubstr("200 stored sequence 1"));

  const std::string other_ca = WriteFile(other_authority.certificate());
  for (const std::vector<std::string>& stranger :
       {std::vector<std::string>{"send", "--url", https_url(), "--tls-ca", other_ca},
        std::vector<std::string>{"send", "--url", https_url()}}) {
    const ProgramOutcome refused = Hookgate(stranger);
    EXPECT_EQ(refused.exit_code, 3) << refused.out << refused.err;
    EXPECT_THAT(refused.err, AllOf(HasSubstr("certificate"), HasSubstr("--tls-ca FILE")));
  }
  const ProgramOutcome plain = Hookgate({"send"});
  EXPECT_NE(plain.exit_code, 0) << "in plain text, where TLS is spoken";
  EXPECT_THAT(StoredEvents(), testing::SizeIs(1));
}

TEST_F(SecureCliTest, CertificateOfAnotherHostIsNotBelieved) {
  const TestAuthority authority;
  StartWithCertificate(authority.Issue("DNS:gateway.example"));
  const ProgramOutcome refused =
      Hookgate({"send", "--url", https_url(), "--tls-ca", WriteFile(authority.certificate())});
  EXPECT_EQ(refused.exit_code, 3) << refused.out << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("its certificate is not for 127.0.0.1"));
  EXPECT_THAT(StoredEvents(), IsEmpty());
}

TEST_F(CliTest, SampleOfAnyTypeIsStoredAndFound) {
  for (const char* type : {"batch.failed", "response.completed", "live.call.incoming"}) {
    const ProgramOutcome sent = Hookgate({"send", "--type", type});
    EXPECT_EQ(sent.exit_code, 0) << type << ": " << sent.out << sent.err;
  }
  EXPECT_EQ(LinesOf(Hookgate({"events", "--output", "json"}).out), 3u);
  const ProgramOutcome failures = Hookgate({"failures", "--output", "json"});
  EXPECT_EQ(LinesOf(failures.out), 1u);
  EXPECT_THAT(failures.out, HasSubstr(R"("type":"batch.failed")"));
}

TEST_F(CliTest, SubscribePrintsWhatIsStoredAndResumesFromItsFile) {
  for (int i = 1; i <= 3; ++i) Hookgate({"send", "--subject", absl::StrCat("batch_", i)});
  const std::string cursor_file = FreshTestFile("cursor");
  const std::vector<std::string> subscribe = {"subscribe", "--from",      "earliest",
                                              "--output",  "json",        "--cursor-file",
                                              cursor_file, "--max-events"};
  std::vector<std::string> two = subscribe;
  two.push_back("2");
  const ProgramOutcome first = Hookgate(two);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("batch_1"), HasSubstr("batch_2")));
  EXPECT_EQ(LinesOf(first.out), 2u);
  std::vector<std::string> one = subscribe;
  one.push_back("1");
  const ProgramOutcome second = Hookgate(one);
  EXPECT_THAT(second.out, AllOf(HasSubstr("batch_3"), Not(HasSubstr("batch_2"))));
}

TEST_F(CliTest, GetFindsOneEventAndSaysWhenThereIsNone) {
  Hookgate({"send", "--webhook-id", "wh_1", "--file", "-"}, BatchFailedBody("batch_get"));
  EXPECT_THAT(Hookgate({"get", "--webhook-id", "wh_1"}).out, HasSubstr("batch_get"));
  EXPECT_EQ(Hookgate({"get", "--sequence", "1", "--raw"}).out, BatchFailedBody("batch_get"));
  EXPECT_EQ(Hookgate({"get", "--sequence", "2"}).exit_code, 4);
}

TEST_F(CliTest, QuarantineIsShownRetriedAndDiscarded) {
  EXPECT_THAT(Hookgate({"send", "--webhook-id", "wh_bad", "--file", "-"}, "{").err +
                  Hookgate({"send", "--webhook-id", "wh_bad", "--file", "-"}, "{").out,
              HasSubstr("400 body_not_json"));
  EXPECT_THAT(Hookgate({"quarantine", "list"}).out, AllOf(HasSubstr("wh_bad"), HasSubstr(" 2 ")));
  EXPECT_EQ(Hookgate({"quarantine", "show", "1", "--raw"}).out, "{");
  const ProgramOutcome retried = Hookgate({"quarantine", "retry", "1"});
  EXPECT_EQ(retried.exit_code, 1);
  EXPECT_THAT(retried.out, HasSubstr("body_not_json"));
  // Nobody is there to be asked.
  EXPECT_EQ(Hookgate({"quarantine", "discard", "1"}).exit_code, 2);
  EXPECT_EQ(Hookgate({"quarantine", "discard", "1", "--yes"}).exit_code, 0);
  EXPECT_THAT(Hookgate({"quarantine", "list", "--output", "json"}).out, IsEmpty());
  EXPECT_EQ(Hookgate({"quarantine", "show", "1"}).exit_code, 4);
}

TEST_F(CliTest, StatusTellsHowItIs) {
  Hookgate({"send"});
  const ProgramOutcome status = Hookgate({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, AllOf(HasSubstr("1 stored"), HasSubstr("openai"), HasSubstr("just now")));
}

TEST_F(CliTest, AnUnsetVariableOfExecSaysWhatToDo) {
  EXPECT_EQ(Hookgate({"subscriptions", "create", "billing", "--from", "latest"}).exit_code, 0);
  Hookgate({"send"});
  const ProgramOutcome refused =
      Hookgate({"consume", "billing", "--max-events", "1", "--exec", "$NO_SUCH_HANDLER | cat"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("the variable NO_SUCH_HANDLER in it is not set"));
  // It cannot be told before the shell runs it.
  const ProgramOutcome failed = Hookgate(
      {"consume", "billing", "--max-events", "1", "--exec", "eval 'cat $NO_SUCH_HANDLER'"});
  EXPECT_THAT(failed.err,
              AllOf(HasSubstr("0 acked, 1 nacked"),
                    HasSubstr("NO_SUCH_HANDLER: parameter not set; "), HasSubstr("${NAME:-}")));
}

TEST_F(CliTest, ADeadLetterIsSeenAndRedriven) {
  EXPECT_EQ(
      Hookgate({"subscriptions", "create", "billing", "--from", "latest", "--max-attempts", "1"})
          .exit_code,
      0);
  Hookgate({"send"});
  const ProgramOutcome failed = Hookgate(
      {"consume", "billing", "--max-events", "1", "--exec", "echo no such batch >&2; exit 1"});
  EXPECT_EQ(failed.exit_code, 0) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("0 acked, 1 nacked"));
  // It said nothing until an event came: was it connected at all?
  EXPECT_THAT(failed.err, HasSubstr("consuming billing from " + gateway_->grpc()));
  EXPECT_THAT(Hookgate({"dead-letters", "list", "billing"}).out, HasSubstr("no such batch"));
  EXPECT_EQ(Hookgate({"dead-letters", "redrive", "billing", "--all"}).out, "job 1: 1 redriven\n");
  const ProgramOutcome handled = Hookgate(
      {"consume", "billing", "--max-events", "1", "--exec",
       "read -r event; echo \"$event\"; echo $HOOKGATE_EVENT_TYPE $HOOKGATE_DELIVERY_REASON"});
  EXPECT_EQ(handled.exit_code, 0) << handled.err;
  EXPECT_THAT(handled.out,
              AllOf(HasSubstr(R"("type":"batch.failed")"), HasSubstr("\nbatch.failed redriven\n")));
  EXPECT_THAT(Hookgate({"subscriptions", "show", "billing"}).out, HasSubstr("0 events"));
  EXPECT_EQ(Hookgate({"subscriptions", "delete", "billing", "--yes"}).exit_code, 0);
  EXPECT_EQ(Hookgate({"consume", "billing"}).exit_code, 4);
}

// Whether a signal was sent to the process that none of its threads has taken yet. On a busy
// machine that is a while.
bool IsPending(pid_t pid, int signal) {
  const std::string status = ReadTestFile(absl::StrCat("/proc/", pid, "/status"));
  constexpr char kPending[] = "\nShdPnd:";
  const size_t at = status.find(kPending);
  if (at == std::string::npos) return false;
  const auto pending = std::stoull(status.substr(at + sizeof(kPending) - 1), nullptr, 16);
  return (pending >> (signal - 1) & 1) != 0;
}

// P7, with real processes: what a killed consumer held is handled by the other.
TEST_F(CliTest, AConsumerIsKilledAndTheOtherHandlesItsShare) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  const std::string begun = FreshTestFile("begun");
  const std::string handled = FreshTestFile("handled");
  // It takes three, and gets nowhere with them.
  const pid_t killed =
      StartHookgate({"consume", "billing", "--name", "killed", "--concurrency", "3", "--exec",
                     absl::StrCat("echo $HOOKGATE_SEQUENCE >> ", begun, "; exec sleep 60")});
  Hookgate({"send", "--count", "3"});
  WaitForLines(begun, 3);
  const pid_t other =
      StartHookgate({"consume", "billing", "--name", "other", "--concurrency", "2", "--exec",
                     absl::StrCat("echo $HOOKGATE_SEQUENCE $HOOKGATE_ATTEMPT >> ", handled)});
  Hookgate({"send", "--count", "5"});
  WaitForLines(handled, 5);
  kill(killed, SIGKILL);
  WaitForProgram(killed);
  WaitForLines(handled, 8);
  kill(other, SIGINT);
  EXPECT_EQ(WaitForProgram(other), 0);
  const std::vector<std::string> lines =
      absl::StrSplit(ReadTestFile(handled), '\n', absl::SkipEmpty());
  EXPECT_THAT(lines,
              testing::UnorderedElementsAre("1 1", "2 1", "3 1", "4 1", "5 1", "6 1", "7 1", "8 1"))
      << "each once, and none counted as a further attempt";
  EXPECT_THAT(Hookgate({"subscriptions", "show", "billing"}).out, HasSubstr("0 events"));
}

TEST_F(CliTest, AConsumerThatIsInterruptedFinishesWhatItRuns) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  const std::string begun = FreshTestFile("begun");
  const std::string go_on = FreshTestFile("go_on");
  const pid_t consumer = StartHookgate(
      {"consume", "billing", "--exec",
       absl::StrCat("echo >> ", begun, "; while [ ! -e ", go_on, " ]; do sleep 0.01; done")});
  Hookgate({"send", "--count", "2"});
  WaitForLines(begun, 1);
  kill(consumer, SIGTERM);
  ASSERT_TRUE(Eventually("the signal is taken", [&] { return !IsPending(consumer, SIGTERM); }));
  std::ofstream(go_on) << "go on";
  EXPECT_EQ(WaitForProgram(consumer), 0);
  EXPECT_EQ(LinesOf(ReadTestFile(begun)), 1u);
  EXPECT_THAT(Hookgate({"subscriptions", "show", "billing"}).out, HasSubstr("1 event,"));
}

// The program of a consumer that was interrupted twice ran on while its event was with another one.
TEST_F(CliTest, ASecondInterruptEndsWhatRunsAndGivesItBack) {
  const std::string pids = FreshTestFile("pids");
  const pid_t consumer = StartConsumerThatHangs(pids);
  kill(consumer, SIGINT);
  kill(consumer, SIGHUP);  // As when the terminal closes: it ended hookgate, and nothing else.
  EXPECT_EQ(WaitForProgram(consumer), 0);
  WaitUntilGone(pids);
  EXPECT_EQ(NextAttempt(), "1\n") << "a graceful end counts as no attempt";
}

// Only the shell died, or nothing did; the program ran on.
TEST_F(CliTest, AKilledConsumerTakesItsProgramsWithIt) {
  const std::string pids = FreshTestFile("pids");
  const pid_t consumer = StartConsumerThatHangs(pids);
  kill(consumer, SIGKILL);
  WaitForProgram(consumer);
  WaitUntilGone(pids);
}

TEST_F(CliTest, AProgramIsEndedWithTheStreamOfItsEvent) {
  const std::string pids = FreshTestFile("pids");
  const pid_t consumer = StartConsumerThatHangs(pids);
  gateway_->Kill();
  WaitUntilGone(pids);
  kill(consumer, SIGTERM);
  EXPECT_EQ(WaitForProgram(consumer), 0);
}

// What a program writes goes out through hookgate: when that could not be written, all events went
// on to be acked, though nobody had what their programs had made of them.
TEST_F(CliTest, OutputOfAProgramThatCannotBeWrittenIsNotAcked) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  for (int i = 0; i < 3; ++i) Hookgate({"send"});
  const pid_t consumer = StartProgram(kHookgate, {"consume", "billing", "--exec", "cat"},
                                      {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc())},
                                      "/dev/null", full, FreshTestFile("err"));
  close(full);
  int status = 0;
  ASSERT_EQ(waitpid(consumer, &status, 0), consumer);
  EXPECT_NE(status, 0);
  EXPECT_EQ(
      LinesOf(Hookgate({"deliveries", "billing", "--state", "acked", "--output", "json"}).out), 0u);
  EXPECT_EQ(Hookgate({"consume", "billing", "--max-events", "3", "--exec", "true"}).exit_code, 0);
}

// An empty variable, or a quotation mark too many, acked every event or made dead letters of them.
TEST_F(CliTest, CommandThatCannotHandleEventsIsRefusedBeforeItHasOne) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  Hookgate({"send"});
  for (const char* const command : {"  ", "# later", "it's"}) {
    const ProgramOutcome refused =
        Hookgate({"consume", "billing", "--max-events", "1", "--exec", command});
    EXPECT_EQ(refused.exit_code, 2) << command;
    EXPECT_THAT(refused.err, HasSubstr("--exec cannot handle events"));
  }
  EXPECT_THAT(
      Hookgate({"consume", "billing", "--max-events", "1", "--exec", "echo $HOOKGATE_ATTEMPT"}).out,
      HasSubstr("1"));
}

// A typing error in --exec made a dead letter of every event.
TEST_F(CliTest, AProgramThatCannotBeStartedEndsTheConsumerAndCostsNoAttempt) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest", "--max-attempts", "1"});
  Hookgate({"send", "--count", "3"});
  const ProgramOutcome outcome =
      Hookgate({"consume", "billing", "--concurrency", "2", "--exec", "no-such-program --flag"});
  EXPECT_EQ(outcome.exit_code, 6) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("no-such-program"), HasSubstr("0 acked, 0 nacked"),
                                 HasSubstr("no attempt was counted")));
  EXPECT_THAT(Hookgate({"dead-letters", "list", "billing"}).out, HasSubstr("no dead letters"));
  EXPECT_EQ(NextAttempt(), "1\n");
}

// The program read nothing from a socket as its standard input, and a child that it left in the
// background was waited for.
TEST_F(CliTest, AProgramHasAPipeForItsInputAndItsExitDecides) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  Hookgate({"send"});
  const ProgramOutcome outcome =
      Hookgate({"consume", "billing", "--max-events", "1", "--exec",
                "cat /dev/stdin; sleep 1000 & echo; echo left $!; exit 0"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(R"("type":"batch.failed")"));
  EXPECT_THAT(outcome.err, HasSubstr("1 acked, 0 nacked"));
  const std::vector<std::string> parts = absl::StrSplit(outcome.out, "left ");
  pid_t left = 0;
  ASSERT_EQ(parts.size(), 2u);
  ASSERT_TRUE(absl::SimpleAtoi(parts[1], &left));
  kill(left, SIGKILL);
}

TEST_F(CliTest, AProgramDoesNotGetTheSecretsOfItsConsumer) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  Hookgate({"send"});
  const ProgramOutcome outcome = RunProgram(
      kHookgate,
      {"consume", "billing", "--max-events", "1", "--exec",
       "echo token ${HOOKGATE_TOKEN-none} secret ${OPENAI_WEBHOOK_SECRET-none} $OTHER"},
      {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc()), "HOOKGATE_TOKEN=a-token-of-the-consumer",
       absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret), "OTHER=kept"});
  EXPECT_EQ(outcome.out, "token none secret none kept\n") << outcome.err;
}

// Its spans would have begun a trace of their own, or would have gone on with the one in which
// hookgate was started, which is about something else.
TEST_F(CliTest, AProgramGetsTheTraceOfItsEvent) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  const char kSendersTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  Store({.webhook_id = "wh_1",
         .more_fields = {{"traceparent", kSendersTrace}, {"tracestate", "vendor=1"}}});
  const std::vector<v1::Event> events = StoredEvents();
  ASSERT_EQ(events.size(), 1u);
  const std::string trace = events[0].trace_parent();
  EXPECT_EQ(trace.size(), 55u);
  EXPECT_NE(trace.substr(3, 32), std::string(kSendersTrace).substr(3, 32));
  const ProgramOutcome outcome =
      RunProgram(kHookgate,
                 {"consume", "billing", "--max-events", "1", "--exec",
                  "echo trace $TRACEPARENT state ${TRACESTATE-none}"},
                 {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc()),
                  "TRACEPARENT=00-11111111111111111111111111111111-1111111111111111-01",
                  "TRACESTATE=outer=1"});
  EXPECT_EQ(outcome.out, absl::StrCat("trace ", trace, " state none\n")) << outcome.err;
  const ProgramOutcome json = Hookgate({"get", "--webhook-id", "wh_1", "--output", "json"});
  EXPECT_THAT(json.out, AllOf(HasSubstr(absl::StrCat(R"("trace_parent":")", trace, "\"")),
                              HasSubstr(absl::StrCat(R"("sender_trace_parent":")", kSendersTrace)),
                              HasSubstr(R"("sender_trace_state":"vendor=1")")));
}

// All consumers of one machine had one name, and so one limit: one worked, and the others starved.
TEST_F(CliTest, TwoConsumersOfOneMachineBothWork) {
  Hookgate({"subscriptions", "create", "billing", "--from", "earliest"});
  const std::string begun = FreshTestFile("begun");
  const std::string hang = absl::StrCat("echo >> ", begun, "; exec sleep 1000");
  const pid_t first = StartHookgate({"consume", "billing", "--exec", hang});
  const pid_t second = StartHookgate({"consume", "billing", "--exec", hang});
  Hookgate({"send", "--count", "2"});
  WaitForLines(begun, 2);
  for (const pid_t consumer : {first, second}) {
    kill(consumer, SIGTERM);
    kill(consumer, SIGINT);
    EXPECT_EQ(WaitForProgram(consumer), 0);
  }
}

// http_proxy, which many machines have for the web, diverted calls even to 127.0.0.1.
TEST_F(CliTest, AProxyForTheWebIsNotForTheGateway) {
  const std::string grpc = absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc());
  for (const char* proxy : {"http_proxy", "https_proxy", "grpc_proxy"}) {
    const ProgramOutcome outcome =
        RunProgram(kHookgate, {"status"}, {grpc, absl::StrCat(proxy, "=http://127.0.0.1:1")});
    EXPECT_EQ(outcome.exit_code, 0) << proxy << ": " << outcome.err;
  }
}

TEST_F(CliTest, WhatIsWrongHasAnExitCodeOfItsOwn) {
  EXPECT_EQ(Hookgate({"no-such-command"}).exit_code, 2);
  EXPECT_EQ(Hookgate({"failures", "--since", "yesterday"}).exit_code, 2);
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  for (const char* command : {"failures", "events", "status"}) {
    const ProgramOutcome outcome = Hookgate({command});
    EXPECT_EQ(outcome.exit_code, 3) << command;
    EXPECT_THAT(outcome.err, HasSubstr(gateway_->grpc()));
  }
  EXPECT_EQ(Hookgate({"send"}).exit_code, 3);
}

}  // namespace
}  // namespace hookgate
