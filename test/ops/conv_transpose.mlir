// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @conv_transpose
cnn.model @conv_transpose {
  %x = cnn.input "x" : tensor<?x8x5x5xf32>
  %w = cnn.weight "w" : tensor<8x3x3x3xf32>
  %b = cnn.weight "b" : tensor<6xf32>
  // (5 - 1) * 2 - 2 + 3 + 1 = 10
  // CHECK: cnn.conv_transpose %{{.*}}, %{{.*}}, %{{.*}} {groups = 2 : i64, output_pad = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 2, 2>} : {{.*}} -> tensor<?x6x10x10xf32>
  %1 = cnn.conv_transpose %x, %w, %b {groups = 2 : i64, stride = array<i64: 2, 2>, pad = array<i64: 1, 1, 1, 1>, output_pad = array<i64: 1, 1>} : (tensor<?x8x5x5xf32>, tensor<8x3x3x3xf32>, tensor<6xf32>) -> tensor<?x6x10x10xf32>
}

// -----

cnn.model @channels {
  %x = cnn.input "x" : tensor<?x8x5x5xf32>
  %w = cnn.weight "w" : tensor<4x3x2x2xf32>
  // expected-error @below {{weight has 4 input channels, and x has 8}}
  %1 = cnn.conv_transpose %x, %w : (tensor<?x8x5x5xf32>, tensor<4x3x2x2xf32>) -> tensor<?x3x6x6xf32>
}

// -----

cnn.model @groups {
  %x = cnn.input "x" : tensor<?x8x5x5xf32>
  %w = cnn.weight "w" : tensor<8x1x2x2xf32>
  // expected-error @below {{groups must divide the channels}}
  %1 = cnn.conv_transpose %x, %w {groups = 3 : i64} : (tensor<?x8x5x5xf32>, tensor<8x1x2x2xf32>) -> tensor<?x3x6x6xf32>
}

// -----

cnn.model @nothing_left {
  %x = cnn.input "x" : tensor<?x8x1x1xf32>
  %w = cnn.weight "w" : tensor<8x3x2x2xf32>
  // expected-error @below {{padding removes the whole output}}
  %1 = cnn.conv_transpose %x, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x1x1xf32>, tensor<8x3x2x2xf32>) -> tensor<?x3x0x0xf32>
}
