// RUN: halcyon-opt %s -split-input-file -verify-diagnostics | halcyon-opt -split-input-file | FileCheck %s

// CHECK-LABEL: cnn.model @ports
cnn.model @ports {
  // CHECK: cnn.input "image" {image = {mean = [5.000000e-01], resize = 28 : i64}} : tensor<?x1x28x28xf32>
  %x = cnn.input "image" {image = {resize = 28 : i64, mean = [0.5]}} : tensor<?x1x28x28xf32>
  // CHECK: cnn.output %{{.*}} "y" {labels = "zero\0Aone"} : tensor<?x1x28x28xf32>
  cnn.output %x "y" {labels = "zero\0Aone"} : tensor<?x1x28x28xf32>
}

// -----

// CHECK-LABEL: cnn.model @fused
cnn.model @fused {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // CHECK: cnn.fused %{{.*}} {reason = "why", schedule = #cnn.schedule<"pool", {rows = 2 : i64}>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32> {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<?x8x6x6xf32>):
  // CHECK-NEXT:   %[[Y:.*]] = cnn.global_avgpool %[[A]]
  // CHECK-NEXT:   cnn.yield %[[Y]] : tensor<?x8x1x1xf32>
  %1 = cnn.fused %x {schedule = #cnn.schedule<"pool", {rows = 2}>, reason = "why"} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32> {
  ^bb0(%a: tensor<?x8x6x6xf32>):
    %y = cnn.global_avgpool %a : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
    cnn.yield %y : tensor<?x8x1x1xf32>
  }
}

// -----

cnn.model @chain_of_anchors {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  %1 = cnn.fused %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32> {
  ^bb0(%a: tensor<?x8x6x6xf32>):
    %s = cnn.softmax %a : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
    %t = cnn.softmax %s : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
    %y = cnn.global_avgpool %t : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
    cnn.yield %y : tensor<?x8x1x1xf32>
  }
}

// -----

cnn.model @anchors_apart {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{has operations with structure none of which reads the other}}
  %1 = cnn.fused %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32> {
  ^bb0(%a: tensor<?x8x6x6xf32>):
    %s = cnn.softmax %a : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
    %y = cnn.global_avgpool %a : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
    cnn.yield %y : tensor<?x8x1x1xf32>
  }
}

// -----

cnn.model @arguments {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{the region's arguments are not the inputs}}
  %1 = cnn.fused %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32> {
  ^bb0(%a: tensor<?x8x5x5xf32>):
    %y = cnn.global_avgpool %a : (tensor<?x8x5x5xf32>) -> tensor<?x8x1x1xf32>
    cnn.yield %y : tensor<?x8x1x1xf32>
  }
}

// -----

cnn.model @results {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{the region yields the results}}
  %1 = cnn.fused %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%a: tensor<?x8x6x6xf32>):
    %y = cnn.global_avgpool %a : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
    cnn.yield %y : tensor<?x8x1x1xf32>
  }
}

// -----

cnn.model @not_a_layer {
  %1 = cnn.fused : () -> tensor<8xf32> {
    // expected-error @below {{can not be part of a kernel}}
    %w = cnn.weight "w" : tensor<8xf32>
    cnn.yield %w : tensor<8xf32>
  }
}

// -----

// CHECK-LABEL: cnn.model @bounded attributes {cnn.max_error = 1.000000e-04 : f64}
cnn.model @bounded attributes {cnn.max_error = 1.0e-4} {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // CHECK: cnn.global_avgpool %{{.*}} {cnn.max_error = 1.000000e-05 : f64}
  %y = cnn.global_avgpool %x {cnn.max_error = 1.0e-5} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  cnn.output %y "y" : tensor<?x8x1x1xf32>
}

// -----

// expected-error @below {{cnn.max_error is an f64 from 1.000000e-07 to 1.000000e+00}}
cnn.model @bound_too_small attributes {cnn.max_error = 1.0e-9} {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  cnn.output %x "y" : tensor<?x8x6x6xf32>
}

// -----

// expected-error @below {{cnn.max_error is an f64 from 1.000000e-07 to 1.000000e+00}}
cnn.model @bound_of_integers attributes {cnn.max_error = 1} {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  cnn.output %x "y" : tensor<?x8x6x6xf32>
}

// -----

cnn.model @nothing_to_bound {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{has no error that cnn.max_error could bound}}
  %y = cnn.flatten %x {cnn.max_error = 1.0e-4} : (tensor<?x8x6x6xf32>) -> tensor<?x288xf32>
  cnn.output %y "y" : tensor<?x288xf32>
}
