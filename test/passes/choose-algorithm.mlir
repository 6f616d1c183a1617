// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=x86-64-avx512 | FileCheck %s
// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=x86-64-zen4 | FileCheck %s --check-prefix=ZEN4
// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm="target=x86-64-avx512 algorithm=direct" | FileCheck %s --check-prefix=DIRECT
// RUN: halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=x86-64-avx512 -cnn-choose-algorithm="target=x86-64-avx512 algorithm=general" | FileCheck %s
// RUN: not halcyon-opt %s -cnn-fuse -cnn-choose-algorithm="target=x86-64-avx512 algorithm=fft" 2>&1 | FileCheck %s --check-prefix=ALGORITHM
// RUN: not halcyon-opt %s -cnn-fuse -cnn-choose-algorithm=target=vax 2>&1 | FileCheck %s --check-prefix=TARGET
//
// Every group gets the kernel that costs least, and `reason` keeps what the
// others cost or why they can't compute it. A group that has a schedule keeps
// it: the third run finds nothing left to choose.

// ALGORITHM: error: unknown algorithm 'fft'; there are {{.*}}direct, {{.*}}winograd4
// TARGET: error: unknown target 'vax'; there are host, {{.*}}x86-64-avx512

// A 3x3 kernel over a large map: transforms save most of the multiplications.
// CHECK-LABEL: cnn.model @convolutions
// CHECK:      cnn.fused {{.*}}reason = "cheapest by the cost model; depthwise: not one filter for each channel; direct {{[0-9.]+}} ms; general {{[0-9.]+}} ms; im2col {{[0-9.]+}} ms; im2col_fip {{[0-9.]+}} ms; planar {{[0-9.]+}} ms; pointwise: the kernel is not 1x1 without padding; taps {{[0-9.]+}} ms; winograd2 {{[0-9.]+}} ms; winograd2_fip {{[0-9.]+}} ms; winograd4 {{[0-9.]+}} ms; winograd4_fip {{[0-9.]+}} ms; winograd6 {{[0-9.]+}} ms; winograd6_fip {{[0-9.]+}} ms", schedule = #cnn.schedule<"winograd4", {
// With a stride there is nothing to save.
// CHECK:      cnn.fused {{.*}}winograd4: not a window with stride, dilation and groups of 1; winograd4_fip: not a window with stride, dilation and groups of 1; winograd6: not a window with stride, dilation and groups of 1; winograd6_fip: not a window with stride, dilation and groups of 1", schedule = #cnn.schedule<"direct", {
// One filter for each channel.
// CHECK:      cnn.fused {{.*}}direct: a group's channels are not whole vectors{{.*}}schedule = #cnn.schedule<"depthwise", {
// A product of matrices. The norm before it is computed on the way.
// CHECK:      cnn.fused {{.*}}direct: its input is computed in the same kernel{{.*}}schedule = #cnn.schedule<"pointwise", {
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.map "relu"
// Channels of a group that fill no vector: vectors lie along rows.
// CHECK:      cnn.fused {{.*}}schedule = #cnn.schedule<"planar", {
// A tile's weights are too many for L2, and most taps lie in the padding.
// CHECK:      cnn.fused {{.*}}schedule = #cnn.schedule<"taps", {
// CHECK:      cnn.output
//
// Asked for, an algorithm is taken wherever it applies, and nowhere else.
// DIRECT-LABEL: cnn.model @convolutions
// DIRECT:      cnn.fused {{.*}}reason = "asked for; {{.*}}winograd6_fip {{[0-9.]+}} ms", schedule = #cnn.schedule<"direct", {
// DIRECT:      cnn.fused {{.*}}reason = "asked for; {{.*}}schedule = #cnn.schedule<"direct", {
// DIRECT:      cnn.fused {{.*}}reason = "cheapest by the cost model; {{.*}}schedule = #cnn.schedule<"depthwise", {
// DIRECT:      cnn.fused {{.*}}reason = "cheapest by the cost model; {{.*}}schedule = #cnn.schedule<"pointwise", {
// DIRECT:      cnn.fused {{.*}}reason = "cheapest by the cost model; {{.*}}schedule = #cnn.schedule<"planar", {
// DIRECT:      cnn.fused {{.*}}reason = "asked for; {{.*}}schedule = #cnn.schedule<"direct", {
cnn.model @convolutions {
  %x = cnn.input "image" : tensor<?x64x56x56xf32>
  %w1 = cnn.weight "plain.weight" : tensor<64x64x3x3xf32>
  %w2 = cnn.weight "strided.weight" : tensor<128x64x3x3xf32>
  %w3 = cnn.weight "depthwise.weight" : tensor<128x1x3x3xf32>
  %w4 = cnn.weight "pointwise.weight" : tensor<256x128x1x1xf32>
  %w5 = cnn.weight "grouped.weight" : tensor<256x4x3x3xf32>
  %w6 = cnn.weight "dilated.weight" : tensor<64x2048x3x3xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x64x56x56xf32>, tensor<64x64x3x3xf32>) -> tensor<?x64x56x56xf32>
  %2 = cnn.conv %1, %w2 {pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 2, 2>} : (tensor<?x64x56x56xf32>, tensor<128x64x3x3xf32>) -> tensor<?x128x28x28xf32>
  %3 = cnn.conv %2, %w3 {groups = 128 : i64, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x128x28x28xf32>, tensor<128x1x3x3xf32>) -> tensor<?x128x28x28xf32>
  cnn.output %3 "depthwise" : tensor<?x128x28x28xf32>
  %4 = cnn.map "relu" %3 : (tensor<?x128x28x28xf32>) -> tensor<?x128x28x28xf32> {
  ^bb0(%p: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %zero : f32
    cnn.yield %m : f32
  }
  %5 = cnn.conv %4, %w4 : (tensor<?x128x28x28xf32>, tensor<256x128x1x1xf32>) -> tensor<?x256x28x28xf32>
  %6 = cnn.conv %5, %w5 {groups = 64 : i64, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x256x28x28xf32>, tensor<256x4x3x3xf32>) -> tensor<?x256x28x28xf32>
  cnn.output %6 "y" : tensor<?x256x28x28xf32>
  %maps = cnn.input "maps" : tensor<?x2048x28x28xf32>
  %7 = cnn.conv %maps, %w6 {dilation = array<i64: 24, 24>, pad = array<i64: 24, 24, 24, 24>} : (tensor<?x2048x28x28xf32>, tensor<64x2048x3x3xf32>) -> tensor<?x64x28x28xf32>
  cnn.output %7 "z" : tensor<?x64x28x28xf32>
}

// Alone the two channels would be computed along rows of planar maps, but what they
// come from lies in blocks: a conversion would cost more than it gains.
// CHECK-LABEL: cnn.model @conversions
// CHECK:      cnn.fused {{.*}}schedule = #cnn.schedule<"winograd4", {
// CHECK:      cnn.fused {{.*}}schedule = #cnn.schedule<"pointwise", {
cnn.model @conversions {
  %x = cnn.input "image" : tensor<?x32x256x256xf32>
  %w1 = cnn.weight "plain.weight" : tensor<32x32x3x3xf32>
  %w2 = cnn.weight "head.weight" : tensor<2x32x1x1xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x256x256xf32>, tensor<32x32x3x3xf32>) -> tensor<?x32x256x256xf32>
  %2 = cnn.conv %1, %w2 : (tensor<?x32x256x256xf32>, tensor<2x32x1x1xf32>) -> tensor<?x2x256x256xf32>
  cnn.output %2 "y" : tensor<?x2x256x256xf32>
}

// Other layers have one kernel each; kernels of other layers are not heard.
// CHECK-LABEL: cnn.model @others
// CHECK: cnn.fused {{.*}}{reason = "cheapest by the cost model; pool {{[0-9.]+}} ms", schedule = #cnn.schedule<"pool", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"elementwise", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"upsample", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"conv_transpose", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"global_pool", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"linear", {
// CHECK: cnn.fused {{.*}}schedule = #cnn.schedule<"softmax", {
//
// DIRECT-LABEL: cnn.model @others
// DIRECT-NOT: asked for
// DIRECT:     cnn.output
cnn.model @others {
  %x = cnn.input "image" : tensor<?x16x6x6xf32>
  %y = cnn.input "other" : tensor<?x16x3x3xf32>
  %u = cnn.weight "up.weight" : tensor<16x16x2x2xf32>
  %w = cnn.weight "linear.weight" : tensor<10x16xf32>
  %1 = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x16x6x6xf32>) -> tensor<?x16x3x3xf32>
  cnn.output %1 "pooled" : tensor<?x16x3x3xf32>
  %2 = cnn.map "add" %1, %y : (tensor<?x16x3x3xf32>, tensor<?x16x3x3xf32>) -> tensor<?x16x3x3xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    cnn.yield %s : f32
  }
  cnn.output %2 "sum" : tensor<?x16x3x3xf32>
  %3 = cnn.upsample %2 {scale = array<i64: 2, 2>} : (tensor<?x16x3x3xf32>) -> tensor<?x16x6x6xf32>
  %4 = cnn.conv_transpose %3, %u {stride = array<i64: 2, 2>} : (tensor<?x16x6x6xf32>, tensor<16x16x2x2xf32>) -> tensor<?x16x12x12xf32>
  %5 = cnn.global_avgpool %4 : (tensor<?x16x12x12xf32>) -> tensor<?x16x1x1xf32>
  %6 = cnn.flatten %5 : (tensor<?x16x1x1xf32>) -> tensor<?x16xf32>
  %7 = cnn.linear %6, %w : (tensor<?x16xf32>, tensor<10x16xf32>) -> tensor<?x10xf32>
  %8 = cnn.softmax %7 : (tensor<?x10xf32>) -> tensor<?x10xf32>
  cnn.output %8 "y" : tensor<?x10xf32>
}

// Large maps waste little of tiles of 6x6, and many channels pay for the transforms
// where multiply-adds are slow beside L2. Additions have units of their own there, and the
// fast inner product moves work to them.
// ZEN4-LABEL: cnn.model @large
// ZEN4:      cnn.fused {{.*}}schedule = #cnn.schedule<"winograd6_fip", {
cnn.model @large {
  %x = cnn.input "image" : tensor<?x128x112x112xf32>
  %w = cnn.weight "weight" : tensor<128x128x3x3xf32>
  %1 = cnn.conv %x, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x128x112x112xf32>, tensor<128x128x3x3xf32>) -> tensor<?x128x112x112xf32>
  cnn.output %1 "y" : tensor<?x128x112x112xf32>
}

// Few channels of a large map: sums of few products pay least for the corrections.
// ZEN4-LABEL: cnn.model @wide
// ZEN4:      cnn.fused {{.*}}schedule = #cnn.schedule<"winograd{{[46]}}_fip", {
cnn.model @wide {
  %x = cnn.input "image" : tensor<?x32x256x256xf32>
  %w = cnn.weight "weight" : tensor<32x32x3x3xf32>
  %1 = cnn.conv %x, %w {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x256x256xf32>, tensor<32x32x3x3xf32>) -> tensor<?x32x256x256xf32>
  cnn.output %1 "y" : tensor<?x32x256x256xf32>
}
