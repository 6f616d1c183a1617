// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @contrast
cnn.model @contrast {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // CHECK: cnn.indexed "contrast" %{{.*}} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  // CHECK-NEXT: ^bb0(%[[N:.*]]: index, %[[C:.*]]: index, %[[I:.*]]: index, %[[J:.*]]: index):
  // CHECK-NEXT:   cnn.read 0[%[[N]], %[[C]], %[[I]], %[[J]]] : f32
  // CHECK-NEXT:   cnn.reduce mean from [-1] size [3] : f32 {
  // CHECK-NEXT:   ^bb0(%[[U:.*]]: index):
  // CHECK-NEXT:     %[[K:.*]] = arith.addi %[[J]], %[[U]] : index
  // CHECK-NEXT:     cnn.read 0[%[[N]], %[[C]], %[[I]], %[[K]]] edge replicate : f32
  %1 = cnn.indexed "contrast" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%n: index, %c: index, %i: index, %j: index):
    %a = cnn.read 0[%n, %c, %i, %j] : f32
    %m = cnn.reduce mean from [-1] size [3] : f32 {
    ^bb0(%u: index):
      %k = arith.addi %j, %u : index
      %b = cnn.read 0[%n, %c, %i, %k] edge replicate : f32
      cnn.yield %b : f32
    }
    %d = arith.subf %a, %m : f32
    cnn.yield %d : f32
  }
}

// -----

// Any rank, any element type, with or without a batch.
// CHECK-LABEL: cnn.model @types
cnn.model @types {
  %x = cnn.input "x" : tensor<?x3xf64>
  %l = cnn.input "l" : tensor<?xi32>
  // CHECK: (tensor<?x3xf64>, tensor<?xi32>) -> tensor<3xf64>
  %1 = cnn.indexed "sums" %x, %l : (tensor<?x3xf64>, tensor<?xi32>) -> tensor<3xf64> {
  ^bb0(%c: index):
    // CHECK: cnn.reduce sum from [0] size [-1] : f64
    %s = cnn.reduce sum from [0] size [-1] : f64 {
    ^bb0(%n: index):
      %k = cnn.read 1[%n] : i32
      %at = arith.index_cast %k : i32 to index
      %v = cnn.read 0[%n, %at] : f64
      cnn.yield %v : f64
    }
    cnn.yield %s : f64
  }
}

// -----

cnn.model @coordinates {
  %x = cnn.input "x" : tensor<?x8xf32>
  %1 = cnn.indexed "f" %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%n: index, %c: index):
    // expected-error @below {{an element of 'tensor<?x8xf32>' has 2 coordinates}}
    %a = cnn.read 0[%n] : f32
    cnn.yield %a : f32
  }
}

// -----

cnn.model @operand {
  %x = cnn.input "x" : tensor<?x8xf32>
  %1 = cnn.indexed "f" %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%n: index, %c: index):
    // expected-error @below {{there is no operand 1}}
    %a = cnn.read 1[%n, %c] : f32
    cnn.yield %a : f32
  }
}

// -----

cnn.model @element {
  %x = cnn.input "x" : tensor<?x8xbf16>
  %1 = cnn.indexed "f" %x : (tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  ^bb0(%n: index, %c: index):
    // expected-error @below {{is read as 'f32'}}
    %a = cnn.read 0[%n, %c] : bf16
    %b = arith.extf %a : bf16 to f32
    cnn.yield %b : f32
  }
}

// -----

cnn.model @arguments {
  %x = cnn.input "x" : tensor<?x8xf32>
  // expected-error @below {{the region takes 2 indices}}
  %1 = cnn.indexed "f" %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%n: index):
    %a = cnn.read 0[%n, %n] : f32
    cnn.yield %a : f32
  }
}

// -----

cnn.model @yields {
  %x = cnn.input "x" : tensor<?x8xf32>
  // expected-error @below {{the region yields one 'f32'}}
  %1 = cnn.indexed "f" %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%n: index, %c: index):
    cnn.yield %n : index
  }
}

// -----

cnn.model @sizes {
  %x = cnn.input "x" : tensor<?x8xf32>
  %1 = cnn.indexed "f" %x : (tensor<?x8xf32>) -> tensor<?x8xf32> {
  ^bb0(%n: index, %c: index):
    // expected-error @below {{a size is a number above 0, or -1 for the batch}}
    %s = cnn.reduce sum from [1] size [-1] : f32 {
    ^bb0(%m: index):
      %a = cnn.read 0[%m, %c] : f32
      cnn.yield %a : f32
    }
    cnn.yield %s : f32
  }
}
