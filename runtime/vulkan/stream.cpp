//===- stream.cpp - What the device is told, in order ---------------------===//

#include "vulkan/stream.h"

#include <cstring>

using namespace halcyon::vulkan;

/// What a list has room for.
static constexpr uint32_t MostCalls = 256, MostBuffers = 8 * MostCalls;
static constexpr uint64_t MostNumbers = 64 << 10;
/// Larger copies go in parts.
static constexpr uint64_t LeastStaging = 64 << 10, MostStaging = 32 << 20;

bool Stream::open() {
  VkCommandPoolCreateInfo PoolInfo = {};
  PoolInfo.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  PoolInfo.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  PoolInfo.queueFamilyIndex = D.family();
  const char *What = "a list of commands";
  if (!D.check(D.Vk.vkCreateCommandPool(D.handle(), &PoolInfo, nullptr, &Pool), What))
    return false;
  for (List &L : Lists) {
    VkCommandBufferAllocateInfo Info = {};
    Info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    Info.commandPool = Pool;
    Info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    Info.commandBufferCount = 1;
    VkFenceCreateInfo FenceInfo = {};
    FenceInfo.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    const VkDescriptorPoolSize Sizes[] = {
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, MostCalls},
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, MostBuffers}};
    VkDescriptorPoolCreateInfo SetsInfo = {};
    SetsInfo.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    SetsInfo.maxSets = MostCalls;
    SetsInfo.poolSizeCount = 2;
    SetsInfo.pPoolSizes = Sizes;
    if (!D.check(D.Vk.vkAllocateCommandBuffers(D.handle(), &Info, &L.Commands), What) ||
        !D.check(D.Vk.vkCreateFence(D.handle(), &FenceInfo, nullptr, &L.Done), What) ||
        !D.check(D.Vk.vkCreateDescriptorPool(D.handle(), &SetsInfo, nullptr, &L.Sets),
                 What) ||
        !D.allocate(L.Numbers, MostNumbers, MemoryKind::Shared))
      return false;
  }
  return true;
}

void Stream::close() {
  for (List &L : Lists) {
    if (L.Done)
      D.Vk.vkDestroyFence(D.handle(), L.Done, nullptr);
    if (L.Sets)
      D.Vk.vkDestroyDescriptorPool(D.handle(), L.Sets, nullptr);
    D.release(L.Numbers);
    D.release(L.Staging);
    L = List();
  }
  if (Pool)
    D.Vk.vkDestroyCommandPool(D.handle(), Pool, nullptr);
  Pool = VK_NULL_HANDLE;
}

bool Stream::wait(List &L) {
  if (!L.IsWithDevice)
    return true;
  L.IsWithDevice = false;
  return D.check(D.Vk.vkWaitForFences(D.handle(), 1, &L.Done, VK_TRUE, UINT64_MAX),
                 "waiting for the device");
}

/// Makes sure that the current list can be written to.
bool Stream::begin() {
  List &L = current();
  if (L.IsOpen)
    return true;
  if (!wait(L))
    return false;
  VkCommandBufferBeginInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  Info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  const char *What = "a list of commands";
  if (!D.check(D.Vk.vkResetFences(D.handle(), 1, &L.Done), What) ||
      !D.check(D.Vk.vkResetDescriptorPool(D.handle(), L.Sets, 0), What) ||
      !D.check(D.Vk.vkResetCommandBuffer(L.Commands, 0), What) ||
      !D.check(D.Vk.vkBeginCommandBuffer(L.Commands, &Info), What))
    return false;
  L.NumCalls = L.NumBuffers = 0;
  L.NumberBytes = L.StagedBytes = 0;
  L.IsOpen = true;
  return true;
}

/// Hands the current list over; the other one is the next.
bool Stream::submit() {
  List &L = current();
  if (!L.IsOpen)
    return true;
  barrier(); // what was copied out is seen by the CPU
  L.IsOpen = false;
  VkSubmitInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  Info.commandBufferCount = 1;
  Info.pCommandBuffers = &L.Commands;
  if (!D.check(D.Vk.vkEndCommandBuffer(L.Commands), "a list of commands") ||
      !D.check(D.Vk.vkQueueSubmit(D.queue(), 1, &Info, L.Done), "calling kernels"))
    return false;
  L.IsWithDevice = true;
  Current ^= 1;
  return true;
}

bool Stream::finish() {
  // Both are waited for, also where the first failed.
  bool Good = submit();
  Good &= wait(Lists[Current]);
  Good &= wait(Lists[Current ^ 1]);
  return Good;
}

/// Whatever came before is done and seen by whatever follows.
void Stream::barrier() {
  VkMemoryBarrier Info = {};
  Info.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  Info.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  Info.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                       VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                       VK_ACCESS_HOST_READ_BIT;
  const VkPipelineStageFlags Work =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  D.Vk.vkCmdPipelineBarrier(current().Commands, Work,
                            Work | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &Info, 0,
                            nullptr, 0, nullptr);
}

bool Stream::call(const Call &C) {
  // Every call's numbers begin where a binding may.
  const uint64_t Unit = D.limits().minUniformBufferOffsetAlignment;
  const uint64_t Bytes = (C.NumberBytes + Unit - 1) / Unit * Unit;
  if (Bytes > MostNumbers || C.NumBuffers > MostBuffers)
    return D.fail("a kernel with %u buffers and %u bytes of numbers is too much",
                  C.NumBuffers, C.NumberBytes);
  if (!begin())
    return false;
  if (current().NumCalls == MostCalls ||
      current().NumBuffers + C.NumBuffers > MostBuffers ||
      current().NumberBytes + Bytes > MostNumbers)
    if (!submit() || !begin())
      return false;
  List &L = current();
  VkDescriptorSetAllocateInfo SetInfo = {};
  SetInfo.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  SetInfo.descriptorPool = L.Sets;
  SetInfo.descriptorSetCount = 1;
  SetInfo.pSetLayouts = &C.Kernel->Bindings;
  VkDescriptorSet Set;
  if (!D.check(D.Vk.vkAllocateDescriptorSets(D.handle(), &SetInfo, &Set),
               "a kernel's buffers"))
    return false;
  uint32_t Binding = 0;
  auto Bind = [&](VkDescriptorType Type, const VkDescriptorBufferInfo &Info) {
    VkWriteDescriptorSet Write = {};
    Write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    Write.dstSet = Set;
    Write.dstBinding = Binding++;
    Write.descriptorCount = 1;
    Write.descriptorType = Type;
    Write.pBufferInfo = &Info;
    D.Vk.vkUpdateDescriptorSets(D.handle(), 1, &Write, 0, nullptr);
  };
  if (C.NumberBytes) {
    memcpy(L.Numbers.Mapped + L.NumberBytes, C.Numbers, C.NumberBytes);
    Bind(VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
         {L.Numbers.Buffer, L.NumberBytes, C.NumberBytes});
  }
  for (uint32_t I = 0; I != C.NumBuffers; ++I)
    Bind(VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, {C.Buffers[I], 0, VK_WHOLE_SIZE});
  L.NumberBytes += Bytes;
  L.NumBuffers += C.NumBuffers;
  ++L.NumCalls;
  barrier();
  D.Vk.vkCmdBindPipeline(L.Commands, VK_PIPELINE_BIND_POINT_COMPUTE, C.Kernel->Handle);
  D.Vk.vkCmdBindDescriptorSets(L.Commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                               C.Kernel->Layout, 0, 1, &Set, 0, nullptr);
  D.Vk.vkCmdDispatch(L.Commands, C.Blocks[0], C.Blocks[1], C.Blocks[2]);
  return true;
}

/// Makes room for so many bytes in the current list's staging memory.
bool Stream::stage(uint64_t Bytes) {
  if (!begin())
    return false;
  if (current().StagedBytes + Bytes <= current().Staging.Bytes)
    return true;
  if (current().StagedBytes && (!submit() || !begin()))
    return false;
  List &L = current();
  if (Bytes <= L.Staging.Bytes)
    return true;
  uint64_t Room = LeastStaging;
  while (Room < Bytes)
    Room *= 2;
  D.release(L.Staging);
  return D.allocate(L.Staging, Room, MemoryKind::Shared);
}

bool Stream::copyIn(const Memory &To, const void *From, uint64_t Bytes) {
  for (uint64_t At = 0; At != Bytes;) {
    const uint64_t Part = Bytes - At < MostStaging ? Bytes - At : MostStaging;
    if (!stage(Part))
      return false;
    List &L = current();
    memcpy(L.Staging.Mapped + L.StagedBytes, static_cast<const uint8_t *>(From) + At,
           Part);
    barrier();
    const VkBufferCopy Region = {L.StagedBytes, At, Part};
    D.Vk.vkCmdCopyBuffer(L.Commands, L.Staging.Buffer, To.Buffer, 1, &Region);
    L.StagedBytes += Part;
    At += Part;
  }
  return true;
}

bool Stream::copyOut(void *To, const Memory &From, uint64_t Bytes) {
  for (uint64_t At = 0; At != Bytes;) {
    const uint64_t Part = Bytes - At < MostStaging ? Bytes - At : MostStaging;
    if (!stage(Part))
      return false;
    List &L = current();
    barrier();
    const VkBufferCopy Region = {At, L.StagedBytes, Part};
    D.Vk.vkCmdCopyBuffer(L.Commands, From.Buffer, L.Staging.Buffer, 1, &Region);
    const uint8_t *Staged = L.Staging.Mapped + L.StagedBytes;
    L.StagedBytes += Part;
    if (!finish())
      return false;
    memcpy(static_cast<uint8_t *>(To) + At, Staged, Part);
    At += Part;
  }
  return true;
}
