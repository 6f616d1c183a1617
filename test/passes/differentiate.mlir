// RUN: halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-differentiate))' | FileCheck %s
// RUN: halcyon-opt %s --pass-pipeline='builtin.module(cnn.model(cnn-differentiate{derived=true}))' | FileCheck %s --check-prefix=DERIVED
//
// Gradients of the mean loss with respect to the marked inputs. A convolution's
// are convolutions, an elementwise function's holds its derivative, a pool's is
// derived from the pool.

// CHECK-LABEL: cnn.model @net
// DERIVED-LABEL: cnn.model @net
cnn.model @net {
  %x = cnn.input "image" : tensor<?x3x8x8xf32>
  %w = cnn.input "param:conv.weight" {cnn.wrt} : tensor<4x3x3x3xf32>
  %b = cnn.input "param:conv.bias" {cnn.wrt} : tensor<4xf32>
  %f = cnn.input "param:fc.weight" {cnn.wrt} : tensor<1x64xf32>
  // The image is not marked: nothing is computed for it.
  %0 = cnn.conv %x, %w, %b {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>) -> tensor<?x4x8x8xf32>
  %1 = cnn.map "relu" %0 : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32> {
  ^bb0(%a: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %a, %zero : f32
    cnn.yield %m : f32
  }
  %2 = cnn.maxpool %1 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x4x8x8xf32>) -> tensor<?x4x4x4xf32>
  %3 = cnn.flatten %2 : (tensor<?x4x4x4xf32>) -> tensor<?x64xf32>
  %4 = cnn.linear %3, %f : (tensor<?x64xf32>, tensor<1x64xf32>) -> tensor<?x1xf32>
  cnn.output %4 "loss" : tensor<?x1xf32>
}

// The mean over the batch.
// CHECK: %[[N:.*]] = cnn.count %[[LOSS:[0-9]+]] : (tensor<?x1xf32>) -> tensor<1xf32>
// CHECK: %[[SEED:.*]] = cnn.map "seed" %[[LOSS]], %[[N]]
// CHECK: %[[BACK:.*]] = cnn.adjoint_filter %{{.*}} : (tensor<1x64xf32>) -> tensor<64x1xf32>
// CHECK: %[[DFLAT:.*]] = cnn.linear %[[SEED]], %[[BACK]]
// CHECK: %[[DFC:.*]] = cnn.linear_weight_grad %{{.*}}, %[[SEED]]
// CHECK: %[[DPOOL:.*]] = cnn.unflatten %[[DFLAT]]
// CHECK: %[[DRELU:.*]] = cnn.adjoint [0] of %{{.*}}, %[[DPOOL]]
// CHECK: cnn.maxpool
// CHECK: %[[DCONV:.*]] = cnn.map "relu.grad" %{{.*}}, %[[DRELU]]
// CHECK: cnn.derivative 0 of
// CHECK-NOT: cnn.conv %
// CHECK: %[[DW:.*]] = cnn.conv_weight_grad %{{.*}}, %[[DCONV]] {pad = array<i64: 1, 1>}
// CHECK: %[[DB:.*]] = cnn.sum %[[DCONV]] : (tensor<?x4x8x8xf32>) -> tensor<4xf32>
// CHECK-DAG: cnn.output %[[DW]] "grad:conv.weight"
// CHECK-DAG: cnn.output %[[DB]] "grad:conv.bias"
// CHECK-DAG: cnn.output %[[DFC]] "grad:fc.weight"

// DERIVED-NOT: cnn.conv_weight_grad
// DERIVED: cnn.adjoint [0, 1] of
// DERIVED: cnn.linear
// DERIVED: cnn.adjoint [1, 2] of
// DERIVED: cnn.conv
