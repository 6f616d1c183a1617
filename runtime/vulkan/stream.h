//===- stream.h - What the device is told, in order -----------------------===//
//
// Copies and kernels are written down in a list, each behind a barrier, and the
// list is handed over when somebody waits for a result or when it is full: a run
// of a model is handed over once. There are two lists, so that one is written
// while the device works off the other.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_RUNTIME_VULKAN_STREAM_H
#define HALCYON_RUNTIME_VULKAN_STREAM_H

#include "vulkan/device.h"

namespace halcyon::vulkan {

/// A kernel ready to be called.
struct Pipeline {
  VkShaderModule Shader = VK_NULL_HANDLE;
  VkDescriptorSetLayout Bindings = VK_NULL_HANDLE;
  VkPipelineLayout Layout = VK_NULL_HANDLE;
  VkPipeline Handle = VK_NULL_HANDLE;
};

/// A kernel's call: numbers in the first binding, buffers in those behind it.
struct Call {
  const Pipeline *Kernel = nullptr;
  const void *Numbers = nullptr;
  uint32_t NumberBytes = 0;
  const VkBuffer *Buffers = nullptr;
  uint32_t NumBuffers = 0;
  uint32_t Blocks[3] = {};
};

class Stream {
public:
  constexpr explicit Stream(Device &D) : D(D) {}
  bool open();
  void close();

  bool call(const Call &C);
  bool copyIn(const Memory &To, const void *From, uint64_t Bytes);
  bool copyOut(void *To, const Memory &From, uint64_t Bytes);
  /// Waits until the device has done all of it.
  bool finish();

private:
  struct List {
    VkCommandBuffer Commands = VK_NULL_HANDLE;
    VkFence Done = VK_NULL_HANDLE;
    VkDescriptorPool Sets = VK_NULL_HANDLE;
    Memory Numbers; ///< of its calls
    Memory Staging; ///< what is copied in and out
    uint32_t NumCalls = 0, NumBuffers = 0;
    uint64_t NumberBytes = 0, StagedBytes = 0;
    bool IsOpen = false, IsWithDevice = false;
  };

  List &current() { return Lists[Current]; }
  bool begin();
  bool submit();
  bool wait(List &L);
  bool stage(uint64_t Bytes);
  void barrier();

  Device &D;
  VkCommandPool Pool = VK_NULL_HANDLE;
  List Lists[2];
  unsigned Current = 0;
};

} // namespace halcyon::vulkan

#endif // HALCYON_RUNTIME_VULKAN_STREAM_H
