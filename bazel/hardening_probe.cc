// Has what the hardening flags change: a copy into a buffer, an array on the stack, a large frame
// and an indirect call. bazel/hardening looks at what becomes of it.

#include <cstdio>
#include <cstring>

namespace {

[[gnu::noinline]] void CopyName(char* buffer, const char* text) { std::strcpy(buffer, text); }

[[gnu::noinline]] size_t UseLargeFrame(const char* text) {
  char page[64 << 10];
  std::snprintf(page, sizeof(page), "%s", text);
  return std::strlen(page);
}

size_t Twice(const char* text) { return 2 * UseLargeFrame(text); }

}  // namespace

int main(int argc, char** argv) {
  char name[16];
  std::strcpy(name, argc > 1 ? argv[1] : "x");
  char other[16];
  CopyName(other, name);
  size_t (*volatile function)(const char*) = argc > 2 ? Twice : UseLargeFrame;
  std::printf("%zu\n", function(other));
  return 0;
}
