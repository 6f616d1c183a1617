// RUN: halcyon-opt %s -cnn-simplify | FileCheck %s

// Layers that change nothing.
// CHECK-LABEL: cnn.model @identities
// CHECK-NEXT: %[[X:.*]] = cnn.input
// CHECK-NEXT: cnn.output %[[X]]
cnn.model @identities {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %1 = cnn.pad %x {pad = array<i64: 0, 0, 0, 0>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.avgpool %1 {kernel = array<i64: 1, 1>, stride = array<i64: 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.adaptive_avgpool %2 {size = array<i64: 6, 6>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %4 = cnn.upsample %3 {scale = array<i64: 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %5 = cnn.map "times_one" %4 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32):
    %one = arith.constant 1.0 : f32
    %b = arith.mulf %a, %one : f32
    cnn.yield %b : f32
  }
  cnn.output %5 "y" : tensor<?x8x6x6xf32>
}

// Two borders of zeros are one. A reflection sees the inner border.
// CHECK-LABEL: cnn.model @pads
// CHECK: cnn.pad %{{.*}} {pad = array<i64: 1, 3, 0, 4>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x7x13xf32>
// CHECK: %[[ZEROS:.*]] = cnn.pad
// CHECK: cnn.pad %[[ZEROS]] {mode = 1 : i32
cnn.model @pads {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %1 = cnn.pad %x {pad = array<i64: 1, 1, 0, 2>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x7x9xf32>
  %2 = cnn.pad %1 {pad = array<i64: 0, 2, 0, 2>} : (tensor<?x8x7x9xf32>) -> tensor<?x8x7x13xf32>
  %3 = cnn.pad %x {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x8x8xf32>
  %4 = cnn.pad %3 {pad = array<i64: 2, 2, 2, 2>, mode = 1 : i32} : (tensor<?x8x8x8xf32>) -> tensor<?x8x12x12xf32>
  cnn.output %2 "a" : tensor<?x8x7x13xf32>
  cnn.output %4 "b" : tensor<?x8x12x12xf32>
}

// Equal cells make an adaptive pooling a plain one; one cell a global one.
// CHECK-LABEL: cnn.model @pools
// CHECK: cnn.avgpool %{{.*}} {kernel = array<i64: 2, 3>, stride = array<i64: 2, 3>}
// CHECK: cnn.global_avgpool
// CHECK: cnn.global_maxpool
// CHECK: cnn.adaptive_avgpool %{{.*}} {size = array<i64: 4, 4>}
cnn.model @pools {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %1 = cnn.adaptive_avgpool %x {size = array<i64: 3, 2>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x2xf32>
  %2 = cnn.adaptive_avgpool %x {size = array<i64: 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  %3 = cnn.maxpool %x {kernel = array<i64: 6, 6>, stride = array<i64: 6, 6>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  %4 = cnn.adaptive_avgpool %x {size = array<i64: 4, 4>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x4x4xf32>
  cnn.output %1 "a" : tensor<?x8x3x2xf32>
  cnn.output %2 "b" : tensor<?x8x1x1xf32>
  cnn.output %3 "c" : tensor<?x8x1x1xf32>
  cnn.output %4 "d" : tensor<?x8x4x4xf32>
}

// CHECK-LABEL: cnn.model @nested_concat
// CHECK-NEXT: %[[X:.*]] = cnn.input
// CHECK-NEXT: %[[Y:.*]] = cnn.concat %[[X]], %[[X]], %[[X]]
// CHECK-NEXT: cnn.output %[[Y]]
cnn.model @nested_concat {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %1 = cnn.concat %x, %x : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x16x6x6xf32>
  %2 = cnn.concat %x, %1 : (tensor<?x8x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x24x6x6xf32>
  cnn.output %2 "y" : tensor<?x24x6x6xf32>
}

// A mean commutes with a convolution of one tap, which then has a quarter of
// the work.
// CHECK-LABEL: cnn.model @transition
// CHECK: %[[POOL:.*]] = cnn.avgpool %{{.*}} : (tensor<?x16x8x8xf32>) -> tensor<?x16x4x4xf32>
// CHECK-NEXT: %[[CONV:.*]] = cnn.conv %[[POOL]], %{{.*}}, %{{.*}} : {{.*}} -> tensor<?x8x4x4xf32>
// CHECK-NEXT: cnn.output %[[CONV]]
cnn.model @transition {
  %x = cnn.input "image" : tensor<?x16x8x8xf32>
  %w = cnn.weight "conv.weight" : tensor<8x16x1x1xf32>
  %b = cnn.weight "conv.bias" : tensor<8xf32>
  %1 = cnn.conv %x, %w, %b : (tensor<?x16x8x8xf32>, tensor<8x16x1x1xf32>, tensor<8xf32>) -> tensor<?x8x8x8xf32>
  %2 = cnn.avgpool %1 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x8x8x8xf32>) -> tensor<?x8x4x4xf32>
  cnn.output %2 "y" : tensor<?x8x4x4xf32>
}
