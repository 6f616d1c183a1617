// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @norms
cnn.model @norms {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %n = cnn.weight "n" : tensor<8xf32>
  // CHECK: cnn.batchnorm %{{.*}} {eps = 1.000000e-03 : f64} :
  %1 = cnn.batchnorm %x, %n, %n, %n, %n {eps = 1.0e-3 : f64} : (tensor<?x8x6x6xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  // CHECK: cnn.softmax %{{.*}} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.softmax %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
}

// -----

cnn.model @wrong_shape {
  %x = cnn.input "x" : tensor<?x8xf32>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x8xf32>' are incompatible}}
  %1 = cnn.softmax %x : (tensor<?x8xf32>) -> tensor<?x9xf32>
}
