// RUN: halcyon-opt %s -cnn-cut-weights=most=1024 | FileCheck %s
// RUN: halcyon-opt %s -cnn-cut-weights=target=vulkan | FileCheck %s --check-prefix=WHOLE
//
// A dense layer whose weights a device can't bind becomes several, each of some outputs.

// CHECK-LABEL: cnn.model @dense
// CHECK-DAG: %[[A:.*]] = cnn.weight "fc.weight" {cnn.rows = array<i64: 0, 10>} : tensor<4x64xf32>
// CHECK-DAG: %[[AB:.*]] = cnn.weight "fc.bias" {cnn.rows = array<i64: 0, 10>} : tensor<4xf32>
// CHECK-DAG: %[[C:.*]] = cnn.weight "fc.weight" {cnn.rows = array<i64: 8, 10>} : tensor<2x64xf32>
// CHECK-DAG: %[[CB:.*]] = cnn.weight "fc.bias" {cnn.rows = array<i64: 8, 10>} : tensor<2xf32>
// CHECK-DAG: %[[P:.*]] = cnn.linear %{{.*}}, %[[A]], %[[AB]] {cnn.max_error = 1.000000e-02 : f64}
// CHECK-DAG: %[[Q:.*]] = cnn.linear %{{.*}}, %[[C]], %[[CB]] {cnn.max_error = 1.000000e-02 : f64}
// CHECK: cnn.concat %[[P]], %{{.*}}, %[[Q]] {{.*}}-> tensor<?x10xf32>
// WHOLE: cnn.linear {{.*}} -> tensor<?x10xf32>
cnn.model @dense {
  %x = cnn.input "x" : tensor<?x64xf32>
  %w = cnn.weight "fc.weight" : tensor<10x64xf32>
  %b = cnn.weight "fc.bias" : tensor<10xf32>
  %1 = cnn.linear %x, %w, %b {cnn.max_error = 1.0e-2 : f64} : (tensor<?x64xf32>, tensor<10x64xf32>, tensor<10xf32>) -> tensor<?x10xf32>
  cnn.output %1 "y" : tensor<?x10xf32>
}

// What fits stays as it is.
// CHECK-LABEL: cnn.model @small
// CHECK: cnn.linear {{.*}} -> tensor<?x4xf32>
// CHECK-NOT: cnn.concat
cnn.model @small {
  %x = cnn.input "x" : tensor<?x64xf32>
  %w = cnn.weight "fc.weight" : tensor<4x64xf32>
  %1 = cnn.linear %x, %w : (tensor<?x64xf32>, tensor<4x64xf32>) -> tensor<?x4xf32>
  cnn.output %1 "y" : tensor<?x4xf32>
}
