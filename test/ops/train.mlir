// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @sgd
cnn.model @sgd {
  // CHECK: cnn.rule "sgd" ["weight", "gradient", "velocity", "rate"] -> ["weight", "velocity"] {
  // CHECK-NEXT: ^bb0(%[[W:.*]]: f32, %[[G:.*]]: f32, %[[V:.*]]: f32, %[[R:.*]]: f32):
  cnn.rule "sgd" ["weight", "gradient", "velocity", "rate"] -> ["weight", "velocity"] {
  ^bb0(%w: f32, %g: f32, %v: f32, %rate: f32):
    %1 = arith.addf %v, %g : f32
    %2 = arith.mulf %rate, %1 : f32
    %3 = arith.subf %w, %2 : f32
    // CHECK: cnn.yield %{{.*}}, %{{.*}} : f32, f32
    cnn.yield %3, %1 : f32, f32
  }
}

// -----

cnn.model @no_gradient {
  // expected-error @below {{needs the operands 'weight' and 'gradient'}}
  cnn.rule "r" ["weight", "rate"] -> ["weight"] {
  ^bb0(%w: f32, %rate: f32):
    cnn.yield %w : f32
  }
}

// -----

cnn.model @twice {
  // expected-error @below {{has two operands 'gradient'}}
  cnn.rule "r" ["weight", "gradient", "gradient"] -> ["weight"] {
  ^bb0(%w: f32, %g: f32, %h: f32):
    cnn.yield %w : f32
  }
}

// -----

cnn.model @slots {
  // expected-error @below {{yields the weight and every slot, in their order}}
  cnn.rule "r" ["weight", "gradient", "a", "b"] -> ["weight", "b", "a"] {
  ^bb0(%w: f32, %g: f32, %a: f32, %b: f32):
    cnn.yield %w, %a, %b : f32, f32, f32
  }
}

// -----

cnn.model @scalars {
  // expected-error @below {{the region takes one scalar per operand}}
  cnn.rule "r" ["weight", "gradient"] -> ["weight"] {
  ^bb0(%w: f32):
    cnn.yield %w : f32
  }
}

// -----

cnn.model @results {
  // expected-error @below {{the region yields one scalar per result}}
  cnn.rule "r" ["weight", "gradient"] -> ["weight"] {
  ^bb0(%w: f32, %g: f32):
    cnn.yield %w, %g : f32, f32
  }
}

// -----

cnn.model @tensors {
  cnn.rule "r" ["weight", "gradient"] -> ["weight"] {
  ^bb0(%w: f32, %g: f32):
    // expected-error @below {{is not an operation on scalars}}
    %x = cnn.weight "w" : tensor<4xf32>
    cnn.yield %w : f32
  }
}
