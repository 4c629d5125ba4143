#include "server/status/refused_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

RefusedRequest Forged(const std::string& webhook_id, const std::string& client = "192.0.2.1") {
  RefusedRequest request;
  request.source = "openai";
  request.peer = client;
  request.client = client;
  request.code = "signature_mismatch";
  request.webhook_id = webhook_id;
  return request;
}

RefusedRequest OffThePath(const std::string& path, const std::string& client = "198.51.100.1") {
  RefusedRequest request;
  request.path = path;
  request.peer = client;
  request.client = client;
  request.code = "not_found";
  return request;
}

std::vector<std::string> IdsOf(const std::vector<RefusedRequestPtr>& entries) {
  std::vector<std::string> ids;
  for (const RefusedRequestPtr& entry : entries) ids.push_back(entry->webhook_id);
  return ids;
}

TEST(RefusedRequestsTest, TheNewestComesFirst) {
  RefusedRequests refused;
  for (const char* id : {"a", "b", "c"}) refused.Record(Forged(id), kNow);
  EXPECT_THAT(IdsOf(refused.List({})), ElementsAre("c", "b", "a"));
  const int64_t second = refused.List({})[1]->number;
  EXPECT_THAT(IdsOf(refused.List({.before = second})), ElementsAre("a"));
  EXPECT_THAT(IdsOf(refused.List({.max_entries = 2})), ElementsAre("c", "b"));
}

// A sender repeats a webhook for days: that is one entry, and not all of them.
TEST(RefusedRequestsTest, RepeatsAreOneEntryThatCounts) {
  RefusedRequests refused;
  refused.Record(Forged("a"), kNow);
  refused.Record(Forged("b"), kNow);
  RefusedRequest repeat = Forged("a");
  repeat.detail = "newer";
  refused.Record(repeat, kNow + absl::Hours(1));
  const auto entries = refused.List({});
  ASSERT_THAT(IdsOf(entries), ElementsAre("a", "b"));
  EXPECT_EQ(entries[0]->count, 2);
  EXPECT_EQ(entries[0]->detail, "newer");
  EXPECT_EQ(entries[0]->first_time, kNow);
  EXPECT_EQ(entries[0]->last_time, kNow + absl::Hours(1));
  EXPECT_EQ(entries[1]->count, 1);
  // From elsewhere, or for something else, it is another.
  refused.Record(Forged("a", "192.0.2.2"), kNow);
  RefusedRequest other = Forged("a");
  other.code = "timestamp_too_old";
  refused.Record(other, kNow);
  EXPECT_EQ(refused.size(), 4u);
}

// Somebody tries thousands of paths, and the one refusal that matters was gone.
TEST(RefusedRequestsTest, AFloodOfOneKindPushesOutItsOwnKind) {
  RefusedRequests refused(10);
  refused.Record(Forged("wanted"), kNow);
  for (int i = 0; i < 1000; ++i) refused.Record(OffThePath(absl::StrCat("/", i)), kNow);
  EXPECT_EQ(refused.size(), 10u);
  EXPECT_THAT(refused.FindById("wanted"), SizeIs(1));
  EXPECT_EQ(refused.List({})[0]->path, "/999");
  EXPECT_EQ(refused.List({.code = "not_found"}).back()->path, "/991");
}

// The same, by somebody who forges webhooks of the sender's own source.
TEST(RefusedRequestsTest, AFloodFromOneAddressLeavesTheOtherAddresses) {
  RefusedRequests refused(10);
  for (const char* id : {"wanted 1", "wanted 2"}) refused.Record(Forged(id), kNow);
  for (int i = 0; i < 1000; ++i) refused.Record(Forged(absl::StrCat(i), "203.0.113.9"), kNow);
  EXPECT_THAT(IdsOf(refused.List({.address = "192.0.2.1"})), ElementsAre("wanted 2", "wanted 1"));
  EXPECT_EQ(refused.size(), 10u);
}

// From many addresses: each has one entry, and the oldest goes. Another kind stays.
TEST(RefusedRequestsTest, AFloodFromManyAddressesPushesOutTheOldest) {
  RefusedRequests refused(10);
  refused.Record(Forged("wanted"), kNow);
  for (int i = 0; i < 1000; ++i) {
    refused.Record(OffThePath("/", absl::StrCat("2001:db8::", i)), kNow);
  }
  EXPECT_THAT(refused.FindById("wanted"), SizeIs(1));
  EXPECT_EQ(refused.List({.code = "not_found"}).back()->client, "2001:db8::991");
}

TEST(RefusedRequestsTest, FindsByWhatIsAskedFor) {
  RefusedRequests refused;
  refused.Record(Forged("a"), kNow);
  RefusedRequest proxied = Forged("b", "192.0.2.2");
  proxied.peer = "10.0.0.1";
  refused.Record(proxied, kNow + absl::Seconds(1));
  refused.Record(OffThePath("/"), kNow + absl::Seconds(2));
  EXPECT_THAT(IdsOf(refused.List({.source = "openai"})), ElementsAre("b", "a"));
  EXPECT_THAT(refused.List({.code = "not_found"}), SizeIs(1));
  EXPECT_THAT(IdsOf(refused.List({.address = "10.0.0.1"})), ElementsAre("b"));
  EXPECT_THAT(IdsOf(refused.List({.address = "192.0.2.2"})), ElementsAre("b"));
  EXPECT_THAT(refused.List({.since = kNow + absl::Seconds(1)}), SizeIs(2));
  EXPECT_THAT(IdsOf(refused.List({.webhook_id = "a"})), ElementsAre("a"));
  EXPECT_THAT(IdsOf(refused.FindById("b")), ElementsAre("b"));
  EXPECT_THAT(refused.FindById("c"), IsEmpty());
  EXPECT_THAT(refused.FindById(""), IsEmpty());
}

// What a peer sends is bounded before it is kept, and cannot disturb a terminal.
TEST(RefusedRequestsTest, WhatAPeerChoseIsCutAndPrintable) {
  RefusedRequests refused;
  RefusedRequest request = OffThePath(std::string(64 << 10, '\x1b'));
  request.detail = "\xe2\x80\xae" + std::string(64 << 10, 'd');
  request.webhook_id = std::string(300, 'i');
  for (int i = 0; i < 10'000; ++i) {
    request.AddHeader(absl::StrCat(i, "-", std::string(70, 'n')), 1000);
  }
  refused.Record(request, kNow);
  const RefusedRequest& kept = *refused.List({})[0];
  EXPECT_TRUE(absl::StartsWith(kept.path, "\\x1b\\x1b"));
  EXPECT_TRUE(absl::EndsWith(kept.path, "..."));
  EXPECT_TRUE(absl::StartsWith(kept.detail, "\\u202ed"));
  size_t bytes = sizeof(RefusedRequest);
  for (const std::string* text : {&kept.path, &kept.detail, &kept.webhook_id}) {
    EXPECT_LE(text->size(), RefusedRequest::kMaxTextBytes);
    bytes += text->capacity();
  }
  EXPECT_EQ(kept.header_count, 10'000);
  EXPECT_LE(kept.headers.size(), RefusedRequest::kMaxHeaders);
  ASSERT_FALSE(kept.headers.empty());
  EXPECT_TRUE(absl::StartsWith(kept.headers[0].name, "0-nnn"));
  EXPECT_EQ(kept.headers[0].bytes, 1000);
  bytes += kept.headers.capacity() * sizeof(RefusedRequest::Header);
  for (const RefusedRequest::Header& header : kept.headers) bytes += header.name.capacity();
  EXPECT_LE(bytes, RefusedRequests::kMaxEntryBytes);
  // It is found by what it claimed all the same.
  EXPECT_THAT(refused.FindById(std::string(300, 'i')), SizeIs(1));
}

TEST(RefusedRequestsTest, ManyShortHeadersAreAsBounded) {
  RefusedRequest request;
  for (int i = 0; i < 10'000; ++i) request.AddHeader("x", 0);
  EXPECT_THAT(request.headers, SizeIs(RefusedRequest::kMaxHeaders));
  EXPECT_EQ(request.header_count, 10'000);
}

// Where the cut would go through a character, it goes before it.
TEST(RefusedRequestsTest, NoCharacterIsCutInTwo) {
  RefusedRequests refused;
  std::string path;
  while (path.size() < 300) path += "\xc3\xa9";
  for (const char* before : {"", "/"}) refused.Record(OffThePath(before + path), kNow);
  for (const RefusedRequestPtr& entry : refused.List({})) {
    EXPECT_FALSE(absl::StrContains(entry->path, "\\x")) << entry->path;
    EXPECT_TRUE(absl::EndsWith(entry->path, "\xc3\xa9...")) << entry->path;
  }
}

TEST(RefusedRequestsTest, OffRemembersNothing) {
  RefusedRequests refused(0);
  EXPECT_FALSE(refused.enabled());
  refused.Record(Forged("a"), kNow);
  EXPECT_THAT(refused.List({}), IsEmpty());
}

TEST(RefusedRequestsTest, ThreadsMayRecordAndReadAtOnce) {
  RefusedRequests refused(50);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&refused, t] {
      for (int i = 0; i < 2000; ++i) {
        refused.Record(Forged(absl::StrCat(i % 100), absl::StrCat("192.0.2.", t)), kNow);
        if (i % 100 == 0) refused.List({});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused.size(), 50u);
  EXPECT_THAT(refused.List({}), SizeIs(50));
}

}  // namespace
}  // namespace hookgate
