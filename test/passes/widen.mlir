// RUN: halcyon-opt %s --cnn-widen | FileCheck %s
//
// Tensors, scalars and constants of f32 become f64; whole numbers stay. Of a number
// that f32 does not hold, the constant has kept what was written.

// CHECK-LABEL: cnn.model @net
cnn.model @net {
  // CHECK: cnn.input "x" : tensor<?x4xf64>
  %x = cnn.input "x" : tensor<?x4xf32>
  // CHECK: cnn.input "label" : tensor<?xi32>
  %l = cnn.input "label" : tensor<?xi32>
  // CHECK: cnn.map "half" %{{.*}} : (tensor<?x4xf64>) -> tensor<?x4xf64>
  // CHECK-NEXT: ^bb0(%{{.*}}: f64):
  // CHECK: arith.constant 5.000000e-01 : f64
  %0 = cnn.map "half" %x : (tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    %h = arith.constant 0.5 : f32
    %m = arith.mulf %a, %h : f32
    // CHECK: arith.constant 1.000000e-01 : f64
    %t = arith.constant {cnn.exact = 0.1 : f64} 0.1 : f32
    %s = arith.addf %m, %t : f32
    cnn.yield %s : f32
  }
  cnn.output %0 "y" : tensor<?x4xf32>
}
