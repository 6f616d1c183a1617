// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @linear
cnn.model @linear {
  %x = cnn.input "x" : tensor<?x8xf32>
  %w = cnn.weight "w" : tensor<5x8xf32>
  %b = cnn.weight "b" : tensor<5xf32>
  // CHECK: cnn.linear %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x8xf32>, tensor<5x8xf32>, tensor<5xf32>) -> tensor<?x5xf32>
  %1 = cnn.linear %x, %w, %b : (tensor<?x8xf32>, tensor<5x8xf32>, tensor<5xf32>) -> tensor<?x5xf32>
}

// -----

cnn.model @columns {
  %x = cnn.input "x" : tensor<?x8xf32>
  %w = cnn.weight "w" : tensor<5x7xf32>
  // expected-error @below {{weight has 7 columns, and x 8 features}}
  %1 = cnn.linear %x, %w : (tensor<?x8xf32>, tensor<5x7xf32>) -> tensor<?x5xf32>
}
