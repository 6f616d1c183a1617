//===- Device.cpp - Devices beside a CPU ----------------------------------===//

#include "compiler/targets/TargetFamily.h"

using namespace llvm;

namespace halcyon {

namespace {
/// A device as Halide knows it. `halide` is what it adds to the CPU's target.
struct DeviceKind {
  StringRef name, halide, interface;
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
/// code for every later one. Buffers within others begin at multiples of 512
/// bytes: NVIDIA's OpenCL asks for that, WebGPU and Metal for 256.
static const DeviceKind kinds[] = {
    {"opencl", "-opencl", "halide_opencl_device_interface", 256, 32, 32, 256e9,
     400e9, 4 << 20},
    {"vulkan", "-vk_int64-vk_v13-vulkan", "halide_vulkan_device_interface", 256,
     32, 32, 256e9, 400e9, 4 << 20},
    {"metal", "-metal", "halide_metal_device_interface", 256, 32, 32, 256e9,
     400e9, 4 << 20},
    {"webgpu", "-webgpu", "halide_webgpu_device_interface", 256, 16, 32, 256e9,
     400e9, 4 << 20},
    {"d3d12", "-d3d12compute", "halide_d3d12compute_device_interface", 256, 32,
     32, 256e9, 400e9, 4 << 20},
    {"cuda", CUDA(70), "halide_cuda_device_interface", 1024, 48, 132, 507e9,
     4800e9, 50 << 20},
    {"cuda-80", CUDA(80), "halide_cuda_device_interface", 1024, 48, 132, 507e9,
     4800e9, 50 << 20},
    {"cuda-86", CUDA(86), "halide_cuda_device_interface", 1024, 48, 132, 507e9,
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
    target.alignment = 512;
    target.device = Device{kind.halide.str(), kind.interface.str(),
                           kind.threads, int64_t(kind.sharedKib) << 10};
    return true;
  }
  return false;
}

} // namespace halcyon
