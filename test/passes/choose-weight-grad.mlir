// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=x86-64-avx512 | FileCheck %s
//
// Gradients of weights are sums of products, too, and transforms save most of the
// multiplications where a convolution's own would: not with a stride, not for a
// single tap, and not where they leave too large an error.

// CHECK-LABEL: cnn.model @gradients
// CHECK: cnn.fused {{.*}}weight_grad {{[0-9.]+}} ms; weight_grad_winograd {{[0-9.]+}} ms", schedule = #cnn.schedule<"weight_grad_winograd"
// CHECK: cnn.fused {{.*}}weight_grad_winograd: error {{[0-9.]+}}e-5 beyond max_error 1e-5", schedule = #cnn.schedule<"weight_grad"
// CHECK: cnn.fused {{.*}}weight_grad_winograd: not a window with stride, dilation and groups of 1", schedule = #cnn.schedule<"weight_grad"
// CHECK: cnn.fused {{.*}}weight_grad_winograd: fewer channels than a vector has lanes", schedule = #cnn.schedule<"weight_grad"
cnn.model @gradients {
  %x = cnn.input "x" : tensor<?x64x32x32xf32>
  %dy = cnn.input "dy" : tensor<?x32x32x32xf32>
  %half = cnn.input "half" : tensor<?x32x16x16xf32>
  %few = cnn.input "few" : tensor<?x8x32x32xf32>
  %0 = cnn.conv_weight_grad %x, %dy {pad = array<i64: 1, 1>} : (tensor<?x64x32x32xf32>, tensor<?x32x32x32xf32>) -> tensor<32x64x3x3xf32>
  %1 = cnn.conv_weight_grad %x, %dy {pad = array<i64: 2, 2>, cnn.max_error = 1.0e-5} : (tensor<?x64x32x32xf32>, tensor<?x32x32x32xf32>) -> tensor<32x64x5x5xf32>
  %2 = cnn.conv_weight_grad %x, %half {pad = array<i64: 1, 1>, stride = array<i64: 2, 2>} : (tensor<?x64x32x32xf32>, tensor<?x32x16x16xf32>) -> tensor<32x64x3x3xf32>
  %3 = cnn.conv_weight_grad %x, %few {pad = array<i64: 1, 1>} : (tensor<?x64x32x32xf32>, tensor<?x8x32x32xf32>) -> tensor<8x64x3x3xf32>
  cnn.output %0 "0" : tensor<32x64x3x3xf32>
  cnn.output %1 "1" : tensor<32x64x5x5xf32>
  cnn.output %2 "2" : tensor<32x64x3x3xf32>
  cnn.output %3 "3" : tensor<8x64x3x3xf32>
}
