//===- check.h - What tests of the trainer's parts share ------------------===//

#ifndef HALCYON_TEST_TRAIN_CHECK_H
#define HALCYON_TEST_TRAIN_CHECK_H

#include <cstdio>
#include <initializer_list>

/// Of the test that runs.
inline int failed = 0;

#define CHECK(...)                                                             \
  do {                                                                         \
    if (!(__VA_ARGS__)) {                                                      \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__);       \
      ++failed;                                                                \
    }                                                                          \
  } while (false)

struct Test {
  const char *name;
  void (*run)();
};

/// Runs all of them, a line each. Returns main's result.
inline int runTests(std::initializer_list<Test> tests) {
  int broken = 0;
  for (const Test &test : tests) {
    failed = 0;
    test.run();
    printf("%s %s\n", failed ? "FAIL" : "PASS", test.name);
    broken += failed != 0;
  }
  return broken != 0;
}

void worstClassesComeFirst();
void worstMasksComeFirst();
void worstBoxesComeFirst();
void picturesAreAsTheyWere();

#endif // HALCYON_TEST_TRAIN_CHECK_H
