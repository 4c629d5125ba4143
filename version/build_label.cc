// Bazel compiles this at each link of a binary, with what it knows of the build as macros.
#ifndef BUILD_EMBED_LABEL
#define BUILD_EMBED_LABEL ""
#endif

namespace hookgate {

extern const char kBuildLabel[];
const char kBuildLabel[] = BUILD_EMBED_LABEL;

}  // namespace hookgate
