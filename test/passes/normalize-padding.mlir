// RUN: halcyon-opt %s -cnn-normalize-padding | FileCheck %s
//
// Whatever way a model pads, there are four numbers of zeros in the end: top,
// left, bottom, right.

// `same` depends on the kernel alone.
// CHECK-LABEL: cnn.model @same
cnn.model @same {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x5x3xf32>
  // CHECK: cnn.conv %{{.*}}, %{{.*}} {pad = array<i64: 2, 1, 2, 1>} :
  %y = cnn.conv %x, %w {auto_pad = 1 : i32} : (tensor<?x8x6x6xf32>, tensor<8x8x5x3xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %y "y" : tensor<?x8x6x6xf32>
}

// Kernel 2, stride 1: one cell, after the input or before it.
// CHECK-LABEL: cnn.model @same_upper_and_lower
cnn.model @same_upper_and_lower {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  // CHECK: cnn.maxpool {{.*}}pad = array<i64: 0, 0, 1, 1>
  %1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 1, 1>, auto_pad = 2 : i32} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  // CHECK: cnn.maxpool {{.*}}pad = array<i64: 1, 1, 0, 0>
  %2 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 1, 1>, auto_pad = 3 : i32} : (tensor<?x8x6x6xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %1 "upper" : tensor<?x8x6x6xf32>
  cnn.output %2 "lower" : tensor<?x8x6x6xf32>
}

// With stride 2 over an even size, the last row and column are never read:
// the padding meets what `same_lower` stands for.
// CHECK-LABEL: cnn.model @padding_in_vain
cnn.model @padding_in_vain {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x3x3xf32>
  // CHECK-COUNT-3: cnn.conv {{.*}} {pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 2, 2>}
  %1 = cnn.conv %x, %w {pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x3x3xf32>
  %2 = cnn.conv %x, %w {auto_pad = 1 : i32, stride = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x3x3xf32>
  %3 = cnn.conv %x, %w {auto_pad = 3 : i32, stride = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x3x3xf32>
  cnn.output %1 "a" : tensor<?x8x3x3xf32>
  cnn.output %2 "b" : tensor<?x8x3x3xf32>
  cnn.output %3 "c" : tensor<?x8x3x3xf32>
}

// A stride that is never taken and the dilation of one tap say nothing.
// CHECK-LABEL: cnn.model @plain_window
cnn.model @plain_window {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "a.weight" : tensor<8x8x6x6xf32>
  %v = cnn.weight "b.weight" : tensor<8x8x1x1xf32>
  // CHECK: cnn.conv %{{[0-9]+}}, %{{[0-9]+}} :
  %1 = cnn.conv %x, %w {stride = array<i64: 6, 6>} : (tensor<?x8x6x6xf32>, tensor<8x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  // CHECK: cnn.conv %{{[0-9]+}}, %{{[0-9]+}} :
  %2 = cnn.conv %x, %v {dilation = array<i64: 2, 2>} : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  // One window that does not fill the map keeps its stride.
  // CHECK: cnn.maxpool {{.*}}stride = array<i64: 4, 4>
  %3 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 4, 4>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x1x1xf32>
  cnn.output %1 "a" : tensor<?x8x1x1xf32>
  cnn.output %2 "b" : tensor<?x8x6x6xf32>
  cnn.output %3 "c" : tensor<?x8x1x1xf32>
}

// Padding never wins a maximum, so `ceil` is padding at the end. A mean counts
// what is padded and not what `ceil` adds: where it has both, `ceil` stays.
// CHECK-LABEL: cnn.model @ceil
cnn.model @ceil {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  // CHECK: cnn.maxpool %{{[0-9]+}} {kernel = array<i64: 3, 3>, pad = array<i64: 0, 0, 1, 1>, stride = array<i64: 2, 2>}
  %1 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 2, 2>, ceil = true} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
  // CHECK: cnn.avgpool %{{[0-9]+}} {count_pad = false, kernel = array<i64: 3, 3>, pad = array<i64: 0, 0, 1, 1>, stride = array<i64: 2, 2>}
  %2 = cnn.avgpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 2, 2>, ceil = true} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
  // CHECK: cnn.avgpool %{{[0-9]+}} {ceil = true, kernel = array<i64: 4, 4>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 3, 3>}
  %3 = cnn.avgpool %x {kernel = array<i64: 4, 4>, stride = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, ceil = true} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
  // A window that would overhang nothing: plain.
  // CHECK: cnn.avgpool %{{[0-9]+}} {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>}
  %4 = cnn.avgpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, ceil = true} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
  cnn.output %1 "a" : tensor<?x8x3x3xf32>
  cnn.output %2 "b" : tensor<?x8x3x3xf32>
  cnn.output %3 "c" : tensor<?x8x3x3xf32>
  cnn.output %4 "d" : tensor<?x8x3x3xf32>
}

// A border that is not zero is a tensor of its own.
// CHECK-LABEL: cnn.model @reflect
cnn.model @reflect {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "a.weight" : tensor<8x8x3x3xf32>
  %v = cnn.weight "b.weight" : tensor<8x8x1x1xf32>
  // CHECK: %[[PADDED:.*]] = cnn.pad %{{.*}} {mode = 1 : i32, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x8x8xf32>
  // CHECK: cnn.conv %[[PADDED]], %{{[0-9]+}} : (tensor<?x8x8x8xf32>
  %1 = cnn.conv %x, %w {auto_pad = 1 : i32, pad_mode = 1 : i32} : (tensor<?x8x6x6xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x6x6xf32>
  // Where nothing is padded, the mode says nothing.
  // CHECK: cnn.conv %{{[0-9]+}}, %{{[0-9]+}} : (tensor<?x8x6x6xf32>
  %2 = cnn.conv %x, %v {auto_pad = 1 : i32, pad_mode = 1 : i32} : (tensor<?x8x6x6xf32>, tensor<8x8x1x1xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %1 "a" : tensor<?x8x6x6xf32>
  cnn.output %2 "b" : tensor<?x8x6x6xf32>
}

// Zeros around a map are padding of what reads it.
// CHECK-LABEL: cnn.model @explicit
cnn.model @explicit {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  %w = cnn.weight "conv.weight" : tensor<8x8x3x3xf32>
  %p = cnn.pad %x {pad = array<i64: 0, 0, 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x7x7xf32>
  // CHECK: cnn.conv %{{.*}} {pad = array<i64: 1, 1, 2, 2>} : (tensor<?x8x6x6xf32>
  %1 = cnn.conv %p, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x8x7x7xf32>, tensor<8x8x3x3xf32>) -> tensor<?x8x7x7xf32>
  // CHECK: cnn.avgpool %{{.*}} {kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 1, 1>, stride = array<i64: 1, 1>} : (tensor<?x8x6x6xf32>
  %2 = cnn.avgpool %p {kernel = array<i64: 2, 2>, stride = array<i64: 1, 1>, count_pad = false} : (tensor<?x8x7x7xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %1 "a" : tensor<?x8x7x7xf32>
  cnn.output %2 "b" : tensor<?x8x6x6xf32>
}

// A zero may win a maximum, so it stays a value.
// CHECK-LABEL: cnn.model @explicit_before_maximum
cnn.model @explicit_before_maximum {
  %x = cnn.input "image" : tensor<?x8x6x6xf32>
  // CHECK: %[[PADDED:.*]] = cnn.pad
  // CHECK: cnn.maxpool %[[PADDED]]
  %p = cnn.pad %x {pad = array<i64: 0, 0, 1, 1>} : (tensor<?x8x6x6xf32>) -> tensor<?x8x7x7xf32>
  %y = cnn.maxpool %p {kernel = array<i64: 2, 2>, stride = array<i64: 1, 1>} : (tensor<?x8x7x7xf32>) -> tensor<?x8x6x6xf32>
  cnn.output %y "y" : tensor<?x8x6x6xf32>
}
