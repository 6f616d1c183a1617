// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm="target=x86-64-avx512 algorithm=direct" -cnn-assign-layout=target=x86-64-avx512 -cse -cnn-lower-to-exec=target=x86-64-avx512 | FileCheck %s
// RUN: not halcyon-opt %s -cnn-lower-to-exec=target=vax 2>&1 | FileCheck %s --check-prefix=TARGET
//
// A model becomes a list of kernels, and functions that call them on windows of
// memory: `prepare`, `infer`, and `image.NAME` for inputs that are pictures.

// TARGET: error: unknown target 'vax'

// Groups that are equal, weights and names aside, share a kernel, which is named
// by its content. The weight of both is packed and stored once, at a multiple of
// 64 bytes.
// CHECK-LABEL: exec.program @shared
// CHECK-SAME:  inputs = [{image = {{{.*}}resize = 36 : i64{{.*}}}, name = "image", type = tensor<?x3x6x6xf32>}]
// CHECK-SAME:  outputs = [{name = "y", type = tensor<?x16x6x6xf32>}]
// CHECK-SAME:  weights = 2752 : i64
// CHECK-DAG:   exec.kernel @[[PICTURE:image_[0-9a-f]+]] <"image", {task_kib = {{[0-9]+}} : i64}> {
// CHECK-DAG:   exec.kernel @[[STEM:conv_direct_[0-9a-f]+]] <"direct", {{{.*}}}> {{{[[:space:]]+}}^bb0(%{{.*}}: tensor<?x3x6x6xf32, #cnn.layout<"nchw", halo = [1, 1, 1, 1]>>,
// CHECK-DAG:   exec.kernel @[[CONV:conv_pointwise_[0-9a-f]+|conv_direct_[0-9a-f]+]] <"direct", {{{.*}}}> {{{[[:space:]]+}}^bb0(%{{.*}}: tensor<?x16x6x6xf32, #cnn.layout<"nchw16c">>,
// CHECK-LABEL: exec.function @prepare {
// CHECK:         %[[V:.*]] = cnn.pack %{{.*}} to tensor<16x3x3x3xf32, #cnn.packed<"Ohwi16o">>
// CHECK:         %[[W:.*]] = cnn.pack %{{.*}} to tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>
// CHECK:         exec.store %[[V]] at 0
// CHECK:         exec.store %[[W]] at 1728
// CHECK-NOT:     exec.store
// CHECK-LABEL: exec.function @infer {
// CHECK:         %[[X:.*]] = exec.input {index = 0 : i64}
// CHECK:         %[[IN:.*]] = exec.arena {buffer = [[B3:[0-9]+]] : i64, bytes = 768 : i64} : tensor<?x3x6x6xf32, #cnn.layout<"nchw", halo = [1, 1, 1, 1]>>
// CHECK:         exec.call @relayout_{{[0-9a-f]+}}(%[[X]]) -> (%[[IN]])
// CHECK:         exec.arena {buffer = [[B3]] : i64,
// CHECK:         exec.weights {offset = 0 : i64}
// CHECK:         exec.call @[[STEM]]({{.*}}flops = 3.110400e+04 : f64
// CHECK:         exec.weights {offset = 1728 : i64}
// CHECK:         exec.call @[[CONV]](
// CHECK:         exec.weights {offset = 1728 : i64}
// CHECK:         exec.call @[[CONV]](
// CHECK:         %[[Y:.*]] = exec.output {index = 0 : i64}
// CHECK:         exec.call @relayout_{{[0-9a-f]+}}(%{{.*}}) -> (%[[Y]])
// CHECK-LABEL: exec.function @image.image {
// CHECK:         %[[P:.*]] = exec.picture : tensor<?x?x3xui8>
// CHECK:         %[[I:.*]] = exec.input {index = 0 : i64}
// CHECK:         exec.call @[[PICTURE]](%[[P]]) -> (%[[I]])
cnn.model @shared {
  %x = cnn.input "image" {image = {resize = 36 : i64, mean = array<f64: 0.0, 0.0, 0.0>, std = array<f64: 1.0, 1.0, 1.0>}} : tensor<?x3x6x6xf32>
  %v = cnn.weight "stem.weight" : tensor<16x3x3x3xf32>
  %w = cnn.weight "a.weight" : tensor<16x16x1x1xf32>
  %0 = cnn.conv %x, %v {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x6x6xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x6x6xf32>
  %1 = cnn.conv %0, %w : (tensor<?x16x6x6xf32>, tensor<16x16x1x1xf32>) -> tensor<?x16x6x6xf32>
  %2 = cnn.conv %1, %w : (tensor<?x16x6x6xf32>, tensor<16x16x1x1xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %2 "y" : tensor<?x16x6x6xf32>
}

// Slices are windows on one buffer of 48 channels in blocks, 8 x 8 pixels with the
// halo: the second begins after two blocks. Concatenation is no call.
// CHECK-LABEL: exec.program @slices
// CHECK:     exec.function @infer {
// CHECK:     exec.arena {buffer = [[B:[0-9]+]] : i64, bytes = 12288 : i64} : tensor<?x32x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 40>>
// CHECK:     exec.arena {buffer = [[B]] : i64, bytes = 12288 : i64, offset = 8192 : i64} : tensor<?x8x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 40>>
// CHECK-NOT: exec.call @concat
// CHECK:     exec.arena {buffer = [[B]] : i64, bytes = 12288 : i64} : tensor<?x40x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>
cnn.model @slices {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<32x16x1x1xf32>
  %v1 = cnn.conv %x, %v1w : (tensor<?x16x6x6xf32>, tensor<32x16x1x1xf32>) -> tensor<?x32x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<8x16x1x1xf32>
  %v2 = cnn.conv %x, %v2w : (tensor<?x16x6x6xf32>, tensor<8x16x1x1xf32>) -> tensor<?x8x6x6xf32>
  %v3 = cnn.concat %v1, %v2 : (tensor<?x32x6x6xf32>, tensor<?x8x6x6xf32>) -> tensor<?x40x6x6xf32>
  %v4w = cnn.weight "layer4.weight" : tensor<16x40x3x3xf32>
  %v4 = cnn.conv %v3, %v4w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x40x6x6xf32>, tensor<16x40x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v4 "y0" : tensor<?x16x6x6xf32>
}

// What is joined for an output is written where the caller wants it, and read
// there: the second one begins after three planes of 3 x 3.
// CHECK-LABEL: exec.program @shown
// CHECK:     exec.function @infer {
// CHECK:     exec.call @maxpool_pool_
// CHECK:     exec.output {index = 0 : i64} : tensor<?x3x3x3xf32, #cnn.layout<"nchw", channels = 6>>
// CHECK:     exec.output {index = 0 : i64, offset = 108 : i64} : tensor<?x3x3x3xf32, #cnn.layout<"nchw", channels = 6>>
// CHECK:     exec.call @elementwise_
// CHECK-NOT: exec.call
cnn.model @shown {
  %x = cnn.input "x" : tensor<?x3x6x6xf32>
  %v1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x3x6x6xf32>) -> tensor<?x3x3x3xf32>
  %v2 = cnn.map "relu" %v1 : (tensor<?x3x3x3xf32>) -> tensor<?x3x3x3xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v3 = cnn.map "relu" %v2 : (tensor<?x3x3x3xf32>) -> tensor<?x3x3x3xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v4 = cnn.concat %v2, %v3 : (tensor<?x3x3x3xf32>, tensor<?x3x3x3xf32>) -> tensor<?x6x3x3xf32>
  cnn.output %v4 "y0" : tensor<?x6x3x3xf32>
}

// A map and its flat form are one buffer, here the caller's.
// CHECK-LABEL: exec.program @flat
// CHECK:     exec.function @infer {
// CHECK:     exec.output {index = 0 : i64} : tensor<?x3x5x5xf32, #cnn.layout<"nchw">>
// CHECK:     exec.output {index = 0 : i64} : tensor<?x75xf32>
// CHECK:     exec.output {index = 1 : i64} : tensor<?x4xf32>
// CHECK:     exec.call @linear_
// CHECK-NOT: exec.call
cnn.model @flat {
  %x = cnn.input "x" : tensor<?x3x5x5xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x5x5xf32>) -> tensor<?x3x5x5xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v2 = cnn.flatten %v1 : (tensor<?x3x5x5xf32>) -> tensor<?x75xf32>
  %v3 = cnn.flatten %v1 : (tensor<?x3x5x5xf32>) -> tensor<?x75xf32>
  cnn.output %v1 "y0" : tensor<?x3x5x5xf32>
  %v4w = cnn.weight "layer4.weight" : tensor<4x75xf32>
  %v4 = cnn.linear %v2, %v4w : (tensor<?x75xf32>, tensor<4x75xf32>) -> tensor<?x4xf32>
  cnn.output %v4 "y1" : tensor<?x4xf32>
}

// The other way round: the flat form is the output, and others read the map there.
// CHECK-LABEL: exec.program @shown_flat
// CHECK:     exec.function @infer {
// CHECK:     exec.output {index = 0 : i64} : tensor<?x3x5x5xf32, #cnn.layout<"nchw">>
// CHECK:     exec.call @elementwise_
// CHECK:     exec.output {index = 0 : i64} : tensor<?x3x5x5xf32, #cnn.layout<"nchw">>
// CHECK:     exec.call @maxpool_pool_
// CHECK-NOT: exec.arena
cnn.model @shown_flat {
  %x = cnn.input "x" : tensor<?x3x5x5xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x5x5xf32>) -> tensor<?x3x5x5xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v2 = cnn.flatten %v1 : (tensor<?x3x5x5xf32>) -> tensor<?x75xf32>
  cnn.output %v2 "y0" : tensor<?x75xf32>
  %v3 = cnn.maxpool %v1 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x3x5x5xf32>) -> tensor<?x3x2x2xf32>
  cnn.output %v3 "y1" : tensor<?x3x2x2xf32>
}
