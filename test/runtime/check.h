//===- check.h - Checks of the runtime's tests ----------------------------===//

#ifndef HALCYON_TEST_CHECK_H
#define HALCYON_TEST_CHECK_H

#include <cstdio>

/// Failed checks of the running test.
extern int Failed;

#define CHECK(...)                                                             \
  do {                                                                         \
    if (!(__VA_ARGS__)) {                                                      \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__);       \
      ++Failed;                                                                \
    }                                                                          \
  } while (false)

struct Test {
  const char *Name;
  void (*Run)();
};

/// Path of the stand-alone program made of program.cpp.
extern const char *ProgramPath;
/// A folder for the tests' files.
extern char Folder[256];

extern const Test SessionTests[], EmbedTests[], DeviceTests[], ThreadTests[], FileTests[],
    ProgramTests[];
extern const unsigned NumSessionTests, NumEmbedTests, NumDeviceTests, NumThreadTests,
    NumFileTests, NumProgramTests;

/// Calls of malloc, mmap and their kin since the process began; -1 where a
/// sanitizer has them.
long allocations();

#endif // HALCYON_TEST_CHECK_H
