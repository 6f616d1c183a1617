// RUN: halcyon-opt %s -cnn-fold-batchnorm | FileCheck %s
//
// Batch normalisation is x * s + t with s = weight / sqrt(running_var + eps)
// and t = bias - running_mean * s. Both are known when the program is made.

// conv(x, w) * s + t = conv(x, s w) + t
// CHECK-LABEL: cnn.model @conv
// CHECK-DAG:  %[[X:.*]] = cnn.input
// CHECK-DAG:  %[[W:.*]] = cnn.weight "conv.weight"
// CHECK-DAG:  %[[G:.*]] = cnn.weight "bn.weight"
// CHECK-DAG:  %[[B:.*]] = cnn.weight "bn.bias"
// CHECK-DAG:  %[[M:.*]] = cnn.weight "bn.running_mean"
// CHECK-DAG:  %[[V:.*]] = cnn.weight "bn.running_var"
// CHECK:      %[[S:.*]] = cnn.norm_scale %[[G]], %[[V]] {eps = 1.000000e-03 : f64}
// CHECK-NEXT: %[[T:.*]] = cnn.norm_shift %[[B]], %[[M]], %[[S]]
// CHECK-NEXT: %[[SW:.*]] = cnn.scale_filter %[[W]], %[[S]] {axis = 0 : i64}
// CHECK-NEXT: %[[Y:.*]] = cnn.conv %[[X]], %[[SW]], %[[T]] {pad = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: cnn.output %[[Y]]
cnn.model @conv {
  %x = cnn.input "image" : tensor<?x3x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x3x3x3xf32>
  %1 = cnn.conv %x, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x6x6xf32>, tensor<8x3x3x3xf32>) -> tensor<?x8x6x6xf32>
  %g = cnn.weight "bn.weight" : tensor<8xf32>
  %b = cnn.weight "bn.bias" : tensor<8xf32>
  %m = cnn.weight "bn.running_mean" : tensor<8xf32>
  %v = cnn.weight "bn.running_var" : tensor<8xf32>
  %2 = cnn.batchnorm %1, %g, %b, %m, %v {eps = 1.0e-3 : f64} : (tensor<?x8x6x6xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %2 "y" : tensor<?x8x6x6xf32>
}

// A bias b becomes s b + t. The channels of a dense layer are its weight's
// rows; those of a transposed convolution lie along axis 1, in groups.
// CHECK-LABEL: cnn.model @linear
// CHECK: %[[S:.*]] = cnn.norm_scale
// CHECK: %[[T:.*]] = cnn.norm_shift
// CHECK: %[[SW:.*]] = cnn.scale_filter %{{.*}}, %[[S]] {axis = 0 : i64}
// CHECK: %[[SB:.*]] = cnn.affine_bias %{{.*}}, %[[S]], %[[T]]
// CHECK: cnn.linear %{{.*}}, %[[SW]], %[[SB]]
cnn.model @linear {
  %x = cnn.input "features" : tensor<?x4xf32>
  %w = cnn.weight "fc.weight" : tensor<8x4xf32>
  %b = cnn.weight "fc.bias" : tensor<8xf32>
  %n = cnn.weight "bn" : tensor<8xf32>
  %1 = cnn.linear %x, %w, %b : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %2 = cnn.batchnorm %1, %n, %n, %n, %n : (tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  cnn.output %2 "y" : tensor<?x8xf32>
}

// CHECK-LABEL: cnn.model @conv_transpose
// CHECK: cnn.scale_filter %{{.*}}, %{{.*}} {axis = 1 : i64, groups = 2 : i64}
// CHECK-NOT: cnn.batchnorm
cnn.model @conv_transpose {
  %x = cnn.input "image" : tensor<?x4x6x6xf32>
  %w = cnn.weight "up.weight" : tensor<4x3x2x2xf32>
  %n = cnn.weight "bn" : tensor<6xf32>
  %1 = cnn.conv_transpose %x, %w {stride = array<i64: 2, 2>, groups = 2 : i64} : (tensor<?x4x6x6xf32>, tensor<4x3x2x2xf32>) -> tensor<?x6x12x12xf32>
  %2 = cnn.batchnorm %1, %n, %n, %n, %n : (tensor<?x6x12x12xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<?x6x12x12xf32>
  cnn.output %2 "y" : tensor<?x6x12x12xf32>
}

// The second of two normalisations finds the first one folded.
// CHECK-LABEL: cnn.model @twice
// CHECK: %[[W1:.*]] = cnn.scale_filter
// CHECK: %[[T2:.*]] = cnn.norm_shift
// CHECK: cnn.scale_filter %[[W1]]
// CHECK: cnn.affine_bias %{{.*}}, %{{.*}}, %[[T2]]
// CHECK: cnn.conv
// CHECK-NEXT: cnn.output
cnn.model @twice {
  %x = cnn.input "image" : tensor<?x3x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x3x1x1xf32>
  %n = cnn.weight "bn1" : tensor<8xf32>
  %o = cnn.weight "bn2" : tensor<8xf32>
  %1 = cnn.conv %x, %w : (tensor<?x3x6x6xf32>, tensor<8x3x1x1xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.batchnorm %1, %n, %n, %n, %n : (tensor<?x8x6x6xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  %3 = cnn.batchnorm %2, %o, %o, %o, %o : (tensor<?x8x6x6xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %3 "y" : tensor<?x8x6x6xf32>
}

// Someone else reads the convolution: the normalisation is elementwise.
// CHECK-LABEL: cnn.model @shared
// CHECK: %[[S:.*]] = cnn.norm_scale
// CHECK: %[[T:.*]] = cnn.norm_shift
// CHECK: %[[N:.*]] = cnn.map "scale_shift" %[[Y:[0-9]+]], %[[S]], %[[T]] :
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[SCALE:.*]]: f32, %[[SHIFT:.*]]: f32):
// CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[A]], %[[SCALE]] : f32
// CHECK-NEXT:   %[[Q:.*]] = arith.addf %[[P]], %[[SHIFT]] : f32
// CHECK-NEXT:   cnn.yield %[[Q]] : f32
// CHECK: cnn.output %[[Y]]
// CHECK: cnn.output %[[N]]
cnn.model @shared {
  %x = cnn.input "image" : tensor<?x3x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x3x1x1xf32>
  %n = cnn.weight "bn" : tensor<8xf32>
  %1 = cnn.conv %x, %w : (tensor<?x3x6x6xf32>, tensor<8x3x1x1xf32>) -> tensor<?x8x6x6xf32>
  %2 = cnn.batchnorm %1, %n, %n, %n, %n : (tensor<?x8x6x6xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %1 "raw" : tensor<?x8x6x6xf32>
  cnn.output %2 "normal" : tensor<?x8x6x6xf32>
}
