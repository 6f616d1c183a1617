//===- module.h - SPIR-V as Halide packs it -------------------------------===//
//
// What Halide embeds in a kernel's object is words of 32 bits: the number of
// grids, for each its size in bytes and its name; then each grid, which is a
// header of what it binds, and SPIR-V. Names are counted in words. A header is
// its size in words, the number of entry points, which is one, its name, the
// numbers of uniform and storage buffers, the specialization constants (name,
// id, size), the shared memory (name, constant, size and number of elements) and
// three constants for the size of a block.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_RUNTIME_VULKAN_MODULE_H
#define HALCYON_RUNTIME_VULKAN_MODULE_H

#include "vulkan/stream.h"

namespace halcyon::vulkan {

/// A kernel of the model: the grids that Halide cut it into. What the device
/// makes of one is made when it is first called.
class Module {
public:
  /// Reads `Bytes` at `Packed`, which stay the caller's. Null where they are no
  /// such thing or need what the device lacks.
  static Module *read(Device &D, const void *Packed, size_t Bytes);
  static void destroy(Device &D, Module *M);

  /// The grid of this name; null if there is none or the driver refuses it.
  const Pipeline *find(Device &D, const char *Name, uint32_t NumBuffers);

  Module *Next = nullptr;
  void **Owner = nullptr; ///< the kernel's own pointer to this

private:
  struct Grid {
    const char *Name = nullptr;
    const uint32_t *Code = nullptr;
    size_t CodeBytes = 0;
    uint32_t NumUniforms = 0, NumBuffers = 0;
    Pipeline Made;
  };

  bool readGrid(Device &D, Grid &G, const uint32_t *Words, size_t Count);
  static bool make(Device &D, Grid &G);

  Grid *Grids = nullptr;
  uint32_t NumGrids = 0;
};

} // namespace halcyon::vulkan

#endif // HALCYON_RUNTIME_VULKAN_MODULE_H
