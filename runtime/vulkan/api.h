//===- api.h - Vulkan's functions, found when a program starts -----------===//
//
// Programs need no Vulkan to be linked or started: its loader is opened by the
// first session.
//
//===----------------------------------------------------------------------===//

#ifndef HALCYON_RUNTIME_VULKAN_API_H
#define HALCYON_RUNTIME_VULKAN_API_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <cstddef>
#include <cstdint>

#define HALCYON_VULKAN_GLOBAL(F) F(vkCreateInstance)

#define HALCYON_VULKAN_INSTANCE(F)                                             \
  F(vkDestroyInstance)                                                         \
  F(vkEnumeratePhysicalDevices)                                                \
  F(vkGetPhysicalDeviceProperties)                                             \
  F(vkGetPhysicalDeviceFeatures)                                               \
  F(vkGetPhysicalDeviceMemoryProperties)                                       \
  F(vkGetPhysicalDeviceQueueFamilyProperties)                                  \
  F(vkCreateDevice)                                                            \
  F(vkGetDeviceProcAddr)

#define HALCYON_VULKAN_DEVICE(F)                                               \
  F(vkDestroyDevice)                                                           \
  F(vkGetDeviceQueue)                                                          \
  F(vkDeviceWaitIdle)                                                          \
  F(vkCreateBuffer)                                                            \
  F(vkDestroyBuffer)                                                           \
  F(vkGetBufferMemoryRequirements)                                             \
  F(vkAllocateMemory)                                                          \
  F(vkFreeMemory)                                                              \
  F(vkBindBufferMemory)                                                        \
  F(vkMapMemory)                                                               \
  F(vkCreateShaderModule)                                                      \
  F(vkDestroyShaderModule)                                                     \
  F(vkCreateDescriptorSetLayout)                                               \
  F(vkDestroyDescriptorSetLayout)                                              \
  F(vkCreatePipelineLayout)                                                    \
  F(vkDestroyPipelineLayout)                                                   \
  F(vkCreateComputePipelines)                                                  \
  F(vkDestroyPipeline)                                                         \
  F(vkCreateDescriptorPool)                                                    \
  F(vkDestroyDescriptorPool)                                                   \
  F(vkResetDescriptorPool)                                                     \
  F(vkAllocateDescriptorSets)                                                  \
  F(vkUpdateDescriptorSets)                                                    \
  F(vkCreateCommandPool)                                                       \
  F(vkDestroyCommandPool)                                                      \
  F(vkAllocateCommandBuffers)                                                  \
  F(vkBeginCommandBuffer)                                                      \
  F(vkEndCommandBuffer)                                                        \
  F(vkResetCommandBuffer)                                                      \
  F(vkCmdBindPipeline)                                                         \
  F(vkCmdBindDescriptorSets)                                                   \
  F(vkCmdDispatch)                                                             \
  F(vkCmdPipelineBarrier)                                                      \
  F(vkCmdCopyBuffer)                                                           \
  F(vkQueueSubmit)                                                             \
  F(vkCreateFence)                                                             \
  F(vkDestroyFence)                                                            \
  F(vkWaitForFences)                                                           \
  F(vkResetFences)

namespace halcyon::vulkan {

struct Api {
#define HALCYON_POINTER(Name) PFN_##Name Name = nullptr;
  HALCYON_VULKAN_GLOBAL(HALCYON_POINTER)
  HALCYON_VULKAN_INSTANCE(HALCYON_POINTER)
  HALCYON_VULKAN_DEVICE(HALCYON_POINTER)
#undef HALCYON_POINTER
};

} // namespace halcyon::vulkan

#endif // HALCYON_RUNTIME_VULKAN_API_H
