//===- module.cpp - SPIR-V as Halide packs it -----------------------------===//

#include "vulkan/module.h"

#include <cstdlib>
#include <cstring>
#include <new>

using namespace halcyon::vulkan;

namespace {
/// Words in their order; behind the last are zeros.
class Reader {
public:
  Reader(const uint32_t *Words, size_t Count) : At(Words), Left(Count) {}
  uint32_t next() {
    if (!Left)
      return 0;
    --Left;
    return *At++;
  }
  /// Its length, and a text that ends within it.
  const char *name() {
    size_t Words = next();
    const char *Text = reinterpret_cast<const char *>(At);
    if (Words > Left || !memchr(Text, 0, 4 * Words))
      return "";
    At += Words;
    Left -= Words;
    return Text;
  }
  const uint32_t *here() const { return At; }
  size_t left() const { return Left; }

private:
  const uint32_t *At;
  size_t Left;
};
} // namespace

static constexpr uint32_t Magic = 0x07230203, CapabilityFloat64 = 10,
                          CapabilityInt64 = 11, OpCapability = 17;

bool Module::readGrid(Device &D, Grid &G, const uint32_t *Words, size_t Count) {
  const char *Damaged = "a kernel's SPIR-V is damaged";
  Reader R(Words, Count);
  const uint32_t HeaderWords = R.next();
  if (HeaderWords >= Count || Words[HeaderWords] != Magic || R.next() != 1)
    return D.fail("%s", Damaged);
  R.name();
  G.NumUniforms = R.next();
  G.NumBuffers = R.next();
  if (R.next())
    return D.fail("a kernel whose blocks differ in size from call to call");
  uint64_t Shared = 0;
  for (uint32_t I = R.next(); I; --I) {
    R.name();
    R.next();
    const uint64_t Size = R.next();
    Shared += Size * R.next();
  }
  if (Shared > D.limits().maxComputeSharedMemorySize)
    return D.fail("a block takes %llu bytes of shared memory; the device has %u",
                  (unsigned long long)Shared,
                  D.limits().maxComputeSharedMemorySize);
  if (G.NumBuffers > D.limits().maxPerStageDescriptorStorageBuffers)
    return D.fail("a kernel has %u buffers; the device binds %u", G.NumBuffers,
                  D.limits().maxPerStageDescriptorStorageBuffers);
  G.Code = Words + HeaderWords;
  G.CodeBytes = 4 * (Count - HeaderWords);
  // Capabilities come first.
  const size_t SpirvHeader = 5;
  for (size_t I = HeaderWords + SpirvHeader; I + 1 < Count;) {
    const uint32_t Length = Words[I] >> 16;
    if ((Words[I] & 0xffff) != OpCapability || Length != 2)
      break;
    if (Words[I + 1] == CapabilityInt64 && !D.hasInt64())
      return D.fail("the device has no integers of 64 bits");
    if (Words[I + 1] == CapabilityFloat64 && !D.hasFloat64())
      return D.fail("the device has no numbers of double precision");
    I += Length;
  }
  return true;
}

Module *Module::read(Device &D, const void *Packed, size_t Bytes) {
  const char *Damaged = "a kernel's module is damaged";
  Reader R(static_cast<const uint32_t *>(Packed), Bytes / 4);
  const uint32_t Count = R.next();
  if (!Count || Count > R.left()) {
    D.fail("%s", Damaged);
    return nullptr;
  }
  void *Room = malloc(sizeof(Module));
  auto *M = Room ? new (Room) Module : nullptr;
  if (M)
    M->Grids = static_cast<Grid *>(malloc(Count * sizeof(Grid)));
  bool Good = M && M->Grids;
  if (!Good)
    D.fail("out of memory");
  for (uint32_t I = 0; Good && I != Count; ++I) {
    Grid &G = *new (&M->Grids[I]) Grid;
    M->NumGrids = I + 1;
    G.CodeBytes = R.next();
    G.Name = R.name();
  }
  const uint32_t *At = R.here();
  size_t Left = R.left();
  for (uint32_t I = 0; Good && I != Count; ++I) {
    const size_t Words = M->Grids[I].CodeBytes / 4;
    Good = (Words <= Left || D.fail("%s", Damaged)) &&
           M->readGrid(D, M->Grids[I], At, Words);
    At += Words;
    Left -= Words;
  }
  if (Good)
    return M;
  destroy(D, M);
  return nullptr;
}

void Module::destroy(Device &D, Module *M) {
  if (!M)
    return;
  for (uint32_t I = 0; I != M->NumGrids; ++I) {
    Pipeline &P = M->Grids[I].Made;
    if (P.Handle)
      D.Vk.vkDestroyPipeline(D.handle(), P.Handle, nullptr);
    if (P.Layout)
      D.Vk.vkDestroyPipelineLayout(D.handle(), P.Layout, nullptr);
    if (P.Bindings)
      D.Vk.vkDestroyDescriptorSetLayout(D.handle(), P.Bindings, nullptr);
    if (P.Shader)
      D.Vk.vkDestroyShaderModule(D.handle(), P.Shader, nullptr);
  }
  free(M->Grids);
  free(M);
}

bool Module::make(Device &D, Grid &G) {
  const char *What = "a kernel";
  Pipeline &P = G.Made;
  // What a first attempt left is used.
  if (!P.Shader) {
    VkShaderModuleCreateInfo Info = {};
    Info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    Info.codeSize = G.CodeBytes;
    Info.pCode = G.Code;
    if (!D.check(D.Vk.vkCreateShaderModule(D.handle(), &Info, nullptr, &P.Shader),
                 What))
      return false;
  }
  if (!P.Bindings) {
    const uint32_t Count = G.NumUniforms + G.NumBuffers;
    auto *Bindings = static_cast<VkDescriptorSetLayoutBinding *>(
        calloc(Count + 1, sizeof(VkDescriptorSetLayoutBinding)));
    if (!Bindings)
      return D.fail("out of memory");
    for (uint32_t I = 0; I != Count; ++I) {
      Bindings[I].binding = I;
      Bindings[I].descriptorType = I < G.NumUniforms
                                       ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
                                       : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      Bindings[I].descriptorCount = 1;
      Bindings[I].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    }
    VkDescriptorSetLayoutCreateInfo Info = {};
    Info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    Info.bindingCount = Count;
    Info.pBindings = Bindings;
    VkResult Result = D.Vk.vkCreateDescriptorSetLayout(D.handle(), &Info, nullptr,
                                                       &P.Bindings);
    free(Bindings);
    if (!D.check(Result, What))
      return false;
  }
  if (!P.Layout) {
    VkPipelineLayoutCreateInfo Info = {};
    Info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    Info.setLayoutCount = 1;
    Info.pSetLayouts = &P.Bindings;
    if (!D.check(D.Vk.vkCreatePipelineLayout(D.handle(), &Info, nullptr, &P.Layout),
                 What))
      return false;
  }
  VkComputePipelineCreateInfo Info = {};
  Info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  Info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  Info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  Info.stage.module = P.Shader;
  Info.stage.pName = G.Name;
  Info.layout = P.Layout;
  return D.check(D.Vk.vkCreateComputePipelines(D.handle(), VK_NULL_HANDLE, 1, &Info,
                                               nullptr, &P.Handle),
                 What);
}

const Pipeline *Module::find(Device &D, const char *Name, uint32_t NumBuffers) {
  for (uint32_t I = 0; I != NumGrids; ++I) {
    Grid &G = Grids[I];
    if (strcmp(G.Name, Name) != 0)
      continue;
    if (NumBuffers != G.NumBuffers) {
      D.fail("a kernel takes %u buffers, not %u", G.NumBuffers, NumBuffers);
      return nullptr;
    }
    return G.Made.Handle || make(D, G) ? &G.Made : nullptr;
  }
  D.fail("there is no kernel %s", Name);
  return nullptr;
}
