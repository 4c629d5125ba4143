// Keeps the numbers 0, 1 and 2 for what they mean.
#ifndef HOOKGATE_SERVER_BASE_STANDARD_DESCRIPTORS_H_
#define HOOKGATE_SERVER_BASE_STANDARD_DESCRIPTORS_H_

namespace hookgate {

// Those of standard input, output and error that the process was started without are opened, so
// that no other file or socket gets the number, and with it what is printed there. Reading and
// writing them goes on to fail with EBADF.
void ReserveStandardDescriptors();

}  // namespace hookgate

// In a program's main.cc: calls it before everything else. Some libraries open files before main.
#define HOOKGATE_RESERVE_STANDARD_DESCRIPTORS                                \
  __attribute__((section(".preinit_array"),                                  \
                 used)) static void (*const kReserveStandardDescriptors)() = \
      &hookgate::ReserveStandardDescriptors;

#endif  // HOOKGATE_SERVER_BASE_STANDARD_DESCRIPTORS_H_
