#include "server/http/answer_queue.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

class Recipient final : public AnswerRecipient {
 public:
  explicit Recipient(std::vector<std::string>& taken) : taken_(taken) {}
  void TakeAnswer(const HttpResponse& response) override { taken_.push_back(response.body); }

 private:
  std::vector<std::string>& taken_;
};

HttpResponse Saying(const std::string& body) {
  HttpResponse response;
  response.body = body;
  return response;
}

TEST(AnswerQueueTest, OneWakeUpServesAllThatWait) {
  boost::asio::io_context io;
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> taken;
  auto recipient = std::make_shared<Recipient>(taken);
  const std::weak_ptr<Recipient> watch = recipient;
  answers->Push(recipient, Saying("1"));
  answers->Push(recipient, Saying("2"));
  answers->Push(std::move(recipient), Saying("3"));
  EXPECT_TRUE(taken.empty()) << "on the thread that pushed";
  EXPECT_EQ(io.run(), 1u);
  EXPECT_EQ(taken, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_TRUE(watch.expired()) << "recipients are kept";
}

// The log's thread gave way to that of the connections after the first answer of a group, which was
// sent by itself; then after the second.
TEST(AnswerQueueTest, AnswersOfABatchWaitForItsEnd) {
  boost::asio::io_context io;
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> taken;
  const auto recipient = std::make_shared<Recipient>(taken);
  {
    WakeBatch batch;
    answers->Push(recipient, Saying("1"));
    answers->Push(recipient, Saying("2"));
    EXPECT_EQ(io.poll(), 0u);
  }
  io.restart();
  EXPECT_EQ(io.run(), 1u);
  EXPECT_EQ(taken, (std::vector<std::string>{"1", "2"}));
}

// A recipient that goes on reads the next request. The answers behind its own once waited for that.
TEST(AnswerQueueTest, RecipientsGoOnOnceAllAnswersOfABatchAreTaken) {
  class Steps final : public AnswerRecipient {
   public:
    explicit Steps(std::vector<std::string>& steps) : steps_(steps) {}
    void TakeAnswer(const HttpResponse& response) override { steps_.push_back(response.body); }
    void GoOn() override { steps_.push_back("goes on"); }

   private:
    std::vector<std::string>& steps_;
  };
  boost::asio::io_context io;
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> steps;
  {
    WakeBatch batch;
    answers->Push(std::make_shared<Steps>(steps), Saying("1"));
    answers->Push(std::make_shared<Steps>(steps), Saying("2"));
  }
  EXPECT_EQ(io.run(), 1u);
  EXPECT_EQ(steps, (std::vector<std::string>{"1", "2", "goes on", "goes on"}));
}

// What another thread pushes meanwhile does not wait for that.
TEST(AnswerQueueTest, AnswersOfOtherThreadsDoNotWaitForABatch) {
  boost::asio::io_context io;
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> taken;
  const auto recipient = std::make_shared<Recipient>(taken);
  {
    WakeBatch batch;
    answers->Push(recipient, Saying("1"));
    std::thread([&] { answers->Push(recipient, Saying("2")); }).join();
    EXPECT_EQ(io.run(), 1u);
    EXPECT_EQ(taken, (std::vector<std::string>{"1", "2"}));
  }
  io.restart();
  EXPECT_EQ(io.run(), 0u);
}

// Answers that the connection's own thread knows at once, such as that it is full.
TEST(AnswerQueueTest, AnswerPushedWhileOthersAreTakenFollows) {
  class Pushing final : public AnswerRecipient {
   public:
    Pushing(AnswerQueue& answers, std::shared_ptr<AnswerRecipient> next)
        : answers_(answers), next_(std::move(next)) {}
    void TakeAnswer(const HttpResponse& response) override {
      answers_.Push(next_, Saying(absl::StrCat("after ", response.body)));
    }

   private:
    AnswerQueue& answers_;
    const std::shared_ptr<AnswerRecipient> next_;
  };
  boost::asio::io_context io;
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> taken;
  const auto recipient = std::make_shared<Recipient>(taken);
  answers->Push(std::make_shared<Pushing>(*answers, recipient), Saying("1"));
  answers->Push(recipient, Saying("2"));
  io.run();
  EXPECT_EQ(taken, (std::vector<std::string>{"2", "after 1"}));
}

TEST(AnswerQueueTest, NoneIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  boost::asio::io_context io;
  auto work = boost::asio::make_work_guard(io);
  const auto answers = std::make_shared<AnswerQueue>(io.get_executor());
  std::vector<std::string> taken;
  const auto recipient = std::make_shared<Recipient>(taken);
  std::thread loop([&] { io.run(); });
  std::vector<std::thread> pushers;
  pushers.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    pushers.emplace_back([&] {
      for (int j = 0; j < kEach; ++j) answers->Push(recipient, Saying("x"));
    });
  }
  for (std::thread& pusher : pushers) pusher.join();
  work.reset();
  loop.join();
  EXPECT_EQ(taken.size(), static_cast<size_t>(kThreads * kEach));
}

}  // namespace
}  // namespace hookgate
