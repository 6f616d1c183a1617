// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @conv
cnn.model @conv {
  %x = cnn.input "x" : tensor<?x8x9x7xf32>
  %w = cnn.weight "w" : tensor<6x4x3x3xf32>
  %b = cnn.weight "b" : tensor<6xf32>
  // Attributes that say nothing new are not printed.
  // CHECK: cnn.conv %{{.*}}, %{{.*}} {groups = 2 : i64} : (tensor<?x8x9x7xf32>, tensor<6x4x3x3xf32>) -> tensor<?x6x7x5xf32>
  %1 = cnn.conv %x, %w {groups = 2 : i64, stride = array<i64: 1, 1>} : (tensor<?x8x9x7xf32>, tensor<6x4x3x3xf32>) -> tensor<?x6x7x5xf32>
  // (9 + 1 + 3 - 2 * 2 - 1) / 3 + 1 = 3 rows, (7 + 2 + 4 - 2 - 1) / 2 + 1 = 6 columns.
  // CHECK: cnn.conv %{{.*}}, %{{.*}}, %{{.*}} {dilation = array<i64: 2, 1>, groups = 2 : i64, pad = array<i64: 1, 2, 3, 4>, stride = array<i64: 3, 2>} : {{.*}} -> tensor<?x6x3x6xf32>
  %2 = cnn.conv %x, %w, %b {groups = 2 : i64, pad = array<i64: 1, 2, 3, 4>, stride = array<i64: 3, 2>, dilation = array<i64: 2, 1>} : (tensor<?x8x9x7xf32>, tensor<6x4x3x3xf32>, tensor<6xf32>) -> tensor<?x6x3x6xf32>
  // `same` with a stride: ceil(9 / 2) x ceil(7 / 2).
  // CHECK: -> tensor<?x6x5x4xf32>
  %3 = cnn.conv %x, %w {groups = 2 : i64, auto_pad = 1 : i32, stride = array<i64: 2, 2>} : (tensor<?x8x9x7xf32>, tensor<6x4x3x3xf32>) -> tensor<?x6x5x4xf32>
}

// -----

cnn.model @wrong_shape {
  %x = cnn.input "x" : tensor<?x8x9x9xf32>
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x8x7x7xf32>' are incompatible with return type(s) of operation 'tensor<?x8x9x9xf32>'}}
  %1 = cnn.conv %x, %w : (tensor<?x8x9x9xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x9x9xf32>
}

// -----

cnn.model @groups {
  %x = cnn.input "x" : tensor<?x8x9x9xf32>
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{groups must divide the channels in and out}}
  %1 = cnn.conv %x, %w {groups = 3 : i64} : (tensor<?x8x9x9xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x7x7xf32>
}

// -----

cnn.model @channels {
  %x = cnn.input "x" : tensor<?x8x9x9xf32>
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{weight has 8 input channels, and a group of x has 4}}
  %1 = cnn.conv %x, %w {groups = 2 : i64} : (tensor<?x8x9x9xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x7x7xf32>
}

// -----

cnn.model @too_small {
  %x = cnn.input "x" : tensor<?x8x2x9xf32>
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{the kernel is larger than the padded input}}
  %1 = cnn.conv %x, %w : (tensor<?x8x2x9xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x0x7xf32>
}
