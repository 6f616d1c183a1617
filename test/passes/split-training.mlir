// RUN: halcyon-opt %s --cnn-split-training | FileCheck %s
// RUN: halcyon-opt %s --cnn-split-training=check=true | FileCheck %s --check-prefix=BOTH
//
// Weights become inputs; norms take the batch's statistics in the step and keep
// running ones; dropout is for the step alone.

cnn.model @net attributes {cnn.train = {frozen = ["fc.weight"]}} {
  %x = cnn.input "image" : tensor<?x4x8x8xf32>
  %w = cnn.weight "bn.weight" : tensor<4xf32>
  %b = cnn.weight "bn.bias" : tensor<4xf32>
  %m = cnn.weight "bn.running_mean" : tensor<4xf32>
  %v = cnn.weight "bn.running_var" : tensor<4xf32>
  %f = cnn.weight "fc.weight" : tensor<1x256xf32>
  %0 = cnn.batchnorm %x, %w, %b, %m, %v : (tensor<?x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4x8x8xf32>
  %1 = cnn.dropout %0 : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  %d = cnn.dropout %1 {of = 1 : i32} : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  %r = cnn.random %d : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  %t = cnn.in_training %r, %d : (tensor<?x4x8x8xf32>, tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
  %2 = cnn.flatten %t : (tensor<?x4x8x8xf32>) -> tensor<?x256xf32>
  %3 = cnn.linear %2, %f : (tensor<?x256xf32>, tensor<1x256xf32>) -> tensor<?x1xf32>
  cnn.output %3 "loss" : tensor<?x1xf32>
}

// CHECK-LABEL: cnn.model @step
// CHECK-DAG: %[[SEED:.*]] = cnn.input "train.seed" : tensor<1xi32>
// CHECK-DAG: %[[STEP:.*]] = cnn.input "train.step" : tensor<1xf32>
// CHECK-DAG: cnn.input "param:bn.weight" {cnn.wrt} : tensor<4xf32>
// CHECK-DAG: %[[RM:.*]] = cnn.input "param:bn.running_mean" : tensor<4xf32>
// CHECK-DAG: cnn.input "param:fc.weight" : tensor<1x256xf32>
// CHECK: %[[MEAN:.*]], %[[VAR:.*]] = cnn.batch_stats
// CHECK: %[[NEW:.*]] = cnn.map "running" %[[RM]], %[[MEAN]]
// CHECK: cnn.map "batchnorm" %{{.*}}, %[[MEAN]], %[[VAR]]
// CHECK: %[[DRAWN:.*]] = cnn.uniform %{{.*}}, %[[SEED]], %[[STEP]] {layer = 0 : i64} : {{.*}} -> tensor<?x4x8x8xf32>
// CHECK: cnn.map "dropout" %{{.*}}, %[[DRAWN]]
// Channels and images that are dropped whole draw once, and nothing is drawn twice.
// CHECK: %[[WHOLE:.*]] = cnn.uniform %{{.*}} {layer = 1 : i64} : {{.*}} -> tensor<?x4x1x1xf32>
// CHECK: cnn.map "dropout" %{{.*}}, %[[WHOLE]]
// CHECK: %[[NOISE:.*]] = cnn.uniform %{{.*}} {layer = 2 : i64} : {{.*}} -> tensor<?x4x8x8xf32>
// CHECK: cnn.flatten %[[NOISE]]
// CHECK: cnn.output %{{.*}} "loss"
// CHECK: cnn.output %[[NEW]] "param:bn.running_mean"
// CHECK: cnn.output %{{.*}} "param:bn.running_var"

// CHECK-LABEL: cnn.model @eval
// CHECK-NOT: cnn.wrt
// CHECK-NOT: cnn.batch_stats
// CHECK-NOT: cnn.uniform
// CHECK-NOT: dropout
// CHECK: cnn.map "batchnorm"
// CHECK-NOT: cnn.output {{.*}} "param:

// BOTH-LABEL: cnn.model @step
// BOTH: cnn.input "image" {cnn.wrt}
// BOTH-LABEL: cnn.model @eval
// BOTH-NOT: cnn.wrt
// BOTH: cnn.batch_stats
