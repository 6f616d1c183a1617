// RUN: halcyon compile %s --target=x86-64-avx512 --algorithm=direct --emit=exec --print-ir-after-all -o %t 2>&1 | FileCheck %s
//
// The whole way of a residual block, from the graph on: each pass leaves the
// module as the next one finds it, and --print-ir-after-all shows them all.

cnn.model @residual {
  %x = cnn.input "image" : tensor<?x16x6x6xf32>
  %w = cnn.weight "conv1.weight" : tensor<16x16x3x3xf32>
  %v = cnn.weight "conv2.weight" : tensor<16x16x3x3xf32>
  %scale = cnn.weight "norm.weight" : tensor<16xf32>
  %shift = cnn.weight "norm.bias" : tensor<16xf32>
  %mean = cnn.weight "norm.running_mean" : tensor<16xf32>
  %var = cnn.weight "norm.running_var" : tensor<16xf32>
  %1 = cnn.conv %x, %w {auto_pad = 1 : i32} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %2 = cnn.conv %1, %v {auto_pad = 1 : i32} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %3 = cnn.batchnorm %2, %scale, %shift, %mean, %var : (tensor<?x16x6x6xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x16x6x6xf32>
  %4 = cnn.map "add" %3, %1 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x16x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %4 "y" : tensor<?x16x6x6xf32>
}

// Padding as numbers.
// CHECK-LABEL: IR Dump After NormalizePadding
// CHECK:       cnn.conv {{.*}}pad = array<i64: 1, 1, 1, 1>
// CHECK:       cnn.batchnorm

// The norm in the weights.
// CHECK-LABEL: IR Dump After FoldBatchNorm
// CHECK-NOT:   cnn.batchnorm
// CHECK:       cnn.scale_filter

// Two kernels, the sum part of the second.
// CHECK-LABEL: IR Dump After Fuse
// CHECK:       %[[A:.*]] = cnn.fused
// CHECK:       cnn.fused %[[A]], %{{.*}}, %{{.*}} :
// CHECK:         cnn.conv
// CHECK:         cnn.map "add"
// CHECK-NOT:   cnn.fused

// CHECK-LABEL: IR Dump After ChooseAlgorithm
// CHECK-COUNT-2: cnn.fused {{.*}}schedule = #cnn.schedule<"direct"

// CHECK-LABEL: IR Dump After AssignLayout
// CHECK:       cnn.relayout
// CHECK:       cnn.conv {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>
// CHECK:       cnn.relayout

// Four calls.
// CHECK-LABEL: IR Dump After LowerToExec
// CHECK:       exec.function @infer
// CHECK-COUNT-4: exec.call
// CHECK-NOT:   exec.call

// CHECK-LABEL: IR Dump After PlanMemory
// CHECK:       exec.program @residual attributes {arena = [[ARENA:[0-9]+]] : i64, arena_bound = [[ARENA]] : i64
// CHECK-NOT:   slot = -1
