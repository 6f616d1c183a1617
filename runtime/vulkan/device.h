//===- device.h - The Vulkan device and its memory ------------------------===//

#ifndef HALCYON_RUNTIME_VULKAN_DEVICE_H
#define HALCYON_RUNTIME_VULKAN_DEVICE_H

#include "vulkan/api.h"

namespace halcyon::vulkan {

/// A buffer with memory of its own.
struct Memory {
  VkBuffer Buffer = VK_NULL_HANDLE;
  VkDeviceMemory Place = VK_NULL_HANDLE;
  uint64_t Bytes = 0;
  uint8_t *Mapped = nullptr; ///< what the CPU sees of it, if it is shared
};

enum class MemoryKind {
  Device,  ///< which kernels read and write
  Shared,  ///< which both sides see
};

/// The best device that there is, with one queue. Whatever fails says why in
/// `error()`. Calls are serialized by who owns it.
class Device {
public:
  Api Vk;

  bool open();
  void close();
  explicit operator bool() const { return Handle; }

  bool allocate(Memory &M, uint64_t Bytes, MemoryKind Kind);
  void release(Memory &M);

  VkDevice handle() const { return Handle; }
  VkQueue queue() const { return Queue; }
  uint32_t family() const { return Family; }
  const VkPhysicalDeviceLimits &limits() const { return Properties.limits; }
  bool hasInt64() const { return Features.shaderInt64; }
  bool hasFloat64() const { return Features.shaderFloat64; }

  /// Notes what went wrong and returns false.
  [[gnu::format(printf, 2, 3)]] bool fail(const char *Format, ...);
  /// Whether a call went well.
  bool check(VkResult Result, const char *What);
  const char *error() const { return Text; }

private:
  bool openLoader();
  bool chooseDevice();
  bool makeDevice();
  uint32_t memoryType(uint32_t Allowed, VkMemoryPropertyFlags Needed,
                      VkMemoryPropertyFlags Wanted) const;

  void *Library = nullptr;
  VkInstance Instance = VK_NULL_HANDLE;
  VkPhysicalDevice Physical = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties Properties = {};
  VkPhysicalDeviceFeatures Features = {};
  VkPhysicalDeviceMemoryProperties Types = {};
  VkDevice Handle = VK_NULL_HANDLE;
  VkQueue Queue = VK_NULL_HANDLE;
  uint32_t Family = 0;
  char Text[160] = {};
};

} // namespace halcyon::vulkan

#endif // HALCYON_RUNTIME_VULKAN_DEVICE_H
