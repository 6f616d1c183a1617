// RUN: not halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-update-weights))' 2>&1 | FileCheck %s

cnn.model @step attributes {cnn.train = {}} {
  %w = cnn.input "param:w" {cnn.wrt} : tensor<4x3xf32>
  %g = cnn.map "gradient" %w : (tensor<4x3xf32>) -> tensor<4x3xf32> {
  ^bb0(%a: f32):
    %m = arith.mulf %a, %a : f32
    cnn.yield %m : f32
  }
  cnn.output %g "grad:w" : tensor<4x3xf32>
  // CHECK: [[@LINE+1]]:3: error: the new values of "m" and "weight" each need the other's old one; write one by the other's new value
  cnn.rule "cycle" ["weight", "gradient", "m"] -> ["weight", "m"] {
  ^bb0(%weight: f32, %gradient: f32, %m: f32):
    %0 = arith.addf %m, %gradient : f32
    %1 = arith.subf %weight, %0 : f32
    %2 = arith.mulf %m, %weight : f32
    cnn.yield %1, %2 : f32, f32
  }
}
