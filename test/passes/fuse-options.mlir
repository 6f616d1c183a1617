// RUN: halcyon-opt %s -cnn-fuse=max-epilogue=1 | FileCheck %s --check-prefix=SHORT
// RUN: halcyon-opt %s -cnn-fuse=enable-prologue=false | FileCheck %s --check-prefix=ALONE
// RUN: halcyon-opt %s -cnn-fuse=max-prologue=0 | FileCheck %s --check-prefix=ALONE
//
// How far groups may grow.

// One elementwise operation may follow; the next one begins a group.
// SHORT:      cnn.fused
// SHORT-NEXT: ^bb0
// SHORT-NEXT:   cnn.map "relu"
// SHORT:        cnn.conv
// SHORT-NEXT:   cnn.map "relu"
// SHORT:        cnn.yield
// SHORT:      cnn.fused
// SHORT-NEXT: ^bb0
// SHORT-NEXT:   cnn.map "relu"

// Without a prologue, what comes before a convolution has its own kernel.
// ALONE:      cnn.fused
// ALONE-NEXT: ^bb0
// ALONE-NEXT:   cnn.map "relu"
// ALONE:        cnn.yield
// ALONE:      cnn.fused
// ALONE-NEXT: ^bb0
// ALONE-NEXT:   cnn.conv
// ALONE-NEXT:   cnn.map "relu"
// ALONE:        cnn.map "relu"
cnn.model @options {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.map "relu" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %2 = cnn.conv %1, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.map "relu" %2 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %4 = cnn.map "relu" %3 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  cnn.output %4 "y" : tensor<?x8x6x6xf32>
}
