// RUN: halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-sharpen))' | FileCheck %s
//
// What the gradient is made of is made again, of weights a little uphill; the loss stays.

// CHECK-LABEL: cnn.model @step
cnn.model @step attributes {cnn.train = {sam = {call = "sam", rho = 0.5 : f64}}} {
  // CHECK: %[[W:.*]] = cnn.input "param:w"
  // CHECK: %[[FIRST:.*]] = cnn.map "gradient" %[[W]]
  // CHECK: cnn.output %[[W]] "loss"
  %w = cnn.input "param:w" {cnn.wrt} : tensor<4x3xf32>
  %g = cnn.map "gradient" %w : (tensor<4x3xf32>) -> tensor<4x3xf32> {
  ^bb0(%a: f32):
    %m = arith.mulf %a, %a : f32
    cnn.yield %m : f32
  }
  cnn.output %w "loss" : tensor<4x3xf32>
  cnn.output %g "grad:w" : tensor<4x3xf32>
  // CHECK: %[[SUM:.*]] = cnn.sum
  // CHECK: %[[NORM:.*]] = cnn.map "sqrt" %[[SUM]]
  // CHECK: %[[UP:.*]] = cnn.map "uphill" %[[W]], %[[FIRST]], %[[NORM]]
  // CHECK: arith.constant 5.000000e-01
  // CHECK: %[[SECOND:.*]] = cnn.map "gradient" %[[UP]]
  // CHECK: cnn.output %[[SECOND]] "grad:w"
}
