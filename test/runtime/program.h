//===- program.h - A program made by hand ---------------------------------===//
//
// One input `image` [N, 1, 4, 4], made from gray pictures; one output `scores`
// [N, 3]. With weights w of 4 numbers:
//   twice = 2 * image + w[0]                 rows in parallel, columns within
//   scores[n, k] = w[1 + k] * sum(twice[n, 0, k])
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_TEST_PROGRAM_H
#define HALCYON_TEST_PROGRAM_H

#include "halcyon/halcyon.h"

extern "C" const halcyon_program halcyon_program_main;

/// Rows whose kernel reports an error; -1: none.
extern int FailingRow;

#endif // HALCYON_TEST_PROGRAM_H
