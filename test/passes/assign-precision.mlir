// RUN: halcyon-opt %s -cnn-fuse -cnn-assign-precision="target=x86-64-avx512 precision=bf16" | FileCheck %s
// RUN: halcyon-opt %s -cnn-fuse -cnn-assign-precision=target=x86-64-avx512 | FileCheck %s --check-prefix=F32
// RUN: halcyon-opt %s -cnn-fuse -cnn-assign-precision="target=x86-64-avx512 precision=bf16" | halcyon-opt | FileCheck %s
// RUN: not halcyon-opt %s -cnn-fuse -cnn-assign-precision=precision=f16 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown precision 'f16'; there are f32 and bf16

// The first and the last layer stay f32. What only bf16 layers read is bf16,
// and what a bf16 layer writes is. Filters are rounded, biases are not.
// CHECK-LABEL: cnn.model @chain
// CHECK:      cnn.fused {{.*}}cnn.kept_f32 = "the first layer"} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x8x8xbf16>
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<?x3x8x8xf32>, %{{.*}}: tensor<16x3x3x3xf32>):
// Values between the operations of a kernel are f32.
// CHECK-NEXT:   cnn.conv {{.*}} -> tensor<?x16x8x8xf32>
// CHECK-NEXT:   cnn.map "relu" %{{.*}} : (tensor<?x16x8x8xf32>) -> tensor<?x16x8x8xbf16>
// CHECK:        cnn.yield %{{.*}} : tensor<?x16x8x8xbf16>
// CHECK:      %[[W:.*]] = cnn.round %{{.*}} : tensor<16x16x3x3xf32> to tensor<16x16x3x3xbf16>
// CHECK:      cnn.fused %{{.*}}, %[[W]], %{{.*}} : (tensor<?x16x8x8xbf16>, tensor<16x16x3x3xbf16>, tensor<16xf32>) -> tensor<?x16x8x8xbf16>
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<?x16x8x8xbf16>, %{{.*}}: tensor<16x16x3x3xbf16>, %{{.*}}: tensor<16xf32>):
// CHECK:      cnn.fused %{{.*}} : (tensor<?x16x8x8xbf16>) -> tensor<?x16x1x1xbf16>
// CHECK:      cnn.flatten %{{.*}} : (tensor<?x16x1x1xbf16>) -> tensor<?x16xbf16>
// CHECK:      cnn.fused {{.*}}cnn.kept_f32 = "the last layer"} : (tensor<?x16xbf16>, tensor<4x16xf32>) -> tensor<?x4xf32>
// CHECK:      cnn.fused {{.*}}cnn.kept_f32 = "behind the last layer"} : (tensor<?x4xf32>) -> tensor<?x4xf32>
// F32-LABEL: cnn.model @chain
// F32-NOT: bf16
// F32:     cnn.output
cnn.model @chain {
  %x = cnn.input "image" : tensor<?x3x8x8xf32>
  %w1 = cnn.weight "a.weight" : tensor<16x3x3x3xf32>
  %w2 = cnn.weight "b.weight" : tensor<16x16x3x3xf32>
  %b2 = cnn.weight "b.bias" : tensor<16xf32>
  %w3 = cnn.weight "c.weight" : tensor<4x16xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x8x8xf32>
  %2 = cnn.map "relu" %1 : (tensor<?x16x8x8xf32>) -> tensor<?x16x8x8xf32> {
  ^bb0(%v: f32):
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %v, %zero : f32
    cnn.yield %m : f32
  }
  %3 = cnn.conv %2, %w2, %b2 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>, tensor<16xf32>) -> tensor<?x16x8x8xf32>
  %4 = cnn.global_avgpool %3 {} : (tensor<?x16x8x8xf32>) -> tensor<?x16x1x1xf32>
  %5 = cnn.flatten %4 {} : (tensor<?x16x1x1xf32>) -> tensor<?x16xf32>
  %6 = cnn.linear %5, %w3 {} : (tensor<?x16xf32>, tensor<4x16xf32>) -> tensor<?x4xf32>
  %7 = cnn.softmax %6 {} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  cnn.output %7 "probabilities" : tensor<?x4xf32>
}

// Concatenated values are stored alike: one of them is written in bf16, so all
// are. A value that is an output is f32.
// CHECK-LABEL: cnn.model @joined
// CHECK:      cnn.fused {{.*}}"the first layer"{{.*}} tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xbf16>
// CHECK:      cnn.fused {{.*}} tensor<16x16x3x3xbf16>) -> tensor<?x16x8x8xbf16>
// CHECK:      cnn.concat {{.*}} -> tensor<?x32x8x8xbf16>
// CHECK:      cnn.fused %{{.*}} : (tensor<?x32x8x8xbf16>) -> tensor<?x32x4x4xf32>
// CHECK:      cnn.output %{{.*}} "pooled" : tensor<?x32x4x4xf32>
cnn.model @joined {
  %x = cnn.input "image" : tensor<?x16x8x8xf32>
  %w1 = cnn.weight "a.weight" : tensor<16x16x3x3xf32>
  %w2 = cnn.weight "b.weight" : tensor<16x16x3x3xf32>
  %w3 = cnn.weight "c.weight" : tensor<16x32x3x3xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %2 = cnn.conv %1, %w2 {pad = array<i64: 1, 1, 1, 1>, cnn.precision = "bf16"} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %3 = cnn.concat %1, %2 {} : (tensor<?x16x8x8xf32>, tensor<?x16x8x8xf32>) -> tensor<?x32x8x8xf32>
  %4 = cnn.maxpool %3 {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>, cnn.precision = "bf16"} : (tensor<?x32x8x8xf32>) -> tensor<?x32x4x4xf32>
  %5 = cnn.conv %4, %w3 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x32x4x4xf32>, tensor<16x32x3x3xf32>) -> tensor<?x16x4x4xf32>
  cnn.output %4 "pooled" : tensor<?x32x4x4xf32>
  cnn.output %5 "convolved" : tensor<?x16x4x4xf32>
}

// What the language asks for holds against the option, and at the border, too.
// CHECK-LABEL: cnn.model @asked
// CHECK:      cnn.fused {{.*}} tensor<16x16x3x3xbf16>) -> tensor<?x16x8x8xbf16>
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   cnn.conv %{{.*}}, %{{.*}} {pad = array<i64: 1, 1, 1, 1>} :
// CHECK:      cnn.fused {{.*}} : (tensor<?x16x8x8xbf16>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
// CHECK:      cnn.fused {{.*}}"the last layer"{{.*}}, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
// CHECK:      cnn.output
// F32-LABEL: cnn.model @asked
// F32:        cnn.fused {{.*}} tensor<16x16x3x3xbf16>) -> tensor<?x16x8x8xbf16>
// F32:        cnn.fused {{.*}} : (tensor<?x16x8x8xbf16>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
// F32:        cnn.fused {{.*}} : ({{.*}}, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
cnn.model @asked {
  %x = cnn.input "image" : tensor<?x16x8x8xf32>
  %w1 = cnn.weight "a.weight" : tensor<16x16x3x3xf32>
  %w2 = cnn.weight "b.weight" : tensor<16x16x3x3xf32>
  %w3 = cnn.weight "c.weight" : tensor<16x16x3x3xf32>
  %w4 = cnn.weight "d.weight" : tensor<16x16x3x3xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>, cnn.precision = "bf16"} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %2 = cnn.conv %1, %w2 {pad = array<i64: 1, 1, 1, 1>, cnn.precision = "f32"} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %3 = cnn.conv %2, %w3 {pad = array<i64: 1, 1, 1, 1>, cnn.precision = "f32"} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %4 = cnn.conv %2, %w4 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  cnn.output %3 "out" : tensor<?x16x8x8xf32>
  cnn.output %4 "again" : tensor<?x16x8x8xf32>
}

// Weights that train are inputs of one size, and no border: kernels read rounded
// copies, and their gradients are f32.
// CHECK-LABEL: cnn.model @step
// CHECK:      %[[W1:.*]] = cnn.input "param:a"
// CHECK:      %[[W2:.*]] = cnn.input "param:b"
// CHECK:      cnn.fused {{.*}}"the first layer"} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x8x8xbf16>
// CHECK:      %[[R2:.*]] = cnn.round %[[W2]] : tensor<16x16x3x3xf32> to tensor<16x16x3x3xbf16>
// CHECK:      cnn.fused %{{.*}}, %[[R2]] : (tensor<?x16x8x8xbf16>, tensor<16x16x3x3xbf16>) -> tensor<?x16x8x8xbf16>
// CHECK:      cnn.fused {{.*}}"the last layer"} : (tensor<?x16x8x8xbf16>, tensor<4x16x3x3xf32>) -> tensor<?x4x8x8xf32>
// CHECK:      cnn.fused {{.*}} : (tensor<?x16x8x8xbf16>, tensor<?x16x8x8xbf16>) -> tensor<16x16x3x3xf32>
cnn.model @step {
  %x = cnn.input "image" : tensor<?x3x8x8xf32>
  %w1 = cnn.input "param:a" : tensor<16x3x3x3xf32>
  %w2 = cnn.input "param:b" : tensor<16x16x3x3xf32>
  %w3 = cnn.input "param:c" : tensor<4x16x3x3xf32>
  %1 = cnn.conv %x, %w1 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x3x8x8xf32>, tensor<16x3x3x3xf32>) -> tensor<?x16x8x8xf32>
  %2 = cnn.conv %1, %w2 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x8x8xf32>, tensor<16x16x3x3xf32>) -> tensor<?x16x8x8xf32>
  %3 = cnn.conv %2, %w3 {pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x8x8xf32>, tensor<4x16x3x3xf32>) -> tensor<?x4x8x8xf32>
  %g = cnn.conv_weight_grad %1, %2 {pad = array<i64: 1, 1>} : (tensor<?x16x8x8xf32>, tensor<?x16x8x8xf32>) -> tensor<16x16x3x3xf32>
  cnn.output %3 "y" : tensor<?x4x8x8xf32>
  cnn.output %g "grad:b" : tensor<16x16x3x3xf32>
}
