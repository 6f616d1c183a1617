//===- CHelpers.h - Functions on vectors in C -----------------------------===//
//
// Kernels printed as C call small functions on vectors: f32x16_add. Each is made
// when a kernel first asks for it, once for vector extensions of GCC and clang
// and once as a loop over lanes in ISO C; the source says at its top which.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_CHELPERS_H
#define HALCYON_COMPILER_CODEGEN_CHELPERS_H

#include "Halide.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {

class CHelpers {
public:
  /// Names and texts, each behind those that it uses.
  std::vector<std::pair<std::string, std::string>> texts;

  /// The name of a type: "float", "f32x16". A truth value is an int, and a
  /// vector of them i32xN of 0 and -1.
  std::string type(Halide::Type type);
  /// An element of a vector, to be read or assigned.
  std::string lane(Halide::Type type, const std::string &vector,
                   const std::string &index);

  /// Names of functions, which are made where they are not there yet.
  std::string binary(Halide::Type type, const std::string &op);
  std::string compare(Halide::Type type, const std::string &op);
  std::string maskBinary(int lanes, const std::string &op);
  std::string maskNot(int lanes);
  std::string select(Halide::Type type);
  std::string cast(Halide::Type from, Halide::Type to);
  std::string reinterpret(Halide::Type from, Halide::Type to);
  std::string broadcast(Halide::Type type);
  std::string ramp(Halide::Type type);
  /// How memory is read and written.
  enum class Access { Dense, Strided, Indexed };
  std::string load(Halide::Type type, Access access, bool masked);
  std::string store(Halide::Type type, Access access, bool masked);
  /// A function of C's library on every lane, "expf"; of a scalar, itself.
  std::string library(Halide::Type type, const std::string &function,
                      unsigned arguments);
  /// The scalar functions beneath: "halcyon_div_i32".
  std::string scalar(Halide::Type type, const std::string &op);

private:
  void define(const std::string &name, const std::string &result,
              const std::vector<std::pair<std::string, std::string>> &arguments,
              const std::vector<std::string> &body, const std::string &value,
              const std::string &extension, int lanes);
  std::string access(Halide::Type type, const char *verb, Access access, bool masked,
                     std::vector<std::pair<std::string, std::string>> &arguments,
                     std::vector<std::string> &loop);
  bool need(const std::string &name);
  std::string make(const std::string &name, Halide::Type result,
                   const std::vector<Halide::Type> &arguments,
                   const std::string &laneText, const std::string &vectorText);

  std::set<std::string> known;
};

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_CHELPERS_H
