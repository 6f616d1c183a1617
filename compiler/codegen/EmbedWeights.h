//===- EmbedWeights.h - Prepared weights in files -------------------------===//
//
// In an executable, the weights are the last segment: the program is linked
// around a page that stands for them, and they are written behind it once, by
// several processes, straight to where they stay.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_COMPILER_CODEGEN_EMBEDWEIGHTS_H
#define HALCYON_COMPILER_CODEGEN_EMBEDWEIGHTS_H

#include "compiler/import/Weights.h"
#include "compiler/targets/Target.h"
#include "dialects/exec/Exec.h"

namespace halcyon {

/// What of the weights an object holds.
enum class WeightsObject { Placeholder, Whole };

/// Whether executables of this target get their weights as a segment of their
/// own behind the linked file. Where not, they are linked as an object.
bool weightsFollowProgram(const Target &target);

/// Writes a relocatable ELF object whose symbol `halcyon_weights` begins at a
/// multiple of 4096: the prepared weights, or a placeholder that
/// `makeRoomForWeights` replaces. Whole or not at all; returns what went wrong.
std::string writeWeightsObject(exec::ProgramOp program,
                               const WeightSource &source, const Target &target,
                               WeightsObject what, const std::string &path);

/// Turns the placeholder of a linked executable into a read-only segment of
/// `bytes` at the end of the file, and says where in the file it begins.
std::string makeRoomForWeights(const std::string &executable, uint64_t bytes,
                               uint64_t &offset);

/// Writes a part of the prepared weights into a file that is there.
std::string writeWeightsPart(exec::ProgramOp program, const WeightSource &source,
                             unsigned part, unsigned parts,
                             const std::string &path, uint64_t offset);

/// Where the weights begin in such a file.
constexpr uint64_t kWeightsFileStart = 4096;
/// How such a file begins, as far as it is not zeros.
std::string weightsFileHeader(exec::ProgramOp program, uint64_t id);

/// Writes the weights as a file beside the program: the header that
/// runtime/memory.h describes, then the weights.
std::string writeWeightsFile(exec::ProgramOp program, const WeightSource &source,
                             uint64_t id, const std::string &path);

} // namespace halcyon

#endif // HALCYON_COMPILER_CODEGEN_EMBEDWEIGHTS_H
