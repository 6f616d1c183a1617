// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s
// RUN: halcyon-opt %s -split-input-file -verify-diagnostics -canonicalize | FileCheck %s --check-prefix=FOLD

// CHECK-LABEL: cnn.model @shapes
cnn.model @shapes {
  %x = cnn.input "x" : tensor<?x8x6x4xf32>
  // CHECK: cnn.flatten %{{.*}} : (tensor<?x8x6x4xf32>) -> tensor<?x192xf32>
  %1 = cnn.flatten %x : (tensor<?x8x6x4xf32>) -> tensor<?x192xf32>
  // CHECK: cnn.upsample %{{.*}} {align_corners = true, mode = 1 : i32, scale = array<i64: 2, 3>} : (tensor<?x8x6x4xf32>) -> tensor<?x8x12x12xf32>
  %2 = cnn.upsample %x {scale = array<i64: 2, 3>, mode = 1 : i32, align_corners = true} : (tensor<?x8x6x4xf32>) -> tensor<?x8x12x12xf32>
  // CHECK: cnn.pad %{{.*}} {mode = 3 : i32, pad = array<i64: 1, 2, 3, 4>} : (tensor<?x8x6x4xf32>) -> tensor<?x8x10x10xf32>
  %3 = cnn.pad %x {pad = array<i64: 1, 2, 3, 4>, mode = 3 : i32} : (tensor<?x8x6x4xf32>) -> tensor<?x8x10x10xf32>
  // CHECK: cnn.concat %{{.*}}, %{{.*}} : (tensor<?x8x6x4xf32>, tensor<?x8x6x4xf32>) -> tensor<?x16x6x4xf32>
  %4 = cnn.concat %x, %x : (tensor<?x8x6x4xf32>, tensor<?x8x6x4xf32>) -> tensor<?x16x6x4xf32>
  // CHECK: cnn.dropout %{{.*}} {p = 2.000000e-01 : f64}
  %5 = cnn.dropout %x {p = 0.2 : f64} : (tensor<?x8x6x4xf32>) -> tensor<?x8x6x4xf32>
}

// -----

// Dropout has no effect in inference, flattening none on features, and one
// tensor is joined already.
// FOLD-LABEL: cnn.model @fold
// FOLD-NEXT: %[[X:.*]] = cnn.input
// FOLD-NEXT: cnn.output %[[X]]
cnn.model @fold {
  %x = cnn.input "x" : tensor<?x8xf32>
  %1 = cnn.dropout %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %2 = cnn.flatten %1 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %3 = cnn.concat %2 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  cnn.output %3 "y" : tensor<?x8xf32>
}

// -----

cnn.model @concat {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %y = cnn.input "y" : tensor<?x8x6x5xf32>
  // expected-error @below {{inputs differ in height or width}}
  %1 = cnn.concat %x, %y : (tensor<?x8x6x6xf32>, tensor<?x8x6x5xf32>) -> tensor<?x16x6x6xf32>
}

// -----

cnn.model @reflect_too_far {
  %x = cnn.input "x" : tensor<?x8x3x3xf32>
  // expected-error @below {{padding reaches further than the input}}
  %1 = cnn.pad %x {pad = array<i64: 3, 0, 0, 0>, mode = 1 : i32} : (tensor<?x8x3x3xf32>) -> tensor<?x8x6x3xf32>
}
