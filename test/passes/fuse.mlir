// RUN: halcyon-opt %s -cnn-fuse | FileCheck %s
//
// Each `cnn.fused` is one kernel: an operation with structure and the
// elementwise operations around it.

// The end of a residual block. Both operands of the addition are convolutions;
// the later one takes it, and the activation after it.
// CHECK-LABEL: cnn.model @residual
// CHECK:      %[[X:.*]] = cnn.input
// CHECK:      %[[SKIP:.*]] = cnn.fused %[[X]], %{{.*}} : {{.*}} {
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv
// CHECK-NEXT:   cnn.yield
// CHECK:      %[[Y:.*]] = cnn.fused %[[X]], %{{[0-9]+}}, %{{[0-9]+}}, %[[SKIP]] : {{.*}} {
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<?x8x6x6xf32>, %[[W:.*]]: tensor<8x8x3x3xf32>, %[[B:.*]]: tensor<8xf32>, %[[S:.*]]: tensor<?x8x6x6xf32>):
// CHECK-NEXT:   %[[CONV:.*]] = cnn.conv %[[A]], %[[W]], %[[B]]
// CHECK-NEXT:   %[[ADD:.*]] = cnn.map "add" %[[CONV]], %[[S]]
// CHECK:        %[[RELU:.*]] = cnn.map "relu" %[[ADD]]
// CHECK:        cnn.yield %[[RELU]] : tensor<?x8x6x6xf32>
// CHECK:      cnn.output %[[Y]]
cnn.model @residual {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %v = cnn.weight "downsample.weight" : tensor<8x8x1x1xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x3x3xf32>
  %b = cnn.weight "conv.bias" : tensor<8xf32>
  %skip = cnn.conv %x, %v : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %1 = cnn.conv %x, %w, %b {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.map "add" %1, %skip : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    cnn.yield %s : f32
  }
  %3 = cnn.map "relu" %2 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}

// x * sigmoid(x), written as two operations: both readers of the convolution
// are in the group, so all three are one kernel.
// CHECK-LABEL: cnn.model @diamond
// CHECK:      cnn.fused
// CHECK:        %[[CONV:.*]] = cnn.conv
// CHECK:        %[[GATE:.*]] = cnn.map "sigmoid" %[[CONV]]
// CHECK:        cnn.map "mul" %[[CONV]], %[[GATE]]
// CHECK-NOT:  cnn.fused
// CHECK:      cnn.output
cnn.model @diamond {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.conv %x, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.map "sigmoid" %1 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %p : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %r = arith.divf %one, %d : f32
    cnn.yield %r : f32
  }
  %3 = cnn.map "mul" %1, %2 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.mulf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}

// DenseNet: others read the concatenation too, so the norm and the activation
// can't join what made it. The pointwise convolution computes them on its way.
// CHECK-LABEL: cnn.model @dense_layer
// CHECK:      %[[ALL:.*]] = cnn.concat
// CHECK:      %[[NEW:.*]] = cnn.fused %[[ALL]], %{{.*}}, %{{.*}}, %{{.*}} : {{.*}} {
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<?x16x6x6xf32>, %[[S:.*]]: tensor<16xf32>, %[[T:.*]]: tensor<16xf32>, %[[W:.*]]: tensor<8x16x1x1xf32>):
// CHECK-NEXT:   %[[NORM:.*]] = cnn.map "scale_shift" %[[X]], %[[S]], %[[T]]
// CHECK:        %[[RELU:.*]] = cnn.map "relu" %[[NORM]]
// CHECK:        cnn.conv %[[RELU]], %[[W]]
// CHECK:      cnn.concat %[[ALL]], %[[NEW]]
cnn.model @dense_layer {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %y = cnn.input "other" : tensor<?x8x6x6xf32>
  %s = cnn.weight "scale" : tensor<16xf32>
  %t = cnn.weight "shift" : tensor<16xf32>
  %w = cnn.weight "conv.weight" : tensor<8x16x1x1xf32>
  %all = cnn.concat %x, %y : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x16x6x6xf32>
  %1 = cnn.map "scale_shift" %all, %s, %t : (tensor<?x16x6x6xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<?x16x6x6xf32> {
  ^bb0(%a: f32, %scale: f32, %shift: f32):
    %p = arith.mulf %a, %scale : f32
    %q = arith.addf %p, %shift : f32
    cnn.yield %q : f32
  }
  %2 = cnn.map "relu" %1 : (tensor<?x16x6x6xf32>) -> tensor<?x16x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %3 = cnn.conv %2, %w : (tensor<?x16x6x6xf32>, tensor<8x16x1x1xf32>) -> tensor<?x8x6x6xf32>
  %4 = cnn.concat %all, %3 : (tensor<?x16x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x24x6x6xf32>
  cnn.output %4 "y" : tensor<?x24x6x6xf32>
}

// Squeeze and excite: the gate depends on the map that it scales, so the
// product can't be the end of the kernel that makes the map. It is the
// beginning of the next one.
// CHECK-LABEL: cnn.model @squeeze_excite
// CHECK:      %[[X:.*]] = cnn.input
// CHECK:      %[[MAP:.*]] = cnn.fused %[[X]],
// CHECK:        cnn.conv {{.*}} {groups = 8 : i64
// CHECK:      %[[MEAN:.*]] = cnn.fused %[[MAP]]
// CHECK:        cnn.global_avgpool
// CHECK:      %[[GATE:.*]] = cnn.fused %[[MEAN]],
// CHECK:        cnn.conv
// CHECK:        cnn.map "relu"
// CHECK:      cnn.fused %[[MAP]], %[[GATE]], %{{.*}} : {{.*}} {
// CHECK-NEXT: ^bb0(%[[M:.*]]: tensor<?x8x6x6xf32>, %[[G:.*]]: tensor<?x8x1x1xf32>,
// CHECK-NEXT:   %[[SCALED:.*]] = cnn.map "mul" %[[M]], %[[G]]
// CHECK:        cnn.conv %[[SCALED]],
cnn.model @squeeze_excite {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %d = cnn.weight "depthwise.weight" : tensor<8x1x3x3xf32>
  %v = cnn.weight "fc.weight" : tensor<8x8x1x1xf32>
  %w = cnn.weight "project.weight" : tensor<4x8x1x1xf32>
  %1 = cnn.conv %x, %d {groups = 8 : i64, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>, tensor<8x1x3x3xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.global_avgpool %1 : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  %3 = cnn.conv %2, %v : (tensor<?x8x1x1xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x1x1xf32>
  %4 = cnn.map "relu" %3 : (tensor<?x8x1x1xf32>) -> tensor<?x8x1x1xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %5 = cnn.map "mul" %1, %4 : (tensor<?x8x6x6xf32>, tensor<?x8x1x1xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.mulf %p, %q : f32
    cnn.yield %s : f32
  }
  %6 = cnn.conv %5, %w : (tensor<?x8x6x6xf32>, tensor<4x8x1x1xf32>) -> tensor<?x4x6x6xf32>
  cnn.output %6 "y" : tensor<?x4x6x6xf32>
}

// A convolution that feeds a broadcast would be computed once per pixel: the
// group of the gate ends before the product, which has its own kernel.
// CHECK-LABEL: cnn.model @no_work_twice
// CHECK:      %[[GATE:.*]] = cnn.fused
// CHECK:        cnn.conv
// CHECK-NEXT:   cnn.yield
// CHECK:      cnn.fused %{{.*}}, %[[GATE]]
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.map "mul"
cnn.model @no_work_twice {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %z = cnn.input "code" : tensor<?x8x1x1xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.conv %z, %w : (tensor<?x8x1x1xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x1x1xf32>
  %2 = cnn.map "mul" %x, %1 : (tensor<?x8x6x6xf32>, tensor<?x8x1x1xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.mulf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %2 "y" : tensor<?x8x6x6xf32>
}

// Inception: each branch ends in its own kernel; joining and flattening are
// not kernels.
// CHECK-LABEL: cnn.model @branches
// CHECK:      %[[A:.*]] = cnn.fused
// CHECK:        cnn.conv
// CHECK:        cnn.map "relu"
// CHECK:      %[[B:.*]] = cnn.fused
// CHECK:        cnn.maxpool
// CHECK:      %[[C:.*]] = cnn.concat %[[A]], %[[B]]
// CHECK-NEXT: %[[F:.*]] = cnn.flatten %[[C]]
// CHECK-NEXT: cnn.output %[[F]]
cnn.model @branches {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.conv %x, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.map "relu" %1 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %3 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  %4 = cnn.concat %2, %3 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x16x6x6xf32>
  %5 = cnn.flatten %4 : (tensor<?x16x6x6xf32>) -> tensor<?x576xf32>
  cnn.output %5 "y" : tensor<?x576xf32>
}

// U-Net: the skip is read twice, so its kernel ends where both readers can
// have it.
// CHECK-LABEL: cnn.model @skip
// CHECK:      %[[SKIP:.*]] = cnn.fused
// CHECK:        cnn.conv
// CHECK:        cnn.map "relu"
// CHECK:      %[[DOWN:.*]] = cnn.fused %[[SKIP]]
// CHECK:        cnn.maxpool
// CHECK:      %[[UP:.*]] = cnn.fused %[[DOWN]],
// CHECK:        cnn.conv_transpose
// CHECK:      cnn.concat %[[UP]], %[[SKIP]]
cnn.model @skip {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %u = cnn.weight "up.weight" : tensor<8x8x2x2xf32>
  %1 = cnn.conv %x, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.map "relu" %1 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %3 = cnn.maxpool %2 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
  %4 = cnn.conv_transpose %3, %u {stride = array<i64: 2, 2>} : (tensor<?x8x3x3xf32>, tensor<8x8x2x2xf32>) -> tensor<?x8x6x6xf32>
  %5 = cnn.concat %4, %2 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %5 "y" : tensor<?x16x6x6xf32>
}

// An elementwise operation before the convolution that only the sum reads
// comes after the convolution in the region: it is no prologue.
// CHECK-LABEL: cnn.model @two_operands
// CHECK:      cnn.fused %[[X:.*]], %{{.*}}, %[[X2:.*]] :
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   %[[CONV:.*]] = cnn.conv
// CHECK-NEXT:   %[[RELU:.*]] = cnn.map "relu"
// CHECK:        cnn.map "add" %[[CONV]], %[[RELU]]
// CHECK-NOT:  cnn.fused
// CHECK:      cnn.output
cnn.model @two_operands {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %y = cnn.input "other" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.map "relu" %y : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %2 = cnn.conv %x, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.map "add" %2, %1 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}

// What the convolution reads and its end reads again stays before it.
// CHECK-LABEL: cnn.model @before_and_after
// CHECK:      %[[MAP:.*]] = cnn.fused
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.map "relu"
// CHECK:      cnn.fused %[[MAP]], %{{.*}} :
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv
// CHECK-NEXT:   cnn.map "add"
cnn.model @before_and_after {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x1x1xf32>
  %1 = cnn.map "relu" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %2 = cnn.conv %1, %w : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.map "add" %2, %1 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}

// The border of a padded convolution is zero, that of the map before it is not:
// the map has its own kernel, whatever follows the convolution.
// CHECK-LABEL: cnn.model @own_border
// CHECK:      %[[MAP:.*]] = cnn.fused
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.map "exp"
// CHECK:      cnn.fused %[[MAP]], %{{.*}} :
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv
// CHECK-NEXT:   cnn.map "exp"
cnn.model @own_border {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x3x3xf32>
  %1 = cnn.map "exp" %x : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %m = math.exp %p : f32
    cnn.yield %m : f32
  }
  %2 = cnn.conv %1, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.map "exp" %2 : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32> {
  ^bb0(%p: f32):
    %m = math.exp %p : f32
    cnn.yield %m : f32
  }
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}
