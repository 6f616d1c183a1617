// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @boxes
cnn.model @boxes {
  %b = cnn.input "b" : tensor<?x9x4xf32>
  %s = cnn.input "s" : tensor<?x9xf32>
  %t = cnn.weight "t" : tensor<1xf32>
  // CHECK: cnn.suppress %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x9x4xf32>, tensor<?x9xf32>, tensor<1xf32>) -> tensor<?x9xf32>
  %1 = cnn.suppress %b, %s, %t : (tensor<?x9x4xf32>, tensor<?x9xf32>, tensor<1xf32>) -> tensor<?x9xf32>
}

// -----

cnn.model @fewer {
  %b = cnn.input "b" : tensor<?x9x4xf32>
  %s = cnn.input "s" : tensor<?x8xf32>
  %t = cnn.weight "t" : tensor<1xf32>
  // expected-error @below {{has boxes G x n x 4, candidates G x n, one threshold}}
  %1 = cnn.suppress %b, %s, %t : (tensor<?x9x4xf32>, tensor<?x8xf32>, tensor<1xf32>) -> tensor<?x8xf32>
}

// -----

// A value that is stored in bf16 may meet one that is computed beside it.
// CHECK-LABEL: cnn.model @stored
cnn.model @stored {
  %b = cnn.input "b" : tensor<?x9x4xbf16>
  %s = cnn.input "s" : tensor<?x9xf32>
  %t = cnn.weight "t" : tensor<1xf32>
  // CHECK: cnn.suppress {{.*}} : (tensor<?x9x4xbf16>, tensor<?x9xf32>, tensor<1xf32>) -> tensor<?x9xf32>
  %1 = cnn.suppress %b, %s, %t : (tensor<?x9x4xbf16>, tensor<?x9xf32>, tensor<1xf32>) -> tensor<?x9xf32>
  %k = cnn.input "k" : tensor<?x1xbf16>
  // CHECK: cnn.largest {{.*}} : (tensor<?x9xf32>, tensor<?x1xbf16>) -> tensor<?x9xf32>
  %2 = cnn.largest %s, %k : (tensor<?x9xf32>, tensor<?x1xbf16>) -> tensor<?x9xf32>
}

// -----

// CHECK-LABEL: cnn.model @rows
cnn.model @rows {
  %x = cnn.input "x" : tensor<?x9xf64>
  %k = cnn.input "k" : tensor<?x1xf64>
  // CHECK: cnn.largest %{{.*}}, %{{.*}} : (tensor<?x9xf64>, tensor<?x1xf64>) -> tensor<?x9xf64>
  %1 = cnn.largest %x, %k : (tensor<?x9xf64>, tensor<?x1xf64>) -> tensor<?x9xf64>
}

// -----

cnn.model @counts {
  %x = cnn.input "x" : tensor<?x9xf32>
  %k = cnn.input "k" : tensor<?x9xf32>
  // expected-error @below {{has rows G x n and counts G x 1, both of one element type but for storage}}
  %1 = cnn.largest %x, %k : (tensor<?x9xf32>, tensor<?x9xf32>) -> tensor<?x9xf32>
}

// -----

cnn.model @kinds {
  %x = cnn.input "x" : tensor<?x9xf32>
  %k = cnn.input "k" : tensor<?x1xf64>
  // expected-error @below {{has rows G x n and counts G x 1, both of one element type but for storage}}
  %1 = cnn.largest %x, %k : (tensor<?x9xf32>, tensor<?x1xf64>) -> tensor<?x9xf32>
}
