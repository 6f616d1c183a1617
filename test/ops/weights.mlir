// RUN: halcyon-opt %s | halcyon-opt | FileCheck %s
//
// Arithmetic on weights, done when the program is made.

// CHECK-LABEL: cnn.model @weights
cnn.model @weights {
  %w = cnn.weight "conv.weight" : tensor<8x4x3x3xf32>
  %n = cnn.weight "bn.weight" : tensor<8xf32>
  // CHECK: cnn.norm_scale %{{.*}}, %{{.*}} {eps = 1.000000e-05 : f64} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %s = cnn.norm_scale %n, %n {eps = 1.0e-5 : f64} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  // CHECK: cnn.norm_shift %{{.*}}, %{{.*}}, %{{.*}} :
  %t = cnn.norm_shift %n, %n, %s : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  // CHECK: cnn.scale_filter %{{.*}}, %{{.*}} {axis = 1 : i64, groups = 2 : i64} :
  %f = cnn.scale_filter %w, %s {axis = 1 : i64, groups = 2 : i64} : (tensor<8x4x3x3xf32>, tensor<8xf32>) -> tensor<8x4x3x3xf32>
  // CHECK: cnn.round %{{.*}} : tensor<8x4x3x3xf32> to tensor<8x4x3x3xbf16>
  %r = cnn.round %w : tensor<8x4x3x3xf32> to tensor<8x4x3x3xbf16>
  // CHECK: cnn.pack %{{.*}} : tensor<8x4x3x3xf32> to tensor<8x4x3x3xbf16, #cnn.packed<"OIhw4i8o">>
  %p = cnn.pack %w : tensor<8x4x3x3xf32> to tensor<8x4x3x3xbf16, #cnn.packed<"OIhw4i8o">>
  // CHECK: cnn.pack %{{.*}} {adjoint = 2 : i64} : tensor<8x4x3x3xf32> to tensor<8x4x3x3xf32, #cnn.packed<"OIhw4i8o">>
  %a = cnn.pack %w {adjoint = 2 : i64} : tensor<8x4x3x3xf32> to tensor<8x4x3x3xf32, #cnn.packed<"OIhw4i8o">>
  // CHECK: cnn.affine_bias %{{.*}}, %{{.*}}, %{{.*}} :
  %b = cnn.affine_bias %n, %s, %t : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
}
