#include "server/grpc_server/wire_fields.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::SourceCodeInfo;

constexpr size_t kMany = 1'000'000;

absl::optional<size_t> Count(const std::string& bytes, size_t limit = kMany) {
  return CountFields(bytes, *FileDescriptorProto::descriptor(), limit);
}

TEST(WireFieldsTest, FieldsOfMessagesWithinCount) {
  FileDescriptorProto file;
  EXPECT_EQ(Count(file.SerializeAsString()), 0);
  file.set_name("a name that is no message");
  file.add_dependency("one");
  file.add_dependency("");
  EXPECT_EQ(Count(file.SerializeAsString()), 3);
  for (int i = 0; i < 10; ++i) {
    auto& field = *file.add_message_type()->add_field();
    field.set_name("x");
    field.set_number(300);
  }
  EXPECT_EQ(Count(file.SerializeAsString()), 3 + 10 * 4);
}

TEST(WireFieldsTest, PackedNumbersCountByTheirMemory) {
  SourceCodeInfo::Location location;
  for (int i = 0; i < 800; ++i) location.add_path(1);
  EXPECT_EQ(
      CountFields(location.SerializeAsString(), *SourceCodeInfo::Location::descriptor(), kMany),
      1 + 100);
}

TEST(WireFieldsTest, WhatTheMessageDoesNotKnowCounts) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&bytes, "\x98\x06\x01");          // varint
    absl::StrAppend(&bytes, "\x99\x06", "12345678");  // 64 bits
    absl::StrAppend(&bytes, "\x9a\x06\x02", "xy");    // bytes
    absl::StrAppend(&bytes, "\x9b\x06", "\x9c\x06");  // a group: two tags
    absl::StrAppend(&bytes, "\x9d\x06", "1234");      // 32 bits
  }
  EXPECT_EQ(Count(bytes), 600);
}

TEST(WireFieldsTest, NothingIsCountedBeyondTheLimit) {
  const std::string empty_types(2'000, '\x22');  // Each is "\x22" and a length of 0x22.
  EXPECT_EQ(Count(std::string("\x22\0\x22\0\x22\0", 6), 2), 3);
  EXPECT_LE(Count(empty_types, 5), 6);
}

// What is in a group means nothing to the parser. What there looked like a message of ours, and was
// none, ended the count, and the parser went on to as many fields as there were.
TEST(WireFieldsTest, WhatIsInAGroupIsOfNoKnownType) {
  // Field 300, a group, in which field 4, outside of it a message_type, holds what is no message.
  const std::string group("\xe3\x12\x22\x02\xff\xff\xe4\x12", 8);
  std::string bytes = group;
  for (int i = 0; i < 1'000; ++i) absl::StrAppend(&bytes, absl::string_view("\x1a\x00", 2));
  FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(bytes));
  ASSERT_EQ(file.dependency_size(), 1'000);
  EXPECT_EQ(Count(bytes), 3 + 1'000);
  // One in the other, as deep as the parser goes and deeper.
  for (const int depth : {99, 100, 101, 1'000, 100'000}) {
    std::string deep;
    for (int i = 0; i < depth; ++i) absl::StrAppend(&deep, "\xe3\x12");
    for (int i = 0; i < depth; ++i) absl::StrAppend(&deep, "\xe4\x12");
    const absl::optional<size_t> count = Count(deep);
    if (file.ParseFromString(deep)) {
      EXPECT_EQ(count, 2 * depth);
    }
    if (depth > 200) {
      EXPECT_EQ(count, absl::nullopt) << depth;
    }
  }
}

TEST(WireFieldsTest, WrongBytesAreNoMessage) {
  EXPECT_EQ(Count("\x0a"), absl::nullopt);
  EXPECT_EQ(Count("\x0a\x05\x61"), absl::nullopt);
  EXPECT_EQ(Count("\x0f"), absl::nullopt);
  EXPECT_EQ(Count(std::string("\x0a\xff\xff\xff\xff\x0f", 6)), absl::nullopt);
  EXPECT_EQ(Count(std::string("\0\0", 2)), absl::nullopt);
  EXPECT_EQ(Count("\xe3\x12"), absl::nullopt);
  EXPECT_EQ(Count("\xe4\x12"), absl::nullopt);
  EXPECT_EQ(Count("\xe3\x12\xec\x12"), absl::nullopt);
  std::string deep;
  for (int i = 0; i < 1'000; ++i) {
    // DescriptorProto.nested_type, one in the other.
    std::string length;
    for (size_t left = deep.size();; left >>= 7) {
      length.push_back(static_cast<char>(left < 128 ? left : (left & 127) | 128));
      if (left < 128) break;
    }
    deep = absl::StrCat("\x1a", length, deep);
  }
  EXPECT_EQ(CountFields(deep, *google::protobuf::DescriptorProto::descriptor(), kMany),
            absl::nullopt);
}

}  // namespace
}  // namespace hookgate
