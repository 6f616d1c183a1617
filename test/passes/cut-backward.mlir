// RUN: halcyon-opt %s --pass-pipeline='builtin.module(cnn-split-training{autograd=true},cnn.model(cnn-differentiate),cnn-cut-backward)' | FileCheck %s
//
// The backward pass gets the gradient of the output and what the forward pass saved; the
// activation is computed again. Both modes are there where they differ.

cnn.model @net {
  %x = cnn.input "image" : tensor<?x3x8x8xf32>
  %f = cnn.weight "conv.weight" : tensor<4x3x1x1xf32>
  %w = cnn.weight "bn.weight" : tensor<4xf32>
  %b = cnn.weight "bn.bias" : tensor<4xf32>
  %m = cnn.weight "bn.running_mean" : tensor<4xf32>
  %v = cnn.weight "bn.running_var" : tensor<4xf32>
  %0 = cnn.conv %x, %f : (tensor<?x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<?x4x8x8xf32>
  %1 = cnn.batchnorm %0, %w, %b, %m, %v : (tensor<?x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x8x8xf32>
  %2 = cnn.maxpool %1 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x4x8x8xf32>) -> tensor<?x4x4x4xf32>
  cnn.output %2 "y" : tensor<?x4x4x4xf32>
}

// CHECK-LABEL: cnn.model @net_training_forward
// CHECK-NOT: cotangent
// CHECK-DAG: cnn.input "in:image" : tensor
// CHECK-DAG: cnn.input "param:conv.weight" : tensor
// CHECK: %[[CONV:.*]] = cnn.conv
// CHECK: cnn.batch_stats %[[CONV]]
// CHECK-DAG: cnn.output %{{.*}} "out:y"
// CHECK-DAG: cnn.output %{{.*}} "param:bn.running_mean"
// CHECK-DAG: cnn.output %[[CONV]] "saved:{{[0-9]}}"

// CHECK-LABEL: cnn.model @net_training_backward
// CHECK-NOT: cnn.conv %
// CHECK-NOT: cnn.batch_stats
// CHECK-DAG: %[[SAVED:.*]] = cnn.input "saved:{{[0-9]}}" : tensor<?x4x8x8xf32>
// CHECK-DAG: %[[DY:.*]] = cnn.input "cotangent:y" : tensor<?x4x4x4xf32>
// CHECK: %[[NORM:.*]] = cnn.map "batchnorm" %[[SAVED]]
// CHECK-DAG: cnn.output %{{.*}} "grad:in:image" : tensor<?x3x8x8xf32>
// CHECK-DAG: cnn.output %{{.*}} "grad:conv.weight" : tensor<4x3x1x1xf32>
// CHECK-DAG: cnn.output %{{.*}} "grad:bn.weight" : tensor<4xf32>
// CHECK-NOT: "grad:bn.running

// CHECK-LABEL: cnn.model @net_inference_forward
// CHECK-NOT: cnn.batch_stats
// CHECK-NOT: cnn.output {{.*}} "param:
// CHECK-LABEL: cnn.model @net_inference_backward
// CHECK: cnn.output %{{.*}} "grad:conv.weight"
