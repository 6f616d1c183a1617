// RUN: halcyon-opt %s | halcyon-opt | FileCheck %s
//
// How tensors and weights lie in memory is part of their types.

// CHECK-LABEL: cnn.model @layouts
cnn.model @layouts {
  // Dense and row-major where a type says nothing.
  // CHECK: cnn.input "a" : tensor<?x8x6x6xf32>
  %a = cnn.input "a" : tensor<?x8x6x6xf32>
  // CHECK: tensor<?x8x6x6xf32, #cnn.layout<"nhwc">>
  %b = cnn.relayout %a : tensor<?x8x6x6xf32> to tensor<?x8x6x6xf32, #cnn.layout<"nhwc">>
  // Blocks of channels, with a border of zeros that convolutions read as
  // padding; a border of nothing is not printed.
  // CHECK: tensor<?x8x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 2, 3, 4]>>
  %c = cnn.relayout %a : tensor<?x8x6x6xf32> to tensor<?x8x6x6xf32, #cnn.layout<"nchw16c", halo = [1, 2, 3, 4]>>
  // CHECK: tensor<?x8x6x6xf32, #cnn.layout<"nchw8c">>
  %d = cnn.relayout %a : tensor<?x8x6x6xf32> to tensor<?x8x6x6xf32, #cnn.layout<"nchw8c", halo = [0, 0, 0, 0]>>
  // A slice of a buffer of 32 channels.
  // CHECK: tensor<?x8x6x6xf32, #cnn.layout<"nchw", channels = 32>>
  %e = cnn.relayout %a : tensor<?x8x6x6xf32> to tensor<?x8x6x6xf32, #cnn.layout<"nchw", channels = 32>>
}

// Packed weights, in the order in which a kernel reads them.
// CHECK-LABEL: cnn.model @packed
cnn.model @packed {
  %w = cnn.weight "conv.weight" : tensor<64x32x3x3xf32>
  %v = cnn.weight "fc.weight" : tensor<10x4xf32>
  // CHECK: cnn.pack %{{.*}} : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"OIhwi16o">>
  %1 = cnn.pack %w : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"OIhwi16o">>
  // Winograd's F(4x4): 6x6 transformed taps.
  // CHECK: tensor<64x32x3x3xf32, #cnn.packed<"hwOi16o", winograd = 4>>
  %2 = cnn.pack %w : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"hwOi16o", winograd = 4>>
  // CHECK: tensor<10x4xf32, #cnn.packed<"Oi16o">>
  %3 = cnn.pack %v : tensor<10x4xf32> to tensor<10x4xf32, #cnn.packed<"Oi16o">>
  // The phases of rows and columns, of two each, outermost.
  // CHECK: tensor<64x32x3x3xf32, #cnn.packed<"%2h%2wOIhwi16o">>
  %6 = cnn.pack %w : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"%2h%2wOIhwi16o">>
  // For the fast inner product: as they are, and transformed.
  // CHECK: tensor<64x32x3x3xf32, #cnn.packed<"OIhw16i16o", fip>>
  %4 = cnn.pack %w : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"OIhw16i16o", fip>>
  // CHECK: tensor<64x32x3x3xf32, #cnn.packed<"hwOI16i16o", winograd = 4, fip>>
  %5 = cnn.pack %w : tensor<64x32x3x3xf32> to tensor<64x32x3x3xf32, #cnn.packed<"hwOI16i16o", winograd = 4, fip>>
}
