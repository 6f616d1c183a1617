// RUN: halcyon-opt %s -cnn-open-batch | FileCheck %s

// CHECK-LABEL: cnn.model @two_images
// CHECK: cnn.input "image" : tensor<?x3x8x8xf32>
// CHECK: cnn.weight "conv.weight" : tensor<1x3x1x1xf32>
// CHECK: cnn.conv {{.*}} : (tensor<?x3x8x8xf32>, tensor<1x3x1x1xf32>) -> tensor<?x1x8x8xf32>
// CHECK: cnn.flatten {{.*}} -> tensor<?x64xf32>
// CHECK: cnn.output {{.*}} : tensor<?x64xf32>
cnn.model @two_images {
  %x = cnn.input "image" : tensor<2x3x8x8xf32>
  %w = cnn.weight "conv.weight" : tensor<1x3x1x1xf32>
  %1 = cnn.conv %x, %w : (tensor<2x3x8x8xf32>, tensor<1x3x1x1xf32>) -> tensor<2x1x8x8xf32>
  %2 = cnn.flatten %1 : (tensor<2x1x8x8xf32>) -> tensor<2x64xf32>
  cnn.output %2 "y" : tensor<2x64xf32>
}
