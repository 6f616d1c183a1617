// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @pools
cnn.model @pools {
  %x = cnn.input "x" : tensor<?x8x7x6xf32>
  // CHECK: cnn.maxpool %{{.*}} {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : {{.*}} -> tensor<?x8x3x3xf32>
  %1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x8x7x6xf32>) -> tensor<?x8x3x3xf32>
  // `ceil` counts the window that overhangs ...
  // CHECK: cnn.maxpool %{{.*}} {ceil = true, {{.*}} -> tensor<?x8x4x3xf32>
  %2 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, ceil = true} : (tensor<?x8x7x6xf32>) -> tensor<?x8x4x3xf32>
  // ... but none that begins in the padding: rows 6 and 8 of 0 ... 7 + 1.
  // CHECK: cnn.avgpool %{{.*}} {ceil = true, count_pad = false, {{.*}} -> tensor<?x8x4x4xf32>
  %3 = cnn.avgpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, pad = array<i64: 1, 1, 1, 1>, ceil = true, count_pad = false} : (tensor<?x8x7x6xf32>) -> tensor<?x8x4x4xf32>
  // CHECK: cnn.global_avgpool %{{.*}} : (tensor<?x8x7x6xf32>) -> tensor<?x8x1x1xf32>
  %4 = cnn.global_avgpool %x : (tensor<?x8x7x6xf32>) -> tensor<?x8x1x1xf32>
  // CHECK: cnn.global_maxpool %{{.*}} : (tensor<?x8x7x6xf32>) -> tensor<?x8x1x1xf32>
  %5 = cnn.global_maxpool %x : (tensor<?x8x7x6xf32>) -> tensor<?x8x1x1xf32>
  // CHECK: cnn.adaptive_avgpool %{{.*}} {size = array<i64: 2, 3>} : {{.*}} -> tensor<?x8x2x3xf32>
  %6 = cnn.adaptive_avgpool %x {size = array<i64: 2, 3>} : (tensor<?x8x7x6xf32>) -> tensor<?x8x2x3xf32>
}

// -----

cnn.model @too_small {
  %x = cnn.input "x" : tensor<?x8x2x9xf32>
  // expected-error @below {{the window is larger than the padded input}}
  %1 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>} : (tensor<?x8x2x9xf32>) -> tensor<?x8x0x7xf32>
}

// -----

cnn.model @wrong_shape {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x8x3x3xf32>' are incompatible}}
  %1 = cnn.avgpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x2x2xf32>
}
