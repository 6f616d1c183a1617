// RUN: not halcyon-opt %s --split-input-file --pass-pipeline='builtin.module(cnn.model(cnn-differentiate))' 2>/dev/null | FileCheck %s
// RUN: not halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-differentiate))' -o /dev/null --split-input-file 2>&1 | FileCheck %s --check-prefix=ERROR

// What reaches a value on two ways is summed, and broadcasting is summed over.
// CHECK-LABEL: cnn.model @twice
cnn.model @twice {
  %x = cnn.input "x" {cnn.wrt} : tensor<?x4xf32>
  %s = cnn.input "param:s" {cnn.wrt} : tensor<4xf32>
  %0 = cnn.map "mul" %x, %s : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    cnn.yield %m : f32
  }
  %1 = cnn.map "mul" %x, %0 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    cnn.yield %m : f32
  }
  cnn.output %1 "loss" : tensor<?x4xf32>
  // CHECK: %[[FIRST:.*]] = cnn.map "mul.grad"
  // CHECK: %[[SECOND:.*]] = cnn.map "mul.grad"
  // CHECK: %[[THIRD:.*]] = cnn.map "mul.grad"
  // CHECK: %[[FOURTH:.*]] = cnn.map "mul.grad"
  // CHECK: %[[DS:.*]] = cnn.sum %[[FOURTH]] : (tensor<?x4xf32>) -> tensor<4xf32>
  // CHECK: %[[DX:.*]] = cnn.map "add" %[[FIRST]], %[[THIRD]]
  // CHECK: cnn.output %[[DX]] "grad:x"
  // CHECK: cnn.output %[[DS]] "grad:s"
}

// -----

// ERROR: error: the loss does not depend on any weight that is trained
cnn.model @constant {
  %x = cnn.input "x" : tensor<?x4xf32>
  %s = cnn.input "param:s" {cnn.wrt} : tensor<4xf32>
  cnn.output %x "loss" : tensor<?x4xf32>
}
