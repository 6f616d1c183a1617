// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm="target=x86-64-avx512 algorithm=direct" -cnn-assign-layout=target=x86-64-avx512 | FileCheck %s
// RUN: not halcyon-opt %s -cnn-assign-layout=target=vax 2>&1 | FileCheck %s --check-prefix=TARGET
//
// Kernels read and write blocks of channels where they can; the layout is part
// of a value's type. Conversions are kernels of their own. Each of these models
// is also run: see test/execute/layouts.test.

// TARGET: error: unknown target 'vax'

// Callers have plain tensors. Within the model nothing is converted: zeros around
// what a convolution reads are a halo that its producer writes. Weights are packed
// as the kernel reads them.
// CHECK-LABEL: cnn.model @borders
// CHECK:      %[[X:.*]] = cnn.input "x" : tensor<?x32x6x6xf32, #cnn.layout<"nchw">>
// CHECK:      %[[IN:.*]] = cnn.fused %[[X]] {reason = "changes the layout", schedule = #cnn.schedule<"relayout", {task_kib = {{[0-9]+}} : i64}>} : {{.*}} -> tensor<?x32x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>
// CHECK:      %[[W:.*]] = cnn.pack %{{.*}} : tensor<32x32x3x3xf32> to tensor<32x32x3x3xf32, #cnn.packed<"OIhw16i16o">>
// CHECK:      %[[A:.*]] = cnn.fused %[[IN]], %[[W]] {{.*}} -> tensor<?x32x6x6xf32, #cnn.layout<"nchw16c">>
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<?x32x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>, %{{.*}}: tensor<32x32x3x3xf32, #cnn.packed<"OIhw16i16o">>):
// CHECK:      %[[B:.*]] = cnn.fused %[[A]], %{{.*}} -> tensor<?x32x6x6xf32, #cnn.layout<"nchw16c">>
// CHECK:      %[[Y:.*]] = cnn.fused %[[B]] {reason = "changes the layout"
// CHECK:        cnn.relayout %{{.*}} to tensor<?x32x6x6xf32, #cnn.layout<"nchw">>
// CHECK:      cnn.output %[[Y]] "y0" : tensor<?x32x6x6xf32, #cnn.layout<"nchw">>
cnn.model @borders {
  %x = cnn.input "x" : tensor<?x32x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<32x32x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x6x6xf32>, tensor<32x32x3x3xf32>) -> tensor<?x32x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<32x32x1x1xf32>
  %v2 = cnn.conv %v1, %v2w : (tensor<?x32x6x6xf32>, tensor<32x32x1x1xf32>) -> tensor<?x32x6x6xf32>
  cnn.output %v2 "y0" : tensor<?x32x6x6xf32>
}

// Three readers share one conversion, and its halo is the widest that one needs.
// CHECK-LABEL: cnn.model @widest_halo
// CHECK:      %[[X:.*]] = cnn.input
// CHECK:      %[[IN:.*]] = cnn.fused %[[X]] {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c", halo = [2, 2, 2, 2]>>
// CHECK:      cnn.fused %[[IN]],
// CHECK:      cnn.fused %[[IN]],
// CHECK:      cnn.fused %[[IN]],
cnn.model @widest_halo {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x16x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v1 "y0" : tensor<?x16x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<16x16x5x5xf32>
  %v2 = cnn.conv %x, %v2w {pad = array<i64: 2, 2, 2, 2>} : (tensor<?x16x6x6xf32>, tensor<16x16x5x5xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v2 "y1" : tensor<?x16x6x6xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<16x16x1x1xf32>
  %v3 = cnn.conv %x, %v3w : (tensor<?x16x6x6xf32>, tensor<16x16x1x1xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v3 "y2" : tensor<?x16x6x6xf32>
}

// An image has too few channels to fill a block. The first convolution reads planes,
// in a copy that has room for the zeros.
// CHECK-LABEL: cnn.model @few_channels
// CHECK:      cnn.fused %{{.*}} -> tensor<?x3x6x6xf32, #cnn.layout<"nchw", halo = [1, 1, 1, 1]>>
// CHECK:      cnn.pack %{{.*}} to tensor<16x3x3x3xf32, #cnn.packed<"Ohwi16o">>
// CHECK:      cnn.conv %{{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c">>
cnn.model @few_channels {
  %x = cnn.input "x" : tensor<?x3x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x3x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x6x6xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v1 "y0" : tensor<?x16x6x6xf32>
}

// Concatenation of whole blocks is no work: what is joined is written where it
// belongs. `buffer` numbers the buffer, `at` is the first channel, and `channels` in
// the type is the size of the whole. The last one may end within a block.
// CHECK-LABEL: cnn.model @slices
// CHECK:      %[[A:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x32x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 40>>
// CHECK:      %[[B:.*]] = cnn.fused {{.*}}{at = 32 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x8x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 40>>
// CHECK:      cnn.concat %[[A]], %[[B]] {at = 0 : i64, buffer = 0 : i64} : {{.*}} -> tensor<?x40x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>
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

// DenseNet: each concatenation is the beginning of the next one, so that all of
// them are one buffer.
// CHECK-LABEL: cnn.model @dense
// CHECK:      %[[A:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x32x8x8xf32, #cnn.layout<"nchw16c", channels = 64>>
// CHECK:      %[[B:.*]] = cnn.fused {{.*}}{at = 32 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x16x8x8xf32, #cnn.layout<"nchw16c", channels = 64>>
// CHECK:      %[[AB:.*]] = cnn.concat %[[A]], %[[B]] {at = 0 : i64, buffer = 0 : i64} {{.*}} -> tensor<?x48x8x8xf32, #cnn.layout<"nchw16c", channels = 64>>
// CHECK:      %[[C:.*]] = cnn.fused {{.*}}{at = 48 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x16x8x8xf32, #cnn.layout<"nchw16c", channels = 64>>
// CHECK:      cnn.concat %[[AB]], %[[C]] {at = 0 : i64, buffer = 0 : i64} {{.*}} -> tensor<?x64x8x8xf32, #cnn.layout<"nchw16c">>
cnn.model @dense {
  %x = cnn.input "x" : tensor<?x3x8x8xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<32x3x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<32x3x3x3xf32>) -> tensor<?x32x8x8xf32>
  %v2 = cnn.map "relu" %v1 : (tensor<?x32x8x8xf32>) -> tensor<?x32x8x8xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v3w = cnn.weight "layer3.weight" : tensor<16x32x3x3xf32>
  %v3 = cnn.conv %v2, %v3w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x8x8xf32>, tensor<16x32x3x3xf32>) -> tensor<?x16x8x8xf32>
  %v4 = cnn.concat %v1, %v3 : (tensor<?x32x8x8xf32>, tensor<?x16x8x8xf32>) -> tensor<?x48x8x8xf32>
  %v5 = cnn.map "relu" %v4 : (tensor<?x48x8x8xf32>) -> tensor<?x48x8x8xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v6w = cnn.weight "layer6.weight" : tensor<16x48x3x3xf32>
  %v6 = cnn.conv %v5, %v6w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x48x8x8xf32>, tensor<16x48x3x3xf32>) -> tensor<?x16x8x8xf32>
  %v7 = cnn.concat %v4, %v6 : (tensor<?x48x8x8xf32>, tensor<?x16x8x8xf32>) -> tensor<?x64x8x8xf32>
  %v8w = cnn.weight "layer8.weight" : tensor<16x64x1x1xf32>
  %v8 = cnn.conv %v7, %v8w : (tensor<?x64x8x8xf32>, tensor<16x64x1x1xf32>) -> tensor<?x16x8x8xf32>
  cnn.output %v8 "y0" : tensor<?x16x8x8xf32>
}

// A block can't belong to two values: this concatenation is a copy.
// CHECK-LABEL: cnn.model @ragged
// CHECK:      %[[A:.*]] = cnn.fused {{.*}} -> tensor<?x24x6x6xf32, #cnn.layout<"nchw16c">>
// CHECK:      %[[B:.*]] = cnn.fused {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c">>
// CHECK:      cnn.fused %[[A]], %[[B]] {reason = "a copy: the values do not lie behind each other", schedule = #cnn.schedule<"concat", {task_kib = {{[0-9]+}} : i64}>} {{.*}} -> tensor<?x40x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1]>>
cnn.model @ragged {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<24x16x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<24x16x3x3xf32>) -> tensor<?x24x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<16x16x3x3xf32>
  %v2 = cnn.conv %x, %v2w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v3 = cnn.concat %v1, %v2 : (tensor<?x24x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x40x6x6xf32>
  %v4w = cnn.weight "layer4.weight" : tensor<16x40x3x3xf32>
  %v4 = cnn.conv %v3, %v4w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x40x6x6xf32>, tensor<16x40x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v4 "y0" : tensor<?x16x6x6xf32>
}

// Planes can be joined at any channel, right in the caller's tensor.
// CHECK-LABEL: cnn.model @planes
// CHECK:      cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x3x3x3xf32, #cnn.layout<"nchw", channels = 6>>
// CHECK:      cnn.fused {{.*}}{at = 3 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x3x3x3xf32, #cnn.layout<"nchw", channels = 6>>
// CHECK-NEXT: ^bb0
// CHECK-NOT:  cnn.fused
// CHECK:      cnn.output %{{.*}} : tensor<?x6x3x3xf32, #cnn.layout<"nchw">>
cnn.model @planes {
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

// A value lies in one buffer; the other concatenation has a copy. Each buffer has
// one halo, the widest that a slice or the whole needs.
// CHECK-LABEL: cnn.model @two_concats
// CHECK:      %[[A:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 1 : i64, {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 32>>
// CHECK:      %[[B:.*]] = cnn.fused {{.*}}{at = 16 : i64, buffer = 0 : i64, {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c", halo = [2, 2, 2, 2], channels = 32>>
// CHECK:      %[[COPY:.*]] = cnn.fused %[[B]] {at = 16 : i64, buffer = 1 : i64, {{.*}} -> tensor<?x16x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 32>>
// CHECK:      %[[C:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64,
// CHECK:      cnn.concat %[[A]], %[[COPY]] {at = 0 : i64, buffer = 1 : i64}
// CHECK:      cnn.concat %[[C]], %[[B]] {at = 0 : i64, buffer = 0 : i64}
cnn.model @two_concats {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x16x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<16x16x3x3xf32>
  %v2 = cnn.conv %x, %v2w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<16x16x3x3xf32>
  %v3 = cnn.conv %x, %v3w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v4 = cnn.concat %v1, %v2 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x32x6x6xf32>
  %v5 = cnn.concat %v3, %v2 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x32x6x6xf32>
  %v6w = cnn.weight "layer6.weight" : tensor<16x32x3x3xf32>
  %v6 = cnn.conv %v4, %v6w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x6x6xf32>, tensor<16x32x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v6 "y0" : tensor<?x16x6x6xf32>
  %v7w = cnn.weight "layer7.weight" : tensor<16x32x5x5xf32>
  %v7 = cnn.conv %v5, %v7w {pad = array<i64: 2, 2, 2, 2>} : (tensor<?x32x6x6xf32>, tensor<16x32x5x5xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v7 "y1" : tensor<?x16x6x6xf32>
}

// The same value twice: once where it is made, once as a copy.
// CHECK-LABEL: cnn.model @twice
// CHECK:      %[[A:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64, {{.*}}"direct"
// CHECK:      %[[COPY:.*]] = cnn.fused %[[A]] {at = 16 : i64, buffer = 0 : i64, {{.*}}"relayout"
// CHECK:      cnn.concat %[[A]], %[[COPY]]
cnn.model @twice {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x16x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v2 = cnn.concat %v1, %v1 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x32x6x6xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<16x32x1x1xf32>
  %v3 = cnn.conv %v2, %v3w : (tensor<?x32x6x6xf32>, tensor<16x32x1x1xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v3 "y0" : tensor<?x16x6x6xf32>
}

// What another concatenation begins with is a slice of its buffer.
// CHECK-LABEL: cnn.model @beginning
// CHECK:      cnn.concat {{.*}} {at = 0 : i64, buffer = 0 : i64} {{.*}} -> tensor<?x32x6x6xf32, #cnn.layout<"nchw16c", channels = 48>>
// CHECK:      cnn.concat {{.*}} {at = 0 : i64, buffer = 0 : i64} {{.*}} -> tensor<?x48x6x6xf32, #cnn.layout<"nchw16c">>
cnn.model @beginning {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x16x3x3xf32>
  %v1 = cnn.conv %x, %v1w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v2w = cnn.weight "layer2.weight" : tensor<16x16x3x3xf32>
  %v2 = cnn.conv %x, %v2w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<16x16x3x3xf32>
  %v3 = cnn.conv %x, %v3w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v4 = cnn.concat %v1, %v2 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x32x6x6xf32>
  %v5 = cnn.concat %v1, %v2, %v3 : (tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>, tensor<?x16x6x6xf32>) -> tensor<?x48x6x6xf32>
  %v6w = cnn.weight "layer6.weight" : tensor<16x32x1x1xf32>
  %v6 = cnn.conv %v4, %v6w : (tensor<?x32x6x6xf32>, tensor<16x32x1x1xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v6 "y0" : tensor<?x16x6x6xf32>
  %v7w = cnn.weight "layer7.weight" : tensor<16x48x1x1xf32>
  %v7 = cnn.conv %v5, %v7w : (tensor<?x48x6x6xf32>, tensor<16x48x1x1xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v7 "y1" : tensor<?x16x6x6xf32>
}

// An output that lies in another output's tensor is a copy.
// CHECK-LABEL: cnn.model @slices_shown
// CHECK:      %[[B:.*]] = cnn.fused {{.*}}{at = 0 : i64, buffer = 0 : i64,
// CHECK:      %[[PART:.*]] = cnn.concat %[[B]], %{{.*}} {at = 0 : i64, buffer = 0 : i64} {{.*}} -> tensor<?x6x3x3xf32, #cnn.layout<"nchw", channels = 9>>
// CHECK:      %[[COPY:.*]] = cnn.fused %[[PART]] {output = "y0",
// CHECK:      cnn.output %[[COPY]] "y0"
// CHECK:      %[[ALL:.*]] = cnn.concat
// CHECK:      cnn.output %[[ALL]] "y1"
// CHECK:      cnn.output %{{.*}} "y2" : tensor<?x3x3x3xf32, #cnn.layout<"nchw">>
cnn.model @slices_shown {
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
  %v4 = cnn.map "relu" %v3 : (tensor<?x3x3x3xf32>) -> tensor<?x3x3x3xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v5 = cnn.concat %v2, %v3 : (tensor<?x3x3x3xf32>, tensor<?x3x3x3xf32>) -> tensor<?x6x3x3xf32>
  cnn.output %v5 "y0" : tensor<?x6x3x3xf32>
  %v6 = cnn.concat %v2, %v3, %v4 : (tensor<?x3x3x3xf32>, tensor<?x3x3x3xf32>, tensor<?x3x3x3xf32>) -> tensor<?x9x3x3xf32>
  cnn.output %v6 "y1" : tensor<?x9x3x3xf32>
  cnn.output %v2 "y2" : tensor<?x3x3x3xf32>
}

// A caller's tensor has no halo, nor has anything joined in it.
// CHECK-LABEL: cnn.model @halo_shown
// CHECK:      cnn.output %{{.*}} "y0" : tensor<?x6x6x6xf32, #cnn.layout<"nchw">>
cnn.model @halo_shown {
  %x = cnn.input "x" : tensor<?x3x6x6xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x6x6xf32>) -> tensor<?x3x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v2w = cnn.weight "layer2.weight" : tensor<16x3x3x3xf32>
  %v2 = cnn.conv %v1, %v2w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x6x6xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x6x6xf32>
  %v3 = cnn.map "relu" %v1 : (tensor<?x3x6x6xf32>) -> tensor<?x3x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v4 = cnn.concat %v1, %v3 : (tensor<?x3x6x6xf32>, tensor<?x3x6x6xf32>) -> tensor<?x6x6x6xf32>
  cnn.output %v4 "y0" : tensor<?x6x6x6xf32>
  cnn.output %v2 "y1" : tensor<?x16x6x6xf32>
}

// The same of an output that a convolution reads on.
// CHECK-LABEL: cnn.model @read_on
// CHECK:      cnn.output %{{.*}} "y0" : tensor<?x3x6x6xf32, #cnn.layout<"nchw">>
cnn.model @read_on {
  %x = cnn.input "x" : tensor<?x3x6x6xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x6x6xf32>) -> tensor<?x3x6x6xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v2w = cnn.weight "layer2.weight" : tensor<16x3x3x3xf32>
  %v2 = cnn.conv %v1, %v2w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x6x6xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x6x6xf32>
  cnn.output %v1 "y0" : tensor<?x3x6x6xf32>
  cnn.output %v2 "y1" : tensor<?x16x6x6xf32>
}

// One pixel of whole blocks lies as its vector does.
// CHECK-LABEL: cnn.model @flatten_free
// CHECK:      %[[F:.*]] = cnn.flatten %{{.*}} -> tensor<?x16xf32>
// CHECK:      cnn.fused %[[F]], %{{.*}}"linear"
cnn.model @flatten_free {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1 = cnn.global_avgpool %x : (tensor<?x16x6x6xf32>) -> tensor<?x16x1x1xf32>
  %v2 = cnn.flatten %v1 : (tensor<?x16x1x1xf32>) -> tensor<?x16xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<10x16xf32>
  %v3 = cnn.linear %v2, %v3w : (tensor<?x16xf32>, tensor<10x16xf32>) -> tensor<?x10xf32>
  cnn.output %v3 "y0" : tensor<?x10xf32>
}

// A map in blocks does not: here a kernel puts it in order.
// CHECK-LABEL: cnn.model @flatten_copy
// CHECK:      %[[F:.*]] = cnn.fused {{.*}}schedule = #cnn.schedule<"flatten", {task_kib = {{[0-9]+}} : i64}>} : (tensor<?x16x6x6xf32, #cnn.layout<"nchw16c">>) -> tensor<?x576xf32>
// CHECK:      cnn.fused %[[F]], %{{.*}}"linear"
cnn.model @flatten_copy {
  %x = cnn.input "x" : tensor<?x16x6x6xf32>
  %v1w = cnn.weight "layer1.weight" : tensor<16x16x1x1xf32>
  %v1 = cnn.conv %x, %v1w : (tensor<?x16x6x6xf32>, tensor<16x16x1x1xf32>) -> tensor<?x16x6x6xf32>
  %v2 = cnn.flatten %v1 : (tensor<?x16x6x6xf32>) -> tensor<?x576xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<10x576xf32>
  %v3 = cnn.linear %v2, %v3w : (tensor<?x576xf32>, tensor<10x576xf32>) -> tensor<?x10xf32>
  cnn.output %v3 "y0" : tensor<?x10xf32>
}

// A map and its flat form are one value: as outputs they are two tensors.
// CHECK-LABEL: cnn.model @flat_and_map
// CHECK:      %[[A:.*]] = cnn.fused {{.*}}"elementwise"
// CHECK:      %[[F:.*]] = cnn.flatten %[[A]]
// CHECK:      cnn.output %[[A]] "y0"
// CHECK:      %[[COPY:.*]] = cnn.fused %[[F]] {output = "y1", reason = "copies to the output", schedule = #cnn.schedule<"relayout", {task_kib = {{[0-9]+}} : i64}>}
// CHECK:      cnn.output %[[COPY]] "y1"
cnn.model @flat_and_map {
  %x = cnn.input "x" : tensor<?x3x5x5xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x5x5xf32>) -> tensor<?x3x5x5xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %v2 = cnn.flatten %v1 : (tensor<?x3x5x5xf32>) -> tensor<?x75xf32>
  cnn.output %v1 "y0" : tensor<?x3x5x5xf32>
  cnn.output %v2 "y1" : tensor<?x75xf32>
  %v3w = cnn.weight "layer3.weight" : tensor<4x75xf32>
  %v3 = cnn.linear %v2, %v3w : (tensor<?x75xf32>, tensor<4x75xf32>) -> tensor<?x4xf32>
  cnn.output %v3 "y2" : tensor<?x4xf32>
}

// One value for several outputs, and inputs that are outputs: each has its copy.
// CHECK-LABEL: cnn.model @same_output
// CHECK:      %[[X:.*]] = cnn.input
// CHECK-DAG:  %[[A:.*]] = cnn.fused %[[X]] {{.*}}"elementwise"
// CHECK-DAG:  %[[A1:.*]] = cnn.fused %[[A]] {output = "y1",
// CHECK-DAG:  %[[A2:.*]] = cnn.fused %[[A]] {output = "y2",
// CHECK-DAG:  %[[X3:.*]] = cnn.fused %[[X]] {output = "y3",
// CHECK-DAG:  %[[X4:.*]] = cnn.fused %[[X]] {output = "y4",
// CHECK-DAG:  cnn.output %[[A]] "y0"
// CHECK-DAG:  cnn.output %[[A1]] "y1"
// CHECK-DAG:  cnn.output %[[A2]] "y2"
// CHECK-DAG:  cnn.output %[[X3]] "y3"
// CHECK-DAG:  cnn.output %[[X4]] "y4"
cnn.model @same_output {
  %x = cnn.input "x" : tensor<?x3x5x5xf32>
  %v1 = cnn.map "relu" %x : (tensor<?x3x5x5xf32>) -> tensor<?x3x5x5xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  cnn.output %v1 "y0" : tensor<?x3x5x5xf32>
  cnn.output %v1 "y1" : tensor<?x3x5x5xf32>
  cnn.output %v1 "y2" : tensor<?x3x5x5xf32>
  cnn.output %x "y3" : tensor<?x3x5x5xf32>
  cnn.output %x "y4" : tensor<?x3x5x5xf32>
}
