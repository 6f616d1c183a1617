//===- device.cpp - The Vulkan device and its memory ----------------------===//

#include "vulkan/device.h"

#include <cstdarg>
#include <cstdio>
#include <dlfcn.h>

using namespace halcyon::vulkan;

bool Device::fail(const char *Format, ...) {
  va_list Arguments;
  va_start(Arguments, Format);
  vsnprintf(Text, sizeof(Text), Format, Arguments);
  va_end(Arguments);
  return false;
}

bool Device::check(VkResult Result, const char *What) {
  switch (Result) {
  case VK_SUCCESS:
    return true;
  case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    return fail("%s: the device is out of memory", What);
  case VK_ERROR_OUT_OF_HOST_MEMORY:
    return fail("%s: out of memory", What);
  case VK_ERROR_INCOMPATIBLE_DRIVER:
    return fail("%s: there is no driver of a device", What);
  case VK_ERROR_DEVICE_LOST:
    return fail("%s: the device was lost", What);
  default:
    return fail("%s: Vulkan's error %d", What, int(Result));
  }
}

bool Device::openLoader() {
  Library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!Library)
    return fail("there is no libvulkan.so.1, which finds Vulkan's devices");
  auto Find = reinterpret_cast<PFN_vkGetInstanceProcAddr>(
      dlsym(Library, "vkGetInstanceProcAddr"));
  if (!Find)
    return fail("libvulkan.so.1 is damaged");
#define HALCYON_FIND(Name)                                                     \
  Vk.Name = reinterpret_cast<PFN_##Name>(Find(Instance, #Name));               \
  if (!Vk.Name)                                                                \
    return fail("libvulkan.so.1 has no " #Name);
  HALCYON_VULKAN_GLOBAL(HALCYON_FIND)
  VkApplicationInfo Application = {};
  Application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  Application.apiVersion = VK_API_VERSION_1_1; // of SPIR-V 1.2
  VkInstanceCreateInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  Info.pApplicationInfo = &Application;
  if (!check(Vk.vkCreateInstance(&Info, nullptr, &Instance), "starting Vulkan"))
    return false;
  HALCYON_VULKAN_INSTANCE(HALCYON_FIND)
#undef HALCYON_FIND
  return true;
}

/// A card before what shares the CPU's memory, and that before the CPU itself.
static int rankOf(VkPhysicalDeviceType Type) {
  switch (Type) {
  case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    return 4;
  case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    return 3;
  case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
    return 2;
  default:
    return 1;
  }
}

bool Device::chooseDevice() {
  VkPhysicalDevice Devices[16];
  uint32_t Count = 16;
  VkResult Result = Vk.vkEnumeratePhysicalDevices(Instance, &Count, Devices);
  if (Result != VK_INCOMPLETE && !check(Result, "looking for devices"))
    return false;
  int Best = 0;
  for (uint32_t I = 0; I != Count; ++I) {
    VkPhysicalDeviceProperties Its;
    Vk.vkGetPhysicalDeviceProperties(Devices[I], &Its);
    VkQueueFamilyProperties Families[16];
    uint32_t NumFamilies = 16;
    Vk.vkGetPhysicalDeviceQueueFamilyProperties(Devices[I], &NumFamilies,
                                                Families);
    for (uint32_t F = 0; F != NumFamilies; ++F) {
      if (!(Families[F].queueFlags & VK_QUEUE_COMPUTE_BIT) ||
          Its.apiVersion < VK_API_VERSION_1_1 || rankOf(Its.deviceType) <= Best)
        continue;
      Best = rankOf(Its.deviceType);
      Physical = Devices[I];
      Properties = Its;
      Family = F;
    }
  }
  return Best || fail("there is no device with Vulkan 1.1");
}

bool Device::makeDevice() {
  Vk.vkGetPhysicalDeviceMemoryProperties(Physical, &Types);
  VkPhysicalDeviceFeatures All;
  Vk.vkGetPhysicalDeviceFeatures(Physical, &All);
  Features.shaderInt64 = All.shaderInt64;
  Features.shaderFloat64 = All.shaderFloat64;
  float Priority = 1;
  VkDeviceQueueCreateInfo QueueInfo = {};
  QueueInfo.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  QueueInfo.queueFamilyIndex = Family;
  QueueInfo.queueCount = 1;
  QueueInfo.pQueuePriorities = &Priority;
  VkDeviceCreateInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  Info.queueCreateInfoCount = 1;
  Info.pQueueCreateInfos = &QueueInfo;
  Info.pEnabledFeatures = &Features;
  if (!check(Vk.vkCreateDevice(Physical, &Info, nullptr, &Handle),
             "opening the device"))
    return false;
#define HALCYON_FIND(Name)                                                     \
  Vk.Name =                                                                    \
      reinterpret_cast<PFN_##Name>(Vk.vkGetDeviceProcAddr(Handle, #Name));     \
  if (!Vk.Name)                                                                \
    return fail("the device's driver has no " #Name);
  HALCYON_VULKAN_DEVICE(HALCYON_FIND)
#undef HALCYON_FIND
  Vk.vkGetDeviceQueue(Handle, Family, 0, &Queue);
  return true;
}

bool Device::open() {
  if (openLoader() && chooseDevice() && makeDevice())
    return true;
  close();
  return false;
}

void Device::close() {
  if (Handle && Vk.vkDestroyDevice)
    Vk.vkDestroyDevice(Handle, nullptr);
  if (Instance && Vk.vkDestroyInstance)
    Vk.vkDestroyInstance(Instance, nullptr);
  if (Library)
    dlclose(Library);
  Handle = VK_NULL_HANDLE;
  Instance = VK_NULL_HANDLE;
  Physical = VK_NULL_HANDLE;
  Library = nullptr;
  Vk = Api();
}

/// The first type that is allowed and has what is needed, rather one that has
/// what is wanted as well; behind the last if there is none.
uint32_t Device::memoryType(uint32_t Allowed, VkMemoryPropertyFlags Needed,
                            VkMemoryPropertyFlags Wanted) const {
  uint32_t Found = Types.memoryTypeCount;
  for (uint32_t I = Types.memoryTypeCount; I-- > 0;) {
    VkMemoryPropertyFlags Has = Types.memoryTypes[I].propertyFlags;
    if (!(Allowed & (1u << I)) || (Has & Needed) != Needed)
      continue;
    if ((Has & Wanted) == Wanted)
      Found = I;
  }
  return Found == Types.memoryTypeCount && Wanted
             ? memoryType(Allowed, Needed, 0)
             : Found;
}

bool Device::allocate(Memory &M, uint64_t Bytes, MemoryKind Kind) {
  const bool Shared = Kind == MemoryKind::Shared;
  M = Memory();
  VkBufferCreateInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  Info.size = Bytes;
  Info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
               (Shared ? VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT
                       : VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
  Info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  const char *What = "memory on the device";
  if (!check(Vk.vkCreateBuffer(Handle, &Info, nullptr, &M.Buffer), What))
    return false;
  VkMemoryRequirements Needs;
  Vk.vkGetBufferMemoryRequirements(Handle, M.Buffer, &Needs);
  VkMemoryAllocateInfo Room = {};
  Room.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  Room.allocationSize = Needs.size;
  Room.memoryTypeIndex =
      Shared ? memoryType(Needs.memoryTypeBits,
                          VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                              VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                          VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
             : memoryType(Needs.memoryTypeBits, 0,
                          VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
  bool Good = Room.memoryTypeIndex != Types.memoryTypeCount ||
              fail("%s: the device has none of the kind", What);
  Good = Good &&
         check(Vk.vkAllocateMemory(Handle, &Room, nullptr, &M.Place), What) &&
         check(Vk.vkBindBufferMemory(Handle, M.Buffer, M.Place, 0), What);
  if (Good && Shared) {
    void *Mapped = nullptr;
    Good = check(Vk.vkMapMemory(Handle, M.Place, 0, VK_WHOLE_SIZE, 0, &Mapped), What);
    M.Mapped = static_cast<uint8_t *>(Mapped);
  }
  M.Bytes = Bytes;
  if (!Good)
    release(M);
  return Good;
}

void Device::release(Memory &M) {
  if (M.Buffer)
    Vk.vkDestroyBuffer(Handle, M.Buffer, nullptr);
  if (M.Place)
    Vk.vkFreeMemory(Handle, M.Place, nullptr);
  M = Memory();
}
