// P4: a log that is put back to an older state, by hand and by --restore, with the gateway and the
// command line as their users have them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/text_format.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/program.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using v1::AckResult;

class RestoreTest : public GatewayTest {
 protected:
  void StoreMany(int count) {
    HttpClient client(gateway_->http());
    for (int i = 0; i < count; ++i) {
      client.Send(SignedWebhook{}.Request());
      ASSERT_EQ(client.ReadReply()->status, 200);
    }
  }
  // As a backup job does it, while the gateway runs. Returns the file.
  std::string BackUp() const { return BackUpLog(data_dir_) + "/events.db"; }

  void Stop() {
    gateway_->Signal(SIGTERM);
    EXPECT_EQ(gateway_->WaitForExit(), 0);
  }
  // As people do it who do not know --restore.
  void PutBackByHand(const std::string& backup) const {
    for (const char* const suffix : {"-wal", "-shm"}) fs::remove(data_dir_ + "/events.db" + suffix);
    fs::copy_file(backup, data_dir_ + "/events.db", fs::copy_options::overwrite_existing);
  }
  ProgramOutcome Restore(const std::string& backup, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {absl::StrCat("--restore=", backup),
                                          absl::StrCat("--data_dir=", data_dir_)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(kHookgated, arguments);
  }

  EventStream After(const std::string& cursor, const std::string& more = "") {
    return EventStream(gateway_->grpc(), absl::StrCat("after_cursor: '", cursor, "' ", more));
  }
  // Fails the test unless the gateway refuses the cursor as one of another history.
  void ExpectRefused(const std::string& cursor) {
    EventStream stream = After(cursor);
    EXPECT_EQ(stream.Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET) << cursor;
    const grpc::Status status = stream.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << cursor;
    EXPECT_THAT(status.error_details(),
                AllOf(HasSubstr("CURSOR_OF_ANOTHER_HISTORY"), HasSubstr("earliest_cursor")));
  }
  // The position of a stream whose filter admits nothing, from its first frame of this kind.
  std::string CaughtUpCursor() {
    EventStream stream(gateway_->grpc(),
                       "start_position: START_POSITION_EARLIEST filter { subjects: 'none' }");
    v1::SubscribeResponse frame;
    do frame = stream.Next();
    while (frame.has_opened());
    return frame.caught_up().cursor();
  }

  void CreateSubscription() {
    v1::CreateSubscriptionRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "name: 'billing' start { start_position: START_POSITION_EARLIEST }", &request));
    v1::CreateSubscriptionResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        ConnectToSubscriptions(gateway_->grpc())->CreateSubscription(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  std::unique_ptr<ConsumeCall> Consume() {
    return std::make_unique<ConsumeCall>(gateway_->grpc(),
                                         "subscription: 'billing' consumer_name: 'a'");
  }
};

// The subscriber was at event 6 when a backup of 3 was put back. It heard nothing of the events 4
// to 6 that were stored next, and nobody said so.
TEST_F(RestoreTest, CursorOfALostEventIsRefusedBeforeAndAfterTheLogHasOutgrownIt) {
  Start();
  StoreMany(3);
  const std::string backup = BackUp();
  const std::string shared = StoredEvents().back().cursor();
  StoreMany(3);
  const std::string lost = StoredEvents().back().cursor();
  const std::string lost_position = CaughtUpCursor();
  Stop();
  PutBackByHand(backup);
  Start();
  ExpectRefused(lost);
  ExpectRefused(lost_position);
  StoreMany(5);
  ExpectRefused(lost);
  ExpectRefused(lost_position);
  EXPECT_THAT(After(shared).NextSequences(5), ElementsAre(4, 5, 6, 7, 8));
  // Restarts change nothing.
  Start();
  ExpectRefused(lost);
  EXPECT_THAT(After(shared).NextSequences(5), ElementsAre(4, 5, 6, 7, 8));
}

// The same folder goes on at two places; a subscriber of the one comes to the other.
TEST_F(RestoreTest, CursorOfAClonedFolderIsRefusedWhereTheyHaveParted) {
  Start();
  StoreMany(2);
  Stop();
  const std::string clone = FreshTestFolder();
  fs::copy(data_dir_, clone, fs::copy_options::recursive);
  Start();
  StoreMany(4);
  const auto events = StoredEvents();
  gateway_.reset();
  gateway_ = HookgatedProcess::Start(clone);
  StoreMany(4);
  ExpectRefused(events[2].cursor());
  ExpectRefused(events[5].cursor());
  EXPECT_THAT(After(events[1].cursor()).NextSequences(4), ElementsAre(3, 4, 5, 6));
}

// A consumer held deliveries when a backup was put back. Its acks settled what the gateway then
// gave to others under the same numbers.
TEST_F(RestoreTest, DeliveryIdsOfAnotherHistorySettleNothing) {
  Start();
  StoreMany(1);
  CreateSubscription();
  Consume()->NextDelivery();
  const std::string backup = BackUp();
  StoreMany(2);
  std::vector<std::string> lost;
  {
    auto call = Consume();
    for (int i = 0; i < 3; ++i) lost.push_back(call->NextDelivery().delivery_id());
  }
  Stop();
  PutBackByHand(backup);
  Start();
  StoreMany(2);
  for (int again = 0; again < 2; ++again) {
    auto call = Consume();
    const auto deliveries = call->NextDeliveries(3);
    ASSERT_EQ(deliveries.size(), 3u);
    for (const std::string& id : lost) {
      call->Ack(id);
      EXPECT_EQ(call->NextResult().result(), AckResult::RESULT_UNKNOWN) << id;
    }
    if (again > 0) {
      for (const auto& delivery : deliveries) {
        call->Ack(delivery.delivery_id());
        EXPECT_EQ(call->NextResult().result(), AckResult::RESULT_OK);
      }
    }
    call.reset();
    Start();
  }
}

// In one history, ids are known over restarts.
TEST_F(RestoreTest, DeliveryIdsAreKnownAfterARestart) {
  Start();
  StoreMany(1);
  CreateSubscription();
  const std::string id = Consume()->NextDelivery().delivery_id();
  Start();
  Start();
  auto call = Consume();
  call->Ack(id);
  EXPECT_EQ(call->NextResult().result(), AckResult::RESULT_OK);
}

TEST_F(RestoreTest, RestoreGivesANewEpochAndSaysWhatSubscribersWillSee) {
  Start();
  StoreMany(3);
  CreateSubscription();
  const std::string backup = BackUp();
  StoreMany(3);
  const std::string cursor_file = FreshTestFile("cursor");
  const std::vector<std::string> subscribe = {"subscribe", "--cursor-file", cursor_file,
                                              "--max-events=6", "--from=earliest"};
  const auto hookgate = [&](const std::vector<std::string>& arguments) {
    return RunProgram(kHookgate, arguments, {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc())});
  };
  EXPECT_EQ(hookgate(subscribe).exit_code, 0);
  const auto before = StoredEvents();

  const ProgramOutcome running = Restore(backup, {"--force"});
  EXPECT_EQ(running.exit_code, 1);
  EXPECT_THAT(running.err, HasSubstr("in use by another hookgated"));
  EXPECT_EQ(StoredEvents().size(), 6u);
  Stop();

  const ProgramOutcome unforced = Restore(backup);
  EXPECT_EQ(unforced.exit_code, 1);
  EXPECT_THAT(unforced.err, AllOf(HasSubstr("events 1 to 6"), HasSubstr("--force")));
  const ProgramOutcome restored = Restore(backup, {"--force"});
  EXPECT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_THAT(restored.out, AllOf(HasSubstr("CURSOR_OF_ANOTHER_HISTORY"),
                                  HasSubstr("sequences 1 to 3"), HasSubstr("1 to 6")));

  Start();
  for (const v1::Event& event : before) ExpectRefused(event.cursor());
  StoreMany(5);
  for (const v1::Event& event : before) ExpectRefused(event.cursor());
  const ProgramOutcome refused = hookgate(subscribe);
  EXPECT_EQ(refused.exit_code, 7) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("restored from a backup"), HasSubstr(cursor_file)));
  auto call = Consume();
  EXPECT_EQ(call->NextDelivery().event().sequence(), 1);
  Stop();
  const ProgramOutcome checked = RunProgram(kHookgate, {"fsck", data_dir_});
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
}

// Killed, the gateway leaves a write-ahead log. Beside a backup that is copied over events.db it
// undoes the restore in silence, or makes one log of two.
TEST_F(RestoreTest, RestoreAfterAKillTakesNothingOfTheLogOfBefore) {
  Start();
  StoreMany(3);
  const std::string backup = BackUp();
  StoreMany(20);
  gateway_->Kill();
  ASSERT_GT(fs::file_size(data_dir_ + "/events.db-wal"), 0u);
  EXPECT_EQ(Restore(backup, {"--force"}).exit_code, 0);
  Start();
  EXPECT_EQ(StoredEvents().size(), 3u);
}

TEST_F(RestoreTest, InterruptedRestoreIsCompletedByTheNextStart) {
  Start();
  StoreMany(3);
  const std::string backup = BackUp();
  StoreMany(20);
  gateway_->Kill();
  const std::string elsewhere = FreshTestFolder();
  ASSERT_EQ(RunProgram(kHookgated, {"--restore", backup, "--data_dir", elsewhere}).exit_code, 0);
  fs::copy_file(elsewhere + "/events.db", data_dir_ + "/.hookgated-replacement.db");
  std::ofstream(data_dir_ + "/.hookgated-draft.db") << "half a copy";
  Start();
  EXPECT_EQ(StoredEvents().size(), 3u);
  EXPECT_FALSE(fs::exists(data_dir_ + "/.hookgated-replacement.db"));
  EXPECT_FALSE(fs::exists(data_dir_ + "/.hookgated-draft.db"));
}

TEST_F(RestoreTest, DamagedBackupLeavesTheLogAsItWas) {
  Start();
  StoreMany(3);
  const std::string backup = BackUp();
  StoreMany(1);
  Stop();
  fs::resize_file(backup, fs::file_size(backup) / 2);
  const ProgramOutcome outcome = Restore(backup, {"--force"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cannot be restored"));
  Start();
  EXPECT_EQ(StoredEvents().size(), 4u);
}

TEST_F(RestoreTest, FlagsThatMeanNothingAreRefused) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--force"},
           {"--restore="},
           {"--restore=b.db"},
           {"--restore=b.db", "--data_dir=d", "--verify"},
           {"--restore=b.db", "--data_dir=d", "--check_config"}}) {
    EXPECT_EQ(RunProgram(kHookgated, arguments).exit_code, 2) << arguments[0];
  }
}

// Is it sound, before it is needed?
TEST_F(RestoreTest, ABackupIsCheckedWhereItLies) {
  Start();
  StoreMany(3);
  const std::string backup = BackUp();
  const fs::path folder = fs::path(backup).parent_path();
  for (const ProgramOutcome& outcome :
       {RunProgram(kHookgate, {"fsck", backup}),
        RunProgram(kHookgated, {"--verify", "--data_dir", backup})}) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("sequences 1 to 3"), HasSubstr("sound")));
  }
  // Nothing was made beside it.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
  // The log of a gateway that runs is not one.
  const ProgramOutcome running = RunProgram(kHookgate, {"fsck", data_dir_ + "/events.db"});
  EXPECT_EQ(running.exit_code, 5);
  EXPECT_THAT(running.err, HasSubstr("in use"));
}

// The restore by hand that goes wrong says what would have been right.
TEST_F(RestoreTest, ALogThatIsMalformedNamesRestore) {
  Start();
  StoreMany(3);
  Stop();
  {
    std::fstream file(data_dir_ + "/events.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file << std::string(2000, '\x5a');
  }
  const ProgramOutcome start =
      RunProgram(kHookgated,
                 {absl::StrCat("--data_dir=", data_dir_), "--http_address=127.0.0.1:0",
                  "--grpc_address=127.0.0.1:0", "--admin_address=127.0.0.1:0"},
                 {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)});
  EXPECT_EQ(start.exit_code, 1);
  EXPECT_THAT(start.err, AllOf(HasSubstr("malformed"), HasSubstr("--restore FILE")));
}

}  // namespace
}  // namespace hookgate
