// RUN: halcyon-opt %s -cnn-fuse -cnn-fuse-pairs='target=x86-64-zen5' | FileCheck %s
// RUN: halcyon-opt %s -cnn-fuse -cnn-fuse-pairs='target=x86-64-zen5 algorithm=depthwise_project' | FileCheck %s --check-prefix=PROJECT
// RUN: halcyon-opt %s -cnn-fuse -cnn-fuse-pairs='target=x86-64-zen5 algorithm=depthwise' | FileCheck %s --check-prefix=APART
//
// A 1x1 convolution that makes many channels, and the depthwise one that alone
// reads them: together they keep 4.8 MB out of memory. An algorithm that is
// asked for decides where it computes a pair, or one of the two.

// CHECK-LABEL: cnn.model @expands
// CHECK:      %[[X:.*]] = cnn.input
// CHECK:      %[[Y:.*]] = cnn.fused %[[X]], %{{.*}} : {{.*}} {
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<?x16x112x112xf32>, %[[U:.*]]: tensor<96x16x1x1xf32>, %[[W:.*]]: tensor<96x1x3x3xf32>):
// CHECK-NEXT:   %[[WIDE:.*]] = cnn.conv %[[A]], %[[U]]
// CHECK-NEXT:   %[[RELU:.*]] = cnn.map "relu" %[[WIDE]]
// CHECK:        %[[SUM:.*]] = cnn.conv %[[RELU]], %[[W]]
// CHECK:        cnn.yield %[[SUM]]
// CHECK:      cnn.fused %[[Y]], %
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv
// CHECK-NEXT:   cnn.yield

// PROJECT-LABEL: cnn.model @expands
// PROJECT:      cnn.fused
// PROJECT:        cnn.conv
// PROJECT-NEXT:   cnn.map "relu"
// PROJECT:        cnn.yield
// PROJECT:      cnn.fused
// PROJECT:        cnn.conv
// PROJECT-NEXT:   cnn.conv
// PROJECT-NEXT:   cnn.yield

// APART-LABEL: cnn.model @expands
// APART-COUNT-3: cnn.fused
// APART-LABEL: cnn.model @read_twice
cnn.model @expands {
  %x = cnn.input "image" : tensor<?x16x112x112xf32>
  %u = cnn.weight "expand.weight" : tensor<96x16x1x1xf32>
  %w = cnn.weight "depthwise.weight" : tensor<96x1x3x3xf32>
  %p = cnn.weight "project.weight" : tensor<24x96x1x1xf32>
  %1 = cnn.conv %x, %u : (tensor<?x16x112x112xf32>, tensor<96x16x1x1xf32>) -> tensor<?x96x112x112xf32>
  %2 = cnn.map "relu" %1 : (tensor<?x96x112x112xf32>) -> tensor<?x96x112x112xf32> {
  ^bb0(%a: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %a, %zero : f32
    cnn.yield %m : f32
  }
  %3 = cnn.conv %2, %w {stride = array<i64: 2, 2>, pad = array<i64: 1, 1, 1, 1>, groups = 96 : i64} : (tensor<?x96x112x112xf32>, tensor<96x1x3x3xf32>) -> tensor<?x96x56x56xf32>
  %4 = cnn.conv %3, %p : (tensor<?x96x56x56xf32>, tensor<24x96x1x1xf32>) -> tensor<?x24x56x56xf32>
  cnn.output %4 "y" : tensor<?x24x56x56xf32>
}

// What two layers read is computed once, by a kernel of its own.
// CHECK-LABEL: cnn.model @read_twice
// CHECK:      cnn.fused
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv
// CHECK-NEXT:   cnn.yield
cnn.model @read_twice {
  %x = cnn.input "image" : tensor<?x16x112x112xf32>
  %u = cnn.weight "expand.weight" : tensor<96x16x1x1xf32>
  %w = cnn.weight "depthwise.weight" : tensor<96x1x3x3xf32>
  %1 = cnn.conv %x, %u : (tensor<?x16x112x112xf32>, tensor<96x16x1x1xf32>) -> tensor<?x96x112x112xf32>
  %2 = cnn.conv %1, %w {stride = array<i64: 2, 2>, pad = array<i64: 1, 1, 1, 1>, groups = 96 : i64} : (tensor<?x96x112x112xf32>, tensor<96x1x3x3xf32>) -> tensor<?x96x56x56xf32>
  cnn.output %1 "wide" : tensor<?x96x112x112xf32>
  cnn.output %2 "y" : tensor<?x96x56x56xf32>
}

// What computes anything is no reason to make two layers one.

// CHECK-LABEL: cnn.model @squeezes
// CHECK-COUNT-2: cnn.fused
cnn.model @squeezes {
  %x = cnn.input "image" : tensor<?x64x1x1xf32>
  %u = cnn.weight "fc1.weight" : tensor<16x64x1x1xf32>
  %w = cnn.weight "fc2.weight" : tensor<64x16x1x1xf32>
  %1 = cnn.conv %x, %u : (tensor<?x64x1x1xf32>, tensor<16x64x1x1xf32>) -> tensor<?x16x1x1xf32>
  %2 = cnn.conv %1, %w : (tensor<?x16x1x1xf32>, tensor<64x16x1x1xf32>) -> tensor<?x64x1x1xf32>
  cnn.output %2 "y" : tensor<?x64x1x1xf32>
}
