//===- check.h - What tests of the trainer's parts share ------------------===//

#ifndef HALCYON_TEST_TRAIN_CHECK_H
#define HALCYON_TEST_TRAIN_CHECK_H

#include <cstdio>

/// Of the test that runs.
inline int failed = 0;

#define CHECK(...)                                                             \
  do {                                                                         \
    if (!(__VA_ARGS__)) {                                                      \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__);       \
      ++failed;                                                                \
    }                                                                          \
  } while (false)

void worstClassesComeFirst();
void worstMasksComeFirst();
void worstBoxesComeFirst();
void picturesAreAsTheyWere();

#endif // HALCYON_TEST_TRAIN_CHECK_H
