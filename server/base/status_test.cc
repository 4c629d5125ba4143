#include "server/base/status.h"

#include <gtest/gtest.h>

#include "server/base/reason.h"

namespace hookgate {
namespace {

TEST(StatusTest, AnnotationKeepsCodeReasonFieldAndMetadata) {
  absl::Status status = InvalidField("filter.types[0]", "must not be empty");
  SetMetadata(status, "earliest_cursor", "c");
  status = Annotate(status, "Subscribe");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(ReasonOf(status), reason::kInvalidRequest);
  EXPECT_EQ(FieldOf(status), "filter.types[0]");
  EXPECT_EQ(MetadataOf(status).at("earliest_cursor"), "c");
  EXPECT_EQ(status.message(), "Subscribe: filter.types[0]: must not be empty");
}

TEST(StatusTest, PlainErrorsHaveNoReason) {
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), "");
  EXPECT_EQ(FieldOf(absl::InternalError("x")), "");
  EXPECT_TRUE(MetadataOf(absl::InternalError("x")).empty());
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

}  // namespace
}  // namespace hookgate
