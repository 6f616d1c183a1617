//===- Embedding.h - Points of many dimensions on a plane -----------------===//

#ifndef HALCYON_COMPILER_TOOLS_EMBEDDING_H
#define HALCYON_COMPILER_TOOLS_EMBEDDING_H

#include <array>
#include <cstdint>
#include <vector>

namespace halcyon {

using Point = std::array<double, 2>;

/// The two directions along which the points vary most. Of each the largest
/// coordinate by amount is positive.
std::vector<Point> principalComponents(const std::vector<std::vector<float>> &points);

/// Neighbours stay neighbours (van der Maaten and Hinton, 2008). Begins at the
/// principal components, and draws nothing.
std::vector<Point> neighbourhoods(const std::vector<std::vector<float>> &points,
                                  double perplexity);

} // namespace halcyon

#endif // HALCYON_COMPILER_TOOLS_EMBEDDING_H
