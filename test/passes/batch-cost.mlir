// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=x86-64-avx512 | FileCheck %s
//
// Costs are for one image. Four megabytes of weights, or of their gradient, come from
// memory for each picture where one comes at a time; a training step's share them.

// CHECK-LABEL: cnn.model @single
// CHECK: cnn.fused {{.*}}linear 0.1{{[0-9]+}} ms"
// CHECK: cnn.fused {{.*}}linear_weight_grad 0.1{{[0-9]+}} ms"
cnn.model @single {
  %x = cnn.input "x" : tensor<?x1024xf32>
  %dy = cnn.input "dy" : tensor<?x1024xf32>
  %w = cnn.weight "w" : tensor<1024x1024xf32>
  %0 = cnn.linear %x, %w : (tensor<?x1024xf32>, tensor<1024x1024xf32>) -> tensor<?x1024xf32>
  %1 = cnn.linear_weight_grad %x, %dy : (tensor<?x1024xf32>, tensor<?x1024xf32>) -> tensor<1024x1024xf32>
  cnn.output %0 "0" : tensor<?x1024xf32>
  cnn.output %1 "1" : tensor<1024x1024xf32>
}

// CHECK-LABEL: cnn.model @step
// CHECK: cnn.fused {{.*}}linear 0.0{{[0-9]+}} ms"
// CHECK: cnn.fused {{.*}}linear_weight_grad 0.0{{[0-9]+}} ms"
cnn.model @step attributes {cnn.train = {batch = 64 : i64}} {
  %x = cnn.input "x" : tensor<?x1024xf32>
  %dy = cnn.input "dy" : tensor<?x1024xf32>
  %w = cnn.weight "w" : tensor<1024x1024xf32>
  %0 = cnn.linear %x, %w : (tensor<?x1024xf32>, tensor<1024x1024xf32>) -> tensor<?x1024xf32>
  %1 = cnn.linear_weight_grad %x, %dy : (tensor<?x1024xf32>, tensor<?x1024xf32>) -> tensor<1024x1024xf32>
  cnn.output %0 "0" : tensor<?x1024xf32>
  cnn.output %1 "1" : tensor<1024x1024xf32>
}
