// RUN: halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-update-weights))' | FileCheck %s
//
// The rule is applied to each gradient. Slots come first, and the weight reads
// their new values: the trainer binds inputs and outputs to the same memory.

// CHECK-LABEL: cnn.model @step
cnn.model @step attributes {cnn.train = {clip = [{call = "value", largest = 1.0 : f64}], decay = {w = 0.5 : f64}}} {
  // CHECK-DAG: %[[SLOT:.*]] = cnn.input "slot:velocity:w" : tensor<4x3xf32>
  // CHECK-DAG: %[[RATE:.*]] = cnn.input "train.rate" : tensor<1xf32>
  // CHECK-DAG: %[[W:.*]] = cnn.input "param:w" {cnn.wrt} : tensor<4x3xf32>
  %w = cnn.input "param:w" {cnn.wrt} : tensor<4x3xf32>
  %g = cnn.map "gradient" %w : (tensor<4x3xf32>) -> tensor<4x3xf32> {
  ^bb0(%a: f32):
    %m = arith.mulf %a, %a : f32
    cnn.yield %m : f32
  }
  cnn.output %g "grad:w" : tensor<4x3xf32>
  // CHECK: %[[SQUARES:.*]] = cnn.sum
  // CHECK: cnn.output %[[SQUARES]] "squares:w" : tensor<1xf32>
  // CHECK: %[[CLIPPED:.*]] = cnn.map "clip"
  // CHECK: %[[DECAY:.*]] = cnn.map "constant"
  // CHECK: arith.constant 5.000000e-01
  // CHECK: %[[V:.*]] = cnn.map "sgd.velocity" %[[SLOT]], %[[CLIPPED]], %[[DECAY]], %[[W]]
  // CHECK: cnn.output %[[V]] "slot:velocity:w"
  // CHECK: %[[NEW:.*]] = cnn.map "sgd.weight" %[[W]], %[[RATE]], %[[V]]
  // CHECK: cnn.output %[[NEW]] "param:w"
  // CHECK-NOT: grad:w
  // CHECK-NOT: cnn.rule
  cnn.rule "sgd" ["weight", "gradient", "velocity", "rate", "decay"] -> ["weight", "velocity"] {
  ^bb0(%weight: f32, %gradient: f32, %velocity: f32, %rate: f32, %decay: f32):
    %momentum = arith.constant 0.9 : f32
    %0 = arith.mulf %momentum, %velocity : f32
    %1 = arith.mulf %decay, %weight : f32
    %2 = arith.addf %gradient, %1 : f32
    %3 = arith.addf %0, %2 : f32
    %4 = arith.mulf %rate, %3 : f32
    %5 = arith.subf %weight, %4 : f32
    cnn.yield %5, %3 : f32, f32
  }
}

// A weight that needs a slot's old value comes before the new one.
// CHECK-LABEL: cnn.model @before
cnn.model @before attributes {cnn.train = {}} {
  // CHECK-DAG: %[[SLOT:.*]] = cnn.input "slot:m:w" : tensor<4x3xf32>
  %w = cnn.input "param:w" {cnn.wrt} : tensor<4x3xf32>
  %g = cnn.map "gradient" %w : (tensor<4x3xf32>) -> tensor<4x3xf32> {
  ^bb0(%a: f32):
    %m = arith.mulf %a, %a : f32
    cnn.yield %m : f32
  }
  cnn.output %g "grad:w" : tensor<4x3xf32>
  // CHECK: cnn.map "lion.weight" {{.*}}%[[SLOT]]
  // CHECK: cnn.output %{{.*}} "param:w"
  // CHECK: cnn.map "lion.m" {{.*}}%[[SLOT]]
  // CHECK: cnn.output %{{.*}} "slot:m:w"
  cnn.rule "lion" ["weight", "gradient", "m"] -> ["weight", "m"] {
  ^bb0(%weight: f32, %gradient: f32, %m: f32):
    %0 = arith.addf %m, %gradient : f32
    %1 = arith.subf %weight, %0 : f32
    %2 = arith.mulf %m, %gradient : f32
    cnn.yield %1, %2 : f32, f32
  }
}
