#include "server/grpc_server/out_buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

std::string Gathered(const OutBuffer& buffer, size_t max_pieces) {
  std::vector<iovec> pieces(max_pieces);
  std::string bytes;
  const size_t count = buffer.Gather(absl::MakeSpan(pieces));
  for (size_t i = 0; i < count; ++i) {
    bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return bytes;
}

std::string Copied(const OutBuffer& buffer, size_t max_bytes) {
  std::string bytes(max_bytes, '\0');
  bytes.resize(buffer.Copy(bytes.data(), max_bytes));
  return bytes;
}

// Whatever the socket takes at a time, the bytes stay the same.
TEST(OutBufferTest, BytesKeepTheirOrder) {
  const auto large = std::make_shared<const std::string>(std::string(2000, 'L'));
  const auto small = std::make_shared<const std::string>("small");
  for (const size_t step : {1u, 2u, 7u, 511u, 2000u, 5000u}) {
    OutBuffer buffer;
    buffer.Add("head ");
    buffer.AddShared(large, *large);
    buffer.AddShared(small, *small);
    buffer.Add(" tail");
    buffer.AddShared(large, absl::string_view(*large).substr(1000));
    const std::string all = absl::StrCat("head ", *large, "small tail", large->substr(1000));
    ASSERT_EQ(buffer.size(), all.size());
    EXPECT_EQ(Gathered(buffer, 10), all);
    size_t sent = 0;
    while (!buffer.empty()) {
      ASSERT_EQ(Copied(buffer, 700), all.substr(sent, 700)) << step << " " << sent;
      ASSERT_EQ(Gathered(buffer, 1), all.substr(sent, Gathered(buffer, 1).size()));
      const size_t count = std::min(step, buffer.size());
      buffer.Sent(count);
      sent += count;
    }
    EXPECT_EQ(sent, all.size());
  }
}

TEST(OutBufferTest, LargeMessagesAreHeldOnlyUntilTheyAreSent) {
  const auto large = std::make_shared<const std::string>(std::string(2000, 'L'));
  OutBuffer buffer;
  buffer.AddShared(large, *large);
  buffer.Add("tail");
  EXPECT_EQ(large.use_count(), 2);
  buffer.Sent(2001);
  EXPECT_EQ(large.use_count(), 1);
  EXPECT_EQ(Copied(buffer, 100), "ail");
}

TEST(OutBufferTest, GapsAreFilledLater) {
  OutBuffer buffer;
  buffer.Add("a");
  const size_t gap = buffer.AddGap(3);
  buffer.Add(std::string(1000, 'z'));
  buffer.FillGap(gap, "bcd");
  EXPECT_EQ(Copied(buffer, 5), "abcdz");
}

TEST(OutBufferTest, EmptyOnesTakeMoreBytes) {
  OutBuffer buffer;
  buffer.Add("a");
  buffer.Sent(1);
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(Gathered(buffer, 1), "");
  buffer.Add("b");
  EXPECT_EQ(Gathered(buffer, 1), "b");
}

}  // namespace
}  // namespace hookgate
