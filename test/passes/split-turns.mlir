// RUN: halcyon-opt %s --cnn-split-training | FileCheck %s
//
// Of models in turn each step has its own loss and changes its own weights; norms of the
// others take the batch's statistics, and keep none. One that is called twice keeps both.

cnn.model @gan attributes {cnn.train = {turns = [{name = "d", weights = ["d.weight", "d.bias", "d.running_mean", "d.running_var"]}, {name = "g", weights = ["g.weight", "g.bias", "g.running_mean", "g.running_var"]}]}} {
  %x = cnn.input "image" : tensor<?x4xf32>
  %gw = cnn.weight "g.weight" : tensor<4xf32>
  %gb = cnn.weight "g.bias" : tensor<4xf32>
  %gm = cnn.weight "g.running_mean" : tensor<4xf32>
  %gv = cnn.weight "g.running_var" : tensor<4xf32>
  %dw = cnn.weight "d.weight" : tensor<4xf32>
  %db = cnn.weight "d.bias" : tensor<4xf32>
  %dm = cnn.weight "d.running_mean" : tensor<4xf32>
  %dv = cnn.weight "d.running_var" : tensor<4xf32>
  %0 = cnn.batchnorm %x, %gw, %gb, %gm, %gv : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %s = cnn.stop %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = cnn.batchnorm %x, %dw, %db, %dm, %dv : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %2 = cnn.batchnorm %s, %dw, %db, %dm, %dv : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %3 = cnn.concat %1, %2 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  %4 = cnn.batchnorm %0, %dw, %db, %dm, %dv : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  cnn.output %3 "loss:d" : tensor<?x8xf32>
  cnn.output %4 "loss:g" : tensor<?x4xf32>
  cnn.output %0 "made" : tensor<?x4xf32>
}

// CHECK-LABEL: cnn.model @step1
// CHECK-NOT: cnn.input "param:g{{.*}} {cnn.wrt}
// CHECK: cnn.input "param:d.weight" {cnn.wrt}
// CHECK: %[[OLD:.*]] = cnn.input "param:d.running_mean"
// CHECK: %[[ONCE:.*]] = cnn.map "running" %[[OLD]]
// CHECK: %[[TWICE:.*]] = cnn.map "running" %[[ONCE]]
// CHECK-NOT: "made"
// CHECK: cnn.output %{{.*}} "loss" : tensor<?x8xf32>
// CHECK-NOT: "param:g.running
// CHECK: cnn.output %[[TWICE]] "param:d.running_mean"
// CHECK-LABEL: cnn.model @step2
// CHECK: cnn.input "param:g.weight" {cnn.wrt}
// CHECK-NOT: cnn.input "param:d{{.*}} {cnn.wrt}
// CHECK: cnn.output %{{.*}} "loss" : tensor<?x4xf32>
// CHECK: cnn.output %{{.*}} "made"
// CHECK: cnn.output %{{.*}} "param:g.running_mean"
// CHECK-NOT: "param:d.running
// CHECK-LABEL: cnn.model @eval
// CHECK: cnn.output %{{.*}} "loss:d"
// CHECK: cnn.output %{{.*}} "loss:g"
