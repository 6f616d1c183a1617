// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// Sizes of 1 meet any size; a vector lies along the channels.
// CHECK-LABEL: cnn.model @broadcast
cnn.model @broadcast {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %s = cnn.input "s" : tensor<?x8x1x1xf32>
  %v = cnn.weight "v" : tensor<8xf32>
  // CHECK: %{{.*}} = cnn.map "fma" %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x8x6x6xf32>, tensor<?x8x1x1xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32> {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[C:.*]]: f32):
  // CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[A]], %[[B]] : f32
  // CHECK-NEXT:   %[[Q:.*]] = arith.addf %[[P]], %[[C]] : f32
  // CHECK-NEXT:   cnn.yield %[[Q]] : f32
  %1 = cnn.map "fma" %x, %s, %v : (tensor<?x8x6x6xf32>, tensor<?x8x1x1xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %p, %c : f32
    cnn.yield %q : f32
  }
}

// -----

cnn.model @no_broadcast {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %y = cnn.input "y" : tensor<?x8x6x5xf32>
  // expected-error @below {{the inputs' shapes do not broadcast}}
  %1 = cnn.map "add" %x, %y : (tensor<?x8x6x6xf32>, tensor<?x8x6x5xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    cnn.yield %s : f32
  }
}

// -----

cnn.model @wrong_result {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{the result's shape is not the inputs' broadcast shape}}
  %1 = cnn.map "id" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x7xf32> {
  ^bb0(%a: f32):
    cnn.yield %a : f32
  }
}

// -----

cnn.model @arguments {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{the region takes one scalar per input}}
  %1 = cnn.map "id" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32, %b: f32):
    cnn.yield %a : f32
  }
}

// -----

cnn.model @yields_a_truth_value {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{the region yields one element of the result}}
  %1 = cnn.map "positive" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32):
    %zero = arith.constant 0.0 : f32
    %p = arith.cmpf ogt, %a, %zero : f32
    cnn.yield %p : i1
  }
}

// -----

cnn.model @not_scalar {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %1 = cnn.map "id" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: f32):
    // expected-error @below {{is not an operation on scalars}}
    %w = cnn.weight "w" : tensor<8xf32>
    cnn.yield %a : f32
  }
}
