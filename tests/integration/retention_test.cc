// storage.max_bytes of a real gateway: what goes, what stays, and who is told.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/delivery/cursor.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kNoLimit[] =
    R"(sources { name: "openai" secrets { name: "test" file: "SECRET_FILE" } })";
constexpr int64_t kMaxBytes = 64 << 20;  // the least that can be configured
constexpr char kWarning[] = "above storage.max_bytes";

std::string WithLimit() {
  return absl::StrCat(kNoLimit, " storage { max_bytes: ", kMaxBytes, " }");
}

class RetentionTest : public GatewayTest {
 protected:
  // Fills the log, which no gateway has open, with `count` events of 4 MiB.
  void Fill(int count, absl::Duration age) {
    const auto log = OpenTemporaryLog(nullptr, data_dir_);
    epoch_ = log->epoch();
    for (int i = 0; i < count; ++i) {
      AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", log->Position().head + 1),
                         .receive_time = absl::Now() - age,
                         .raw_body = std::string(4 << 20, 'x')});
    }
  }
  // Asks until `holds` does; the status as it was last.
  template <typename Holds>
  v1::GetStatusResponse StatusWhen(Holds holds) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (true) {
      v1::GetStatusResponse status = GetStatus();
      if (holds(status) || absl::Now() > end) return status;
    }
  }
  void WaitForWarning() {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (gateway_->log().find(kWarning) == std::string::npos && absl::Now() < end) {
      std::this_thread::yield();
    }
    EXPECT_THAT(gateway_->log(), HasSubstr(kWarning));
  }
  EventStream Resume(Sequence sequence) {
    return EventStream(gateway_->grpc(), absl::StrCat("after_cursor: '", CursorAt(sequence), "'"));
  }

  // As gateways of before gave them: without the proof.
  std::string CursorAt(Sequence sequence) const { return absl::StrCat(epoch_, "-", sequence); }

  std::string epoch_;
};

// P4: an overtaken cursor is told, whichever limit it was that overtook it.
TEST_F(RetentionTest, OldEventsGoOnceTheLogIsAboveItsBytes) {
  Fill(20, absl::Hours(24 * 5));
  Fill(2, absl::ZeroDuration());
  StartWithConfig(kNoLimit);
  EXPECT_GT(GetStatus().storage().used_bytes(), kMaxBytes);
  EXPECT_EQ(GetStatus().storage().max_bytes(), 0);
  EXPECT_EQ(Resume(0).NextEvents(1).at(0).sequence(), 1);

  Reload(WithLimit());
  StatusWhen([](const auto& s) { return s.storage().used_bytes() <= kMaxBytes; });
  // Again: the room is seen a moment before the commit that made it is noted.
  const auto status = GetStatus();
  EXPECT_LE(status.storage().used_bytes(), kMaxBytes);
  EXPECT_EQ(status.storage().max_bytes(), kMaxBytes);
  const Sequence earliest = status.earliest_sequence();
  EXPECT_GE(earliest, 7);  // 22 * 4 MiB are 24 MiB too many,
  EXPECT_LE(earliest, 9);  // and no more go than must.
  EXPECT_EQ(status.head_sequence(), 22);

  EventStream overtaken = Resume(0);
  EXPECT_EQ(overtaken.Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET);
  const grpc::Status refusal = overtaken.Finish();
  EXPECT_EQ(refusal.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(refusal.error_details(), HasSubstr("CURSOR_OVERTAKEN"));
  EXPECT_THAT(refusal.error_details(), HasSubstr(CursorAt(earliest - 1)));
  EXPECT_EQ(Resume(earliest - 1).NextEvents(1).at(0).sequence(), earliest);
  EXPECT_THAT(gateway_->log(), Not(HasSubstr(kWarning)));
}

// P2: what a sender may still repeat is known, and the operator is told that the log cannot shrink.
TEST_F(RetentionTest, YoungEventsStayAndAWarningSaysSo) {
  Fill(20, absl::Hours(24 * 3));
  StartWithConfig(WithLimit());
  WaitForWarning();
  const auto status = GetStatus();
  EXPECT_EQ(status.earliest_sequence(), 1);
  EXPECT_GT(status.storage().used_bytes(), status.storage().max_bytes());
  EXPECT_TRUE(status.ready());
  const HttpReply repeat = Send({.webhook_id = "wh_1"});
  EXPECT_EQ(repeat.status, 200);
  EXPECT_THAT(repeat.body, HasSubstr("\"duplicate\""));
  Store({.webhook_id = "new"});
}

TEST_F(RetentionTest, WhatADurableSubscriptionHasNotSettledStays) {
  Fill(20, absl::Hours(24 * 5));
  Fill(1, absl::ZeroDuration());
  StartWithConfig(kNoLimit);
  const auto stub = ConnectToSubscriptions(gateway_->grpc());
  const auto backlog = [&] {
    grpc::ClientContext context;
    v1::GetSubscriptionRequest request;
    request.set_name("billing");
    v1::GetSubscriptionResponse response;
    EXPECT_TRUE(stub->GetSubscription(&context, request, &response).ok());
    return response.subscription().backlog();
  };
  {
    grpc::ClientContext context;
    v1::CreateSubscriptionRequest request;
    request.set_name("billing");
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    ASSERT_TRUE(stub->CreateSubscription(&context, request, &response).ok());
  }
  Reload(WithLimit());
  WaitForWarning();
  EXPECT_EQ(GetStatus().earliest_sequence(), 1);
  EXPECT_EQ(backlog().lost_events(), 0);
  EXPECT_EQ(backlog().events(), 21);
  {
    grpc::ClientContext context;
    v1::DeleteSubscriptionRequest request;
    request.set_name("billing");
    v1::DeleteSubscriptionResponse response;
    ASSERT_TRUE(stub->DeleteSubscription(&context, request, &response).ok());
  }
  Reload(WithLimit());
  EXPECT_GT(StatusWhen([](const auto& s) { return s.earliest_sequence() > 1; }).earliest_sequence(),
            1);
}

}  // namespace
}  // namespace hookgate
