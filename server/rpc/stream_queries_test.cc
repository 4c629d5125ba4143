#include "server/rpc/stream_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::ListStreamsRequest;
using hookgate::v1::ListStreamsResponse;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class FakeStream final : public OpenStream {
 public:
  explicit FakeStream(std::string subscription, size_t name_bytes = 0)
      : subscription_(std::move(subscription)), client_name_(name_bytes, 'n') {}
  void Drain(absl::Duration) override {}
  void Recheck() override {}
  bool Describe(hookgate::v1::StreamInfo& info) override {
    if (subscription_.empty()) return false;
    info.set_subscription(subscription_);
    info.set_client_name(client_name_);
    return true;
  }

 private:
  const std::string subscription_;
  const std::string client_name_;
};

class StreamQueriesTest : public testing::Test {
 protected:
  std::shared_ptr<OpenStream> Open(const std::string& subscription, size_t name_bytes = 0) {
    auto stream = std::make_shared<FakeStream>(subscription, name_bytes);
    EXPECT_TRUE(registry_.Add(stream).ok());
    return stream;
  }
  ListStreamsResponse List(const ListStreamsRequest& request) {
    ListStreamsResponse response;
    const absl::Status listed = ListStreams(registry_, *log_, request, response);
    EXPECT_TRUE(listed.ok()) << listed;
    return response;
  }
  // Page after page.
  std::vector<std::string> ListAll(ListStreamsRequest request, int* pages = nullptr) {
    std::vector<std::string> names;
    do {
      const ListStreamsResponse response = List(request);
      if (pages != nullptr) ++*pages;
      for (const auto& stream : response.streams()) names.push_back(stream.subscription());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }

  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
  StreamRegistry registry_{10'000};
};

TEST_F(StreamQueriesTest, ListsWhatIsOpenTheOldestFirst) {
  EXPECT_THAT(List({}).streams(), IsEmpty());
  Open("a");
  const auto ended = Open("b");
  Open("");  // Of a kind that is not shown.
  Open("c");
  registry_.Remove(ended.get());
  registry_.Remove(ended.get());
  const ListStreamsResponse response = List({});
  ASSERT_THAT(response.streams(), SizeIs(2));
  EXPECT_EQ(response.streams(0).subscription(), "a");
  EXPECT_EQ(response.streams(1).subscription(), "c");
  EXPECT_LT(response.streams(0).id(), response.streams(1).id());
  EXPECT_EQ(response.next_page_token(), "");
}

TEST_F(StreamQueriesTest, AStreamThatEndsBetweenPagesHidesNoOther) {
  std::vector<std::shared_ptr<OpenStream>> streams;
  for (const char* name : {"a", "b", "c", "d"}) streams.push_back(Open(name));
  ListStreamsRequest request;
  request.set_page_size(2);
  const ListStreamsResponse first = List(request);
  ASSERT_THAT(first.streams(), SizeIs(2));
  registry_.Remove(streams[0].get());
  registry_.Remove(streams[1].get());
  request.set_page_token(first.next_page_token());
  EXPECT_THAT(ListAll(request), ElementsAre("c", "d"));
}

// One page looks at a bounded number of streams, so a narrow one may be empty and go on.
TEST_F(StreamQueriesTest, ThoseOfOneSubscriptionAreFoundAmongMany) {
  for (int i = 0; i < 2500; ++i) Open("other");
  Open("mail");
  for (int i = 0; i < 2500; ++i) Open("");
  ListStreamsRequest request;
  request.set_subscription("mail");
  int pages = 0;
  EXPECT_THAT(ListAll(request, &pages), ElementsAre("mail"));
  EXPECT_EQ(pages, 3);
}

TEST_F(StreamQueriesTest, APageIsBoundedInBytes) {
  for (int i = 0; i < 5; ++i) Open("a", 400 << 10);
  int pages = 0;
  EXPECT_THAT(ListAll({}, &pages), SizeIs(5));
  EXPECT_EQ(pages, 3);
}

TEST_F(StreamQueriesTest, BadPageSizeOrTokenIsRefused) {
  ListStreamsResponse response;
  ListStreamsRequest request;
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(ListStreams(registry_, *log_, request, response)), "page_size");
  request.Clear();
  request.set_page_token("nonsense");
  EXPECT_EQ(FieldOf(ListStreams(registry_, *log_, request, response)), "page_token");
}

}  // namespace
}  // namespace hookgate
