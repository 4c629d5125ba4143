// What --embed_label gave to the build of this binary.
#ifndef HOOKGATE_VERSION_BUILD_LABEL_H_
#define HOOKGATE_VERSION_BUILD_LABEL_H_

namespace hookgate {

// "" or "redacted" unless the binary was built with --stamp (--config=release sets it) and
// --embed_label.
extern const char kBuildLabel[];

}  // namespace hookgate

#endif  // HOOKGATE_VERSION_BUILD_LABEL_H_
