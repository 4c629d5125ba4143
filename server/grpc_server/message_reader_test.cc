#include "server/grpc_server/message_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using Result = MessageReader::Result;

constexpr size_t kMax = 1000;

std::string Framed(absl::string_view message, char flag = 0) {
  const auto length = static_cast<uint32_t>(message.size());
  const char prefix[] = {flag, static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                         static_cast<char>(length >> 8), static_cast<char>(length)};
  return absl::StrCat(absl::string_view(prefix, sizeof(prefix)), message);
}

// What `bytes` hold, in pieces of `piece` bytes.
std::vector<std::string> MessagesIn(absl::string_view bytes, size_t piece) {
  MessageReader reader;
  std::vector<std::string> messages;
  size_t used = 0;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.Add(bytes.substr(at, piece));
    std::string message;
    while (reader.Next(kMax, message, used) == Result::kMessage) messages.push_back(message);
  }
  EXPECT_EQ(used, bytes.size());
  EXPECT_TRUE(reader.empty());
  return messages;
}

TEST(MessageReaderTest, MessagesAreTheSameInWhateverPieces) {
  const std::vector<std::string> messages = {"first", "", std::string(kMax, 'x'), "last"};
  std::string bytes;
  for (const std::string& message : messages) bytes += Framed(message);
  for (const size_t piece : {1u, 2u, 3u, 5u, 6u, 64u, 10'000u}) {
    EXPECT_EQ(MessagesIn(bytes, piece), messages) << piece;
  }
}

// What nobody has asked for is kept as it came, and its sender is not told to send more.
TEST(MessageReaderTest, OnlyTheMessageThatWasAskedForIsTaken) {
  MessageReader reader;
  reader.Add(absl::StrCat(Framed("one"), Framed("second")));
  EXPECT_EQ(reader.held_bytes(), 8 + 11);
  std::string message;
  size_t used = 0;
  EXPECT_EQ(reader.Next(kMax, message, used), Result::kMessage);
  EXPECT_EQ(message, "one");
  EXPECT_EQ(used, 8);
  EXPECT_EQ(reader.held_bytes(), 11);
}

// A client that had its next message there before each was asked for had the reader keep all that
// it had ever sent.
TEST(MessageReaderTest, WhatHasBeenTakenIsNotKept) {
  MessageReader reader;
  reader.Add(Framed("one"));
  for (int i = 0; i < 100'000; ++i) {
    reader.Add(Framed("one"));
    std::string message;
    size_t used = 0;
    ASSERT_EQ(reader.Next(kMax, message, used), Result::kMessage);
    ASSERT_EQ(message, "one");
  }
  EXPECT_EQ(reader.held_bytes(), 8);
  EXPECT_LT(reader.allocated_bytes(), 1000);
}

// 500 calls on a connection, each with most of a megabyte, took twice what was counted of them.
TEST(MessageReaderTest, TakesLittleMoreMemoryThanItHolds) {
  constexpr size_t kSize = 1 << 20;
  const std::string bytes = Framed(std::string(kSize, 'x'));
  MessageReader reader;
  std::string message;
  size_t used = 0;
  for (size_t at = 0; at + 1 < bytes.size(); at += 10'000) {
    reader.Add(
        absl::string_view(bytes).substr(at, std::min<size_t>(10'000, bytes.size() - 1 - at)));
    ASSERT_EQ(reader.Next(kSize, message, used), Result::kIncomplete);
    ASSERT_LE(reader.allocated_bytes(), reader.held_bytes() + reader.held_bytes() / 4 + 512);
  }
  reader.Add(bytes.substr(bytes.size() - 1));
  EXPECT_EQ(reader.Next(kSize, message, used), Result::kMessage);
  EXPECT_LE(reader.allocated_bytes(), 512);
}

TEST(MessageReaderTest, TooLargeIsKnownFromThePrefix) {
  MessageReader reader;
  reader.Add(Framed(std::string(kMax + 1, 'x')).substr(0, MessageReader::kPrefixBytes));
  std::string message;
  size_t used = 0;
  EXPECT_EQ(reader.Next(kMax, message, used), Result::kTooLarge);
}

TEST(MessageReaderTest, TheLargestLengthIsNoNegativeOne) {
  MessageReader reader;
  reader.Add(absl::string_view("\0\xff\xff\xff\xff", 5));
  std::string message;
  size_t used = 0;
  EXPECT_EQ(reader.Next(kMax, message, used), Result::kTooLarge);
}

TEST(MessageReaderTest, CompressedMessagesAreNotRead) {
  MessageReader reader;
  reader.Add(Framed("x", 1));
  std::string message;
  size_t used = 0;
  EXPECT_EQ(reader.Next(kMax, message, used), Result::kCompressed);
}

TEST(MessageReaderTest, OtherFlagsAreNone) {
  MessageReader reader;
  reader.Add(Framed("x", 2));
  std::string message;
  size_t used = 0;
  EXPECT_EQ(reader.Next(kMax, message, used), Result::kMalformed);
}

}  // namespace
}  // namespace hookgate
