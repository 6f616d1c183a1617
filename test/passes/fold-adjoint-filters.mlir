// RUN: halcyon-opt %s -cnn-fold-adjoint-filters | FileCheck %s
//
// What turns a weight over becomes part of what packs it.

// Two layers may want it packed differently. Each reads the weight itself.
// CHECK-LABEL: cnn.model @both
// CHECK:      %[[W:.*]] = cnn.input "param:w"
// CHECK-NEXT: cnn.fused %[[W]] {reason = "packs"} : (tensor<32x4x3x3xf32>) -> tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">>
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<32x4x3x3xf32>):
// CHECK-NEXT:   cnn.pack %[[A]] {adjoint = 2 : i64} : tensor<32x4x3x3xf32> to tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">>
// CHECK:      cnn.fused %[[W]]
// CHECK:        cnn.pack %{{.*}} {adjoint = 2 : i64} : tensor<32x4x3x3xf32> to tensor<8x16x3x3xbf16, #cnn.packed<"hwOI8i8o", winograd = 4>>
// CHECK-NOT:  cnn.adjoint_filter
cnn.model @both {
  %w = cnn.input "param:w" : tensor<32x4x3x3xf32>
  %t = cnn.fused %w : (tensor<32x4x3x3xf32>) -> tensor<8x16x3x3xf32> {
  ^bb0(%a: tensor<32x4x3x3xf32>):
    %0 = cnn.adjoint_filter %a {groups = 2 : i64} : (tensor<32x4x3x3xf32>) -> tensor<8x16x3x3xf32>
    cnn.yield %0 : tensor<8x16x3x3xf32>
  }
  %p = cnn.fused %t {reason = "packs"} : (tensor<8x16x3x3xf32>) -> tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">> {
  ^bb0(%a: tensor<8x16x3x3xf32>):
    %0 = cnn.pack %a : tensor<8x16x3x3xf32> to tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">>
    cnn.yield %0 : tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">>
  }
  %q = cnn.fused %t : (tensor<8x16x3x3xf32>) -> tensor<8x16x3x3xbf16, #cnn.packed<"hwOI8i8o", winograd = 4>> {
  ^bb0(%a: tensor<8x16x3x3xf32>):
    %0 = cnn.pack %a : tensor<8x16x3x3xf32> to tensor<8x16x3x3xbf16, #cnn.packed<"hwOI8i8o", winograd = 4>>
    cnn.yield %0 : tensor<8x16x3x3xbf16, #cnn.packed<"hwOI8i8o", winograd = 4>>
  }
  cnn.output %p "p" : tensor<8x16x3x3xf32, #cnn.packed<"OIhw8i8o">>
  cnn.output %q "q" : tensor<8x16x3x3xbf16, #cnn.packed<"hwOI8i8o", winograd = 4>>
}

// One that another kernel reads as it is stays, and is packed as it is.
// CHECK-LABEL: cnn.model @also_read
// CHECK:      %[[T:.*]] = cnn.fused %{{.*}} -> tensor<16x32xf32>
// CHECK:        cnn.adjoint_filter
// CHECK:      cnn.fused %[[T]]
// CHECK:        cnn.pack %{{[0-9a-z]+}} : tensor<16x32xf32>
cnn.model @also_read {
  %w = cnn.input "param:w" : tensor<32x16xf32>
  %x = cnn.input "x" : tensor<?x32xf32>
  %t = cnn.fused %w : (tensor<32x16xf32>) -> tensor<16x32xf32> {
  ^bb0(%a: tensor<32x16xf32>):
    %0 = cnn.adjoint_filter %a : (tensor<32x16xf32>) -> tensor<16x32xf32>
    cnn.yield %0 : tensor<16x32xf32>
  }
  %p = cnn.fused %t : (tensor<16x32xf32>) -> tensor<16x32xf32, #cnn.packed<"Oi16o">> {
  ^bb0(%a: tensor<16x32xf32>):
    %0 = cnn.pack %a : tensor<16x32xf32> to tensor<16x32xf32, #cnn.packed<"Oi16o">>
    cnn.yield %0 : tensor<16x32xf32, #cnn.packed<"Oi16o">>
  }
  %y = cnn.fused %x, %t : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32> {
  ^bb0(%a: tensor<?x32xf32>, %b: tensor<16x32xf32>):
    %0 = cnn.linear %a, %b : (tensor<?x32xf32>, tensor<16x32xf32>) -> tensor<?x16xf32>
    cnn.yield %0 : tensor<?x16xf32>
  }
  cnn.output %p "p" : tensor<16x32xf32, #cnn.packed<"Oi16o">>
  cnn.output %y "y" : tensor<?x16xf32>
}
