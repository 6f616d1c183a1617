//===- Initialize.h - How weights begin -----------------------------------===//

#ifndef HALCYON_TRAIN_INITIALIZE_H
#define HALCYON_TRAIN_INITIALIZE_H

#include "Tensor.h"

#include <set>

namespace halcyon::train {

/// Fills a weight from its name, its shape and the plan's `init`. Norms in
/// `zeroed` begin as zeros: the block around them as the identity.
void initialize(Tensor &weight, const std::string &name, const Json &init,
                const std::set<std::string> &zeroed, uint64_t seed);

} // namespace halcyon::train

#endif // HALCYON_TRAIN_INITIALIZE_H
