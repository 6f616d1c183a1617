//===- OwnOperators.h - Operators that ONNX has not -----------------------===//
//
// They are functions of the files that use them, spelt out in ONNX's operators,
// and known by their names where such a file is read back.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_IMPORT_ONNX_OWNOPERATORS_H
#define HALCYON_COMPILER_IMPORT_ONNX_OWNOPERATORS_H

namespace halcyon::onnx {

inline constexpr char kOwnDomain[] = "halcyon";
/// kept = Suppress(boxes, candidates, threshold), as cnn.suppress.
inline constexpr char kSuppress[] = "Suppress";

} // namespace halcyon::onnx

#endif // HALCYON_COMPILER_IMPORT_ONNX_OWNOPERATORS_H
