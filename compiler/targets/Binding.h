//===- Binding.h - How much of a buffer a device's kernel sees ------------===//

#ifndef HALCYON_COMPILER_TARGETS_BINDING_H
#define HALCYON_COMPILER_TARGETS_BINDING_H

#include <cstdint>

namespace halcyon {
struct Target;

/// Bytes that a weight may have there: more is not bound at once by every device of
/// the kind. 0: any number.
int64_t mostBound(const Target &target);

} // namespace halcyon

#endif // HALCYON_COMPILER_TARGETS_BINDING_H
