//===- Check.h - Gradients against central differences --------------------===//

#ifndef HALCYON_TRAIN_CHECK_H
#define HALCYON_TRAIN_CHECK_H

#include "halcyon/training.h"

#include <cstdint>
#include <string>

namespace halcyon::train {

struct CheckOptions {
  uint32_t batch = 2, threads = 0;
  uint64_t seed = 1;
  std::string weights; ///< a safetensors file; empty: seeded ones
};

/// Compares the gradient of every weight and input, which the program `step`
/// gives as "grad:NAME", with central differences of the loss, which `eval`
/// computes: along four random directions and at sixteen single elements each.
/// Prints a line per tensor; returns whether all agree. Within 1e-6 of each
/// other in f64, 1e-2 in f32; where the loss has a kink between the points that
/// are compared, the difference is taken closer, then skipped and counted.
bool checkGradients(const halcyon_trainer &trainer, const CheckOptions &options);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_CHECK_H
