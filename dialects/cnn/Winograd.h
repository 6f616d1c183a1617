//===- Winograd.h - Minimal filtering along one axis ----------------------===//
//
// F(m, r) of Winograd, Arithmetic Complexity of Computations, 1980: m results of
// a filter with r taps from n = m + r - 1 products,
//
//   y = transpose(A) [ (G g) * (transpose(B) d) ]
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_DIALECTS_CNN_WINOGRAD_H
#define HALCYON_DIALECTS_CNN_WINOGRAD_H

#include <vector>

namespace halcyon::cnn {

/// Of a filter with one tap, every result is its own product: m and n are 1.
struct WinogradAxis {
  int m, r, n;
  std::vector<double> input;  ///< transpose(B), n rows of n
  std::vector<double> filter; ///< G, n rows of r
  std::vector<double> output; ///< transpose(A), m rows of n

  WinogradAxis(int m, int r);

  /// How much larger errors of products are in a result than in a sum of as
  /// many terms: the largest root over a result's products of the squares of
  /// what goes into them, over that of the taps. Both axes' multiply.
  double amplification() const;

  /// The same where the points' inputs are of one size: of random numbers they are
  /// as large as those, by powers of two that the results' factors undo.
  WinogradAxis balanced() const;

  /// Products for one tile.
  static int productsOf(int m, int r) { return r == 1 ? 1 : m + r - 1; }
  /// The most products that there are points for.
  static const int kMost;
};

} // namespace halcyon::cnn

#endif // HALCYON_DIALECTS_CNN_WINOGRAD_H
