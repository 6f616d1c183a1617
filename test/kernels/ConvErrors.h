//===- ConvErrors.h - What Kernel::error says, against measurements --------===//

#ifndef HALCYON_TEST_KERNELS_CONVERRORS_H
#define HALCYON_TEST_KERNELS_CONVERRORS_H

#include "test/kernels/KernelHarness.h"

namespace halcyon::test {

/// Runs every algorithm on data of several kinds and compares its error with
/// what it states: never more, and not less by orders of magnitude.
void checkErrors(const Target &target, bool verbose,
                 std::vector<std::string> &problems);

} // namespace halcyon::test

#endif // HALCYON_TEST_KERNELS_CONVERRORS_H
