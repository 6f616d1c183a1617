//===- Target.h - The machine that a program is made for ------------------===//

#ifndef HALCYON_COMPILER_TARGETS_TARGET_H
#define HALCYON_COMPILER_TARGETS_TARGET_H

#include "llvm/ADT/StringRef.h"

#include <memory>
#include <optional>
#include <string>

namespace halcyon {

/// A device beside the CPU, on which kernels run as grids of threads.
struct Device {
  std::string name;      ///< as `--target` says it
  std::string language;  ///< of its kernels, as a file's name ends: "cl", "ptx"
  std::string halide;    ///< what it adds to the CPU's target string
  std::string interface; ///< the function of Halide's runtime that gives its
                         ///< halide_device_interface_t
  bool links = true;     ///< programs for it can be made here, not kernels alone
  std::string library;   ///< a runtime of ours for it, an archive; else Halide's
  int threads = 256;     ///< of a block, at most
  int64_t shared = 32 << 10; ///< bytes that the threads of a block share
};

/// What kernels and the cost model know of a machine. Sizes in bytes, rates
/// per second. Where there is a device they are the device's: a core is a
/// multiprocessor, lanes are the threads that step together.
struct Target {
  std::string name;         ///< as `--target` says it: "x86-64-avx512"
  std::string machine;      ///< the same; of "host" the name that its code has
  std::string halide;       ///< Halide's target string
  std::string triple;       ///< LLVM's
  std::string cpu;          ///< LLVM's, for the host program
  std::string cpuFeatures;  ///< LLVM feature names that kernels need, by spaces
  int lanes = 16;           ///< f32 lanes of a vector
  int registers = 32;       ///< vector registers
  int cores = 2;
  int64_t l1 = 32 << 10, l2 = 1 << 20, l3 = 16 << 20; ///< l1, l2 per core
  double flops = 200e9;     ///< f32, one core, a multiply-add as two
  double fmas = 2;          ///< vectors of multiply-adds that start in a cycle
  double loads = 1;         ///< vectors or broadcasts that are read beside each
  double adds = 0;          ///< vectors of additions that start beside them, in
                            ///< units of their own, as measured
  double bf16Flops = 0;     ///< sums in f32 of products of pairs of bf16; 0
                            ///< where no instruction computes them faster
  double l2Bandwidth = 80e9; ///< one core
  double bandwidth = 18e9;   ///< memory, one core
  double totalBandwidth = 30e9; ///< memory, all cores
  double callSeconds = 1e-6;    ///< starting a parallel loop, or a grid
  int64_t alignment = 64;   ///< of every buffer within the arena or the weights
  std::optional<Device> device;
};

/// The target of a name, or the machine's own for "host" or "". A device's name
/// stands for it beside the machine's own CPU, "arm64+opencl" for it beside
/// another. Nothing where the name is unknown; `known` then lists what there is.
std::optional<Target> findTarget(llvm::StringRef name, std::string &known);

} // namespace halcyon

#endif // HALCYON_COMPILER_TARGETS_TARGET_H
