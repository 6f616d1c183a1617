//===- Device.cpp - Devices beside a CPU ----------------------------------===//

#include "compiler/targets/Binding.h"
#include "compiler/targets/TargetFamily.h"
#include "halcyon/program.h"

using namespace llvm;

namespace halcyon {

namespace {
/// A device as Halide knows it. `halide` is what it adds to the CPU's target.
struct DeviceKind {
  StringRef name, language, halide, interface;
  bool links;
  StringRef library;
  int threads, sharedKib;
  int cores;            ///< multiprocessors
  double flopsPerCore;  ///< f32, a multiply-add as two
  double bandwidth;     ///< of its memory
  int64_t l2;
};
} // namespace

#define CUDA(capability) "-cuda-cuda_capability_" #capability

/// CUDA's numbers are those of an H200 (132 multiprocessors at 1.98 GHz, 4.8
/// TB/s), the others' of a middling card. The driver compiles a capability's
/// code for every later one. Programs are linked where a runtime looks for the
/// driver when it starts.
static const DeviceKind kinds[] = {
    {"opencl", "cl", "-opencl", "halide_opencl_device_interface", true, "", 256, 32, 32, 256e9,
     400e9, 4 << 20},
    {"vulkan", "spv", "-vk_int64-vk_v13-vulkan", "halide_vulkan_device_interface", true,
     "libhalcyon_vulkan.a", 256, 32, 32, 256e9, 400e9, 4 << 20},
    {"metal", "metal", "-metal", "halide_metal_device_interface", false, "", 256, 32, 32, 256e9,
     400e9, 4 << 20},
    {"webgpu", "wgsl", "-webgpu", "halide_webgpu_device_interface", false, "", 256, 16, 32, 256e9,
     400e9, 4 << 20},
    {"d3d12", "hlsl", "-d3d12compute", "halide_d3d12compute_device_interface", false, "", 256, 32,
     32, 256e9, 400e9, 4 << 20},
    {"cuda", "ptx", CUDA(70), "halide_cuda_device_interface", true, "", 1024, 48, 132, 507e9,
     4800e9, 50 << 20},
    {"cuda-80", "ptx", CUDA(80), "halide_cuda_device_interface", true, "", 1024, 48, 132, 507e9,
     4800e9, 50 << 20},
    {"cuda-86", "ptx", CUDA(86), "halide_cuda_device_interface", true, "", 1024, 48, 132, 507e9,
     4800e9, 50 << 20},
};

void deviceNames(SmallVectorImpl<StringRef> &names) {
  for (const DeviceKind &kind : kinds)
    names.push_back(kind.name);
}

bool addDevice(Target &target, StringRef name) {
  for (const DeviceKind &kind : kinds) {
    if (kind.name != name)
      continue;
    target.name = target.name == "host" ? name.str()
                                        : target.name + "+" + name.str();
    target.machine += "+" + name.str();
    target.lanes = 32;
    target.registers = 255;
    target.cores = kind.cores;
    target.flops = kind.flopsPerCore;
    target.bf16Flops = 0;
    target.l1 = 128 << 10;
    target.l2 = kind.l2 / kind.cores;
    target.l3 = 0;
    target.l2Bandwidth = 3 * kind.bandwidth / kind.cores;
    target.bandwidth = kind.bandwidth / kind.cores;
    target.totalBandwidth = kind.bandwidth;
    target.callSeconds = 4e-6;
    target.alignment = 512; // 32 threads that read 16 bytes each
    target.device = Device{kind.name.str(), kind.language.str(),
                           kind.halide.str(), kind.interface.str(), kind.links,
                           kind.library.str(), kind.threads,
                           int64_t(kind.sharedKib) << 10};
    return true;
  }
  return false;
}

int64_t mostBound(const Target &target) {
  // Vulkan promises 128 MB, which Mesa's lavapipe and some phones have, and WebGPU
  // the same; what lies with a weight in a buffer has to fit as well.
  const bool isNarrow =
      target.device && (target.device->name == "vulkan" || target.device->name == "webgpu");
  return isNarrow ? int64_t(HALCYON_MOST_BOUND) : 0;
}

} // namespace halcyon
