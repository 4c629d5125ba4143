#include "client/consumer.h"

#include <atomic>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/testing/fake_gateway.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "gtest/gtest.h"
#include "server/base/proto_time.h"

namespace hookgate {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Stream = testing::FakeSubscriptionService::Stream;

constexpr v1::AckResult::Result kOk = v1::AckResult::RESULT_OK;
const grpc::Status kBroken(grpc::StatusCode::UNAVAILABLE, "connection reset");

class ConsumerTest : public ::testing::Test {
 protected:
  Consumer::Options Options() {
    Consumer::Options options;
    options.target = gateway_.target();
    options.subscription = "billing";
    options.backoff = {.initial = absl::Milliseconds(1), .maximum = absl::Milliseconds(2)};
    return options;
  }

  // Reads Open and answers it.
  static v1::ConsumeRequest Open(Stream& stream, absl::Duration ack_deadline = absl::Seconds(30)) {
    v1::ConsumeRequest request;
    stream.Read(&request);
    v1::ConsumeResponse response;
    *response.mutable_opened()->mutable_ack_deadline() = ToProto(ack_deadline);
    *response.mutable_opened()->mutable_heartbeat_interval() = ToProto(absl::Seconds(15));
    stream.Write(response);
    return request;
  }
  // Each of another event, unless `sequence` is given.
  void Deliver(Stream& stream, const std::vector<std::string>& ids, int64_t sequence = 0) {
    v1::ConsumeResponse response;
    for (const std::string& id : ids) {
      v1::Delivery& delivery = *response.mutable_deliveries()->add_deliveries();
      delivery.set_delivery_id(id);
      delivery.mutable_event()->set_sequence(sequence != 0 ? sequence : ++last_sequence_);
    }
    stream.Write(response);
  }
  // Until a handler has begun: on a slow machine a short lease ends before. Returns the newest id.
  std::string DeliverUntil(const absl::Notification& begun, Stream& stream) {
    int deliveries = 0;
    do {
      Deliver(stream, {absl::StrCat("d", ++deliveries)}, 7);
    } while (!begun.WaitForNotificationWithTimeout(absl::Milliseconds(50)));
    return absl::StrCat("d", deliveries);
  }
  static void Answer(Stream& stream, const std::string& id, v1::AckResult::Result result = kOk) {
    v1::ConsumeResponse response;
    v1::AckResult& answer = *response.mutable_ack_results()->add_results();
    answer.set_delivery_id(id);
    answer.set_result(result);
    stream.Write(response);
  }
  // Whether the client ends the stream, with nothing said before.
  static bool AtEnd(Stream& stream) {
    v1::ConsumeRequest request;
    return !stream.Read(&request);
  }

  std::atomic<int64_t> last_sequence_ = 100;
  testing::FakeGateway gateway_;
};

// Stop waits for the gateway's answer: only then the ack is known to be durable.
TEST_F(ConsumerTest, WhatTheHandlerDidIsAckedBeforeTheEnd) {
  v1::ConsumeRequest open;
  v1::ConsumeRequest ack;
  bool at_end = false;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    open = Open(stream);
    Deliver(stream, {"d1"});
    stream.Read(&ack);
    Answer(stream, "d1");
    at_end = AtEnd(stream);
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_EQ(consumer.Run([&](const v1::Delivery&) {
    consumer.Stop();
    return Verdict::Ack();
  }),
            absl::OkStatus());
  EXPECT_EQ(open.open().subscription(), "billing");
  EXPECT_EQ(open.open().limits().max_outstanding_messages(), 1);
  EXPECT_EQ(ack.ack().delivery_ids(0), "d1");
  EXPECT_TRUE(at_end);
}

// The handler of a delivery whose stream broke goes on; its verdict is for the newer one.
TEST_F(ConsumerTest, NoEventIsHandledTwiceAtATime) {
  absl::Notification begun;
  absl::Notification came_again;
  v1::ConsumeRequest ack;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"first"}, 7);
    begun.WaitForNotification();
    return kBroken;
  });
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"second"}, 7);
    Deliver(stream, {"other"}, 8);
    stream.Read(&ack);  // Of the other event: it comes behind, so both have arrived.
    Answer(stream, "other");
    came_again.Notify();
    stream.Read(&ack);
    Answer(stream, "second");
    AtEnd(stream);
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.concurrency = 2;
  Consumer consumer(options);
  std::atomic<int> handled_sevens = 0;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery& delivery) {
                    if (delivery.event().sequence() != 7) return Verdict::Ack();
                    ++handled_sevens;
                    begun.Notify();
                    came_again.WaitForNotification();
                    consumer.Stop();
                    return Verdict::Ack();
                  })
                  .ok());
  EXPECT_EQ(handled_sevens, 1);
  EXPECT_EQ(ack.ack().delivery_ids(0), "second");
}

TEST_F(ConsumerTest, BeginsNoMoreThanItWasTold) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"1", "2", "3", "4"});
    v1::ConsumeRequest request;
    while (stream.Read(&request)) {
      for (const std::string& id : request.ack().delivery_ids()) Answer(stream, id);
    }
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.concurrency = 4;
  options.max_events = 2;
  Consumer consumer(options);
  std::atomic<int> handled = 0;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    ++handled;
                    return Verdict::Ack();
                  })
                  .ok());
  EXPECT_EQ(handled, 2);
}

TEST_F(ConsumerTest, ANackSaysWhyAndWhatNext) {
  std::vector<v1::ConsumeRequest> nacks(3);
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    for (size_t i = 0; i < nacks.size(); ++i) {
      Deliver(stream, {absl::StrCat(i)});
      stream.Read(&nacks[i]);
      Answer(stream, absl::StrCat(i));
    }
    AtEnd(stream);
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery& delivery) {
                    if (delivery.delivery_id() == "0") return Verdict::Nack("busy");
                    if (delivery.delivery_id() == "1")
                      return Verdict::Nack("closed", absl::Minutes(5));
                    consumer.Stop();
                    return Verdict::DeadLetter("hopeless");
                  })
                  .ok());
  EXPECT_EQ(nacks[0].nack().items(0).reason(), "busy");
  EXPECT_EQ(nacks[0].nack().items(0).next_case(), v1::Nack::Item::NEXT_NOT_SET);
  EXPECT_EQ(nacks[1].nack().items(0).delay().seconds(), 300);
  EXPECT_TRUE(nacks[2].nack().items(0).dead_letter());
}

// The gateway refuses a message with a text that is none, and with it the stream and all that it
// holds: the consumer ended for good, and again with the same event.
TEST_F(ConsumerTest, ANackHoldsWhatAMessageMayHold) {
  std::vector<v1::ConsumeRequest> nacks(3);
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    for (size_t i = 0; i < nacks.size(); ++i) {
      Deliver(stream, {absl::StrCat(i)});
      EXPECT_TRUE(stream.Read(&nacks[i]));
      Answer(stream, absl::StrCat(i));
    }
    AtEnd(stream);
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery& delivery) {
                    if (delivery.delivery_id() == "0") {
                      return Verdict::Nack("zo\xeb", absl::InfiniteDuration());
                    }
                    if (delivery.delivery_id() == "1") {
                      return Verdict::Nack(std::string(5000, 'x'), -absl::Minutes(5));
                    }
                    consumer.Stop();
                    return Verdict::DeadLetter("\xff");
                  })
                  .ok());
  EXPECT_EQ(nacks[0].nack().items(0).reason(), "zo?");
  EXPECT_EQ(nacks[0].nack().items(0).delay().seconds(), 12 * 3600);
  EXPECT_EQ(nacks[1].nack().items(0).reason(), std::string(1024, 'x'));
  EXPECT_EQ(nacks[1].nack().items(0).delay().seconds(), 0);
  EXPECT_EQ(nacks[2].nack().items(0).reason(), "?");
}

// With 0 the gateway was asked for nothing, and handed out nothing.
TEST_F(ConsumerTest, OneRunsAtATimeAtLeast) {
  v1::ConsumeRequest open;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    EXPECT_TRUE(stream.Read(&open));
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "enough");
  });
  Consumer::Options options = Options();
  options.concurrency = 0;
  EXPECT_FALSE(Consumer(options).Run([](const v1::Delivery&) { return Verdict::Ack(); }).ok());
  EXPECT_EQ(open.open().limits().max_outstanding_messages(), 1);
}

TEST_F(ConsumerTest, NothingIsToldAfterAStop) {
  std::atomic<int> told = 0;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1"});
    v1::ConsumeRequest request;
    EXPECT_TRUE(stream.Read(&request));  // The handler has stopped the consumer before it returned.
    v1::ConsumeResponse heartbeat;
    heartbeat.mutable_heartbeat();
    for (int i = 0; i < 3; ++i) stream.Write(heartbeat);
    Answer(stream, "d1");
    AtEnd(stream);
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.observers.heartbeat = [&](const v1::ConsumeResponse::Heartbeat&) { ++told; };
  Consumer consumer(options);
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    consumer.Stop();
                    return Verdict::Ack();
                  })
                  .ok());
  EXPECT_EQ(told, 0);
}

// The thread that would have ended the stream waited in a write, and nothing else did while the
// gateway was heard of. Takes the ten seconds that a gateway has for its answer to the end of a
// stream.
TEST_F(ConsumerTest, AStopEndsAlsoIfTheGatewayTakesNothing) {
  absl::Notification ended;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    v1::ConsumeRequest request;
    stream.Read(&request);
    v1::ConsumeResponse response;
    *response.mutable_opened()->mutable_ack_deadline() = ToProto(absl::Hours(1));
    *response.mutable_opened()->mutable_heartbeat_interval() = ToProto(absl::Hours(1));
    stream.Write(response);
    std::vector<std::string> ids;
    for (int i = 0; i < 2000; ++i) ids.push_back(absl::StrCat("d", i));
    Deliver(stream, ids);
    ended.WaitForNotification();
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.stop_grace = absl::Milliseconds(20);
  options.give_back_grace = absl::Milliseconds(20);
  Consumer consumer(options);
  std::atomic<int> handled = 0;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    if (++handled == 1500) consumer.Stop();
                    return Verdict::Nack(std::string(1024, 'x'));
                  })
                  .ok());
  ended.Notify();
}

TEST_F(ConsumerTest, ALeaseIsExtendedWhileTheHandlerRuns) {
  absl::Notification extended_twice;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream, absl::Seconds(2));  // A third of it, twice: long enough for a slow machine.
    Deliver(stream, {"d1"});
    v1::ConsumeRequest request;
    for (int extensions = 0; stream.Read(&request);) {
      if (request.has_extend() && ++extensions == 2) extended_twice.Notify();
      Answer(stream, "d1");
    }
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    extended_twice.WaitForNotification();
                    consumer.Stop();
                    return Verdict::Ack();
                  })
                  .ok());
}

TEST_F(ConsumerTest, AsManyRunAtATimeAsAreAllowed) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1", "d2"});
    v1::ConsumeRequest request;
    while (stream.Read(&request)) {
      for (const std::string& id : request.ack().delivery_ids()) Answer(stream, id);
    }
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.concurrency = 2;
  Consumer consumer(options);
  absl::Notification first;
  absl::Notification second;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery& delivery) {
                    // Each waits for the other.
                    absl::Notification& mine = delivery.delivery_id() == "d1" ? first : second;
                    mine.Notify();
                    (&mine == &first ? second : first).WaitForNotification();
                    consumer.Stop();
                    return Verdict::Ack();
                  })
                  .ok());
}

// The gateway may not have it: an ack of what was acked does no harm.
TEST_F(ConsumerTest, AnAckThatWasNotAnsweredIsSentAgainOnTheNextStream) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1"});
    v1::ConsumeRequest request;
    stream.Read(&request);
    return kBroken;
  });
  Consumer consumer(Options());
  v1::ConsumeRequest again;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    stream.Read(&again);
    Answer(stream, "d1");
    consumer.Stop();
    AtEnd(stream);
    return grpc::Status::OK;
  });
  EXPECT_TRUE(consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); }).ok());
  EXPECT_EQ(again.ack().delivery_ids(0), "d1");
}

// Each ack had a frame of its own, which cost more than the event: what waits goes together, and a
// nack in between keeps its place.
TEST_F(ConsumerTest, AcksThatWaitGoInOneFrame) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1", "d2", "d3", "d4"});
    v1::ConsumeRequest request;
    for (int verdicts = 0; verdicts < 4 && stream.Read(&request);) {
      verdicts += request.ack().delivery_ids_size() + request.nack().items_size();
    }
    return kBroken;
  });
  Consumer consumer(Options());
  std::vector<std::string> acked;
  int nacked = 0;
  int frames = 0;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    v1::ConsumeRequest request;
    while (acked.size() + nacked < 4 && stream.Read(&request)) {
      ++frames;
      nacked += request.nack().items_size();
      for (const std::string& id : request.ack().delivery_ids()) acked.push_back(id);
    }
    for (const char* id : {"d1", "d2", "d3", "d4"}) Answer(stream, id);
    consumer.Stop();
    AtEnd(stream);
    return grpc::Status::OK;
  });
  EXPECT_TRUE(consumer
                  .Run([](const v1::Delivery& delivery) {
                    return delivery.delivery_id() == "d2" ? Verdict::Nack("busy") : Verdict::Ack();
                  })
                  .ok());
  EXPECT_THAT(acked, UnorderedElementsAre("d1", "d3", "d4"));
  EXPECT_EQ(nacked, 1);
  EXPECT_LE(frames, 3);  // Acks on either side of the nack, in the order of a hash table.
}

TEST_F(ConsumerTest, TheApplicationIsToldWhatBecomesOfItsStreams) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    v1::ConsumeResponse frame;
    frame.mutable_heartbeat()->add_conditions(v1::SUBSCRIPTION_CONDITION_PAUSED);
    stream.Write(frame);
    *frame.mutable_draining()->mutable_reconnect_delay() = ToProto(absl::Milliseconds(3));
    stream.Write(frame);
    return GatewayStatus(grpc::StatusCode::UNAVAILABLE, "DRAINING", "draining");
  });
  std::vector<std::string> told;
  Consumer::Options options = Options();
  Consumer* running = nullptr;
  options.observers = {.opened = [&](const auto&) { told.push_back("opened"); },
                       .heartbeat =
                           [&](const auto& frame) {
                             told.push_back(v1::SubscriptionCondition_Name(frame.conditions(0)));
                           },
                       .draining = [&](const auto&) { told.push_back("draining"); },
                       .disconnected =
                           [&](const absl::Status& why, absl::Duration delay) {
                             told.push_back(GatewayErrorOf(why).reason);
                             EXPECT_EQ(delay, absl::Milliseconds(3));
                             running->Stop();
                           }};
  Consumer consumer(options);
  running = &consumer;
  EXPECT_TRUE(consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); }).ok());
  EXPECT_THAT(told, ::testing::ElementsAre("opened", "SUBSCRIPTION_CONDITION_PAUSED", "draining",
                                           "DRAINING"));
}

// The gateway takes an old token away: the consumer ended although its file held the new one.
TEST_F(ConsumerTest, ARefusedTokenIsFinalUnlessTheFileHoldsAnotherByThen) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/token");
  std::ofstream(path) << "old";
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    std::ofstream(path) << "new";
    return GatewayStatus(grpc::StatusCode::UNAUTHENTICATED, "UNAUTHENTICATED", "unknown token");
  });
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    return GatewayStatus(grpc::StatusCode::UNAUTHENTICATED, "UNAUTHENTICATED", "again");
  });
  Consumer::Options options = Options();
  options.security.token_file = path;
  const absl::Status end =
      Consumer(options).Run([](const v1::Delivery&) { return Verdict::Ack(); });
  EXPECT_EQ(end.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(end.message()), HasSubstr("again"));
  options.security = {.token = "to ken"};
  EXPECT_EQ(Consumer(options).Run([](const v1::Delivery&) { return Verdict::Ack(); }).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ConsumerTest, ASilentStreamIsGivenUp) {
  Consumer::Options options = Options();
  options.open_timeout = absl::Milliseconds(20);
  Consumer* running = nullptr;
  absl::Status why;
  options.observers.disconnected = [&](const absl::Status& status, absl::Duration) {
    why = status;
    running->Stop();
  };
  Consumer consumer(options);
  running = &consumer;
  EXPECT_TRUE(consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); }).ok());
  EXPECT_THAT(std::string(why.message()), HasSubstr("nothing came from the gateway"));
}

// A handler that hangs keeps Stop waiting, but not the event from somebody else.
TEST_F(ConsumerTest, WhatDoesNotFinishInTimeIsGivenBack) {
  absl::Notification given_back;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1"});
    EXPECT_TRUE(AtEnd(stream));
    given_back.Notify();
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.stop_grace = absl::Milliseconds(20);
  options.give_back_grace = absl::Milliseconds(20);
  Consumer consumer(options);
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    consumer.Stop();
                    given_back.WaitForNotification();
                    return Verdict::Ack();
                  })
                  .ok());
}

// A program that ran for an event that was given back went on while another consumer had the event.
// It hears first, and the event is given back when it has ended: by the end of the stream, not by a
// call that is cut off, which counts.
TEST_F(ConsumerTest, StopAndGiveBackLosesWhatRunsBeforeItIsGivenBack) {
  std::atomic<bool> handler_ended = false;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1"});
    EXPECT_TRUE(AtEnd(stream));
    EXPECT_TRUE(handler_ended);
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&, Hold& hold) {
                    absl::Notification lost;
                    hold.OnLost([&lost] { lost.Notify(); });
                    EXPECT_FALSE(hold.lost());
                    consumer.Stop();
                    EXPECT_FALSE(hold.lost()) << "it waits for stop_grace";
                    consumer.StopAndGiveBack();
                    lost.WaitForNotification();
                    EXPECT_TRUE(hold.lost());
                    handler_ended = true;
                    return Verdict::GiveBack();
                  })
                  .ok());
}

TEST_F(ConsumerTest, AHandlerLosesItsEventWithItsStreamAndHandlesItWhenItComesAgain) {
  absl::Notification begun;
  absl::Notification came_again;
  v1::ConsumeRequest ack;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"first"}, 7);
    begun.WaitForNotification();
    return kBroken;
  });
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"second"}, 7);
    Deliver(stream, {"other"}, 8);
    stream.Read(&ack);  // Of the other event, which came behind.
    Answer(stream, "other");
    came_again.Notify();
    stream.Read(&ack);
    Answer(stream, "second");
    EXPECT_TRUE(AtEnd(stream));
    return grpc::Status::OK;
  });
  Consumer::Options options = Options();
  options.concurrency = 2;
  Consumer consumer(options);
  std::atomic<int> handled_sevens = 0;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery& delivery, Hold& hold) {
                    if (delivery.event().sequence() != 7) return Verdict::Ack();
                    if (++handled_sevens == 2) {
                      EXPECT_EQ(delivery.delivery_id(), "second");
                      EXPECT_FALSE(hold.lost());
                      consumer.Stop();
                      return Verdict::Ack();
                    }
                    absl::Notification lost;
                    hold.OnLost([&lost] { lost.Notify(); });
                    begun.Notify();
                    lost.WaitForNotification();
                    came_again.WaitForNotification();
                    return Verdict::GiveBack();
                  })
                  .ok());
  EXPECT_EQ(handled_sevens, 2);
  EXPECT_EQ(ack.ack().delivery_ids(0), "second");
}

TEST_F(ConsumerTest, AHandlerHearsThatItsLeaseIsLost) {
  for (const v1::AckResult::Result result :
       {v1::AckResult::RESULT_LEASE_LOST, v1::AckResult::RESULT_ALREADY,
        v1::AckResult::RESULT_UNKNOWN}) {
    absl::Notification begun;
    gateway_.subscriptions.AddStream([&](Stream& stream) {
      Open(stream, absl::Seconds(3));
      const std::string id = DeliverUntil(begun, stream);
      v1::ConsumeRequest request;
      while (stream.Read(&request)) {
        EXPECT_TRUE(request.has_extend()) << "there is nothing else to say about it";
        for (const auto& item : request.extend().items()) {
          Answer(stream, item.delivery_id(), item.delivery_id() == id ? result : kOk);
        }
      }
      return grpc::Status::OK;
    });
    Consumer consumer(Options());
    EXPECT_TRUE(consumer
                    .Run([&](const v1::Delivery&, Hold& hold) {
                      absl::Notification lost;
                      hold.OnLost([&lost] { lost.Notify(); });
                      begun.Notify();
                      lost.WaitForNotification();
                      consumer.Stop();
                      return Verdict::GiveBack();
                    })
                    .ok());
  }
}

// A gateway that cannot be heard gives the event to others when the lease ends by its clock.
TEST_F(ConsumerTest, ALeaseThatIsNotConfirmedInTimeIsLost) {
  absl::Notification begun;
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream, absl::Milliseconds(60));
    DeliverUntil(begun, stream);
    v1::ConsumeRequest request;
    while (stream.Read(&request)) {
    }
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&, Hold& hold) {
                    absl::Notification lost;
                    hold.OnLost([&lost] { lost.Notify(); });
                    begun.Notify();
                    lost.WaitForNotification();
                    consumer.Stop();
                    return Verdict::GiveBack();
                  })
                  .ok());
}

// A program that cannot be started is not the event's fault: nothing is nacked, the consumer stops,
// and the end of the stream gives the event back.
TEST_F(ConsumerTest, GivingBackStopsTheConsumerAndSaysNothingAboutTheEvent) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {"d1", "d2"});
    EXPECT_TRUE(AtEnd(stream));
    return grpc::Status::OK;
  });
  Consumer consumer(Options());
  std::atomic<int> handled = 0;
  EXPECT_TRUE(consumer
                  .Run([&](const v1::Delivery&) {
                    ++handled;
                    return Verdict::GiveBack();
                  })
                  .ok());
  EXPECT_EQ(handled, 1);
}

// Consumers on one machine were all called "consumer", shared one limit, and all but one starved.
TEST_F(ConsumerTest, NamesAreUniqueUnlessGiven) {
  std::vector<std::string> names;
  const auto name_of = [&](const std::string& given) {
    v1::ConsumeRequest open;
    Consumer::Options options = Options();
    options.consumer_name = given;
    Consumer consumer(options);
    gateway_.subscriptions.AddStream([&](Stream& stream) {
      open = Open(stream);
      consumer.Stop();
      AtEnd(stream);
      return grpc::Status::OK;
    });
    EXPECT_TRUE(consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); }).ok());
    return open.open().consumer_name();
  };
  EXPECT_EQ(name_of("billing-1"), "billing-1");
  const std::string first = name_of("");
  EXPECT_THAT(first, ::testing::MatchesRegex("[!-~]+-[0-9]+-[0-9a-f]+"));
  EXPECT_NE(first, name_of(""));
}

// A frame above the channel's limit ended the stream on this side, and came again, for ever.
TEST_F(ConsumerTest, AMessageThatIsTooLargeForThisSideEndsIt) {
  gateway_.subscriptions.AddStream([&](Stream& stream) {
    Open(stream);
    Deliver(stream, {std::string(1000, 'x')});
    return kBroken;
  });
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(500);
  Connection connection(
      gateway_.target(),
      grpc::CreateCustomChannel(gateway_.target(), grpc::InsecureChannelCredentials(), arguments));
  Consumer consumer(connection, Options());
  const absl::Status end = consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); });
  EXPECT_EQ(end.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(end.message()), HasSubstr("larger than max"));
}

TEST_F(ConsumerTest, NoSuchSubscriptionEndsIt) {
  gateway_.subscriptions.AddStream([](Stream&) {
    return GatewayStatus(grpc::StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "there is none");
  });
  Consumer consumer(Options());
  const absl::Status end = consumer.Run([](const v1::Delivery&) { return Verdict::Ack(); });
  EXPECT_EQ(end.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace hookgate
