// RUN: halcyon-opt %s -split-input-file -verify-diagnostics

cnn.model @m {
  %w = cnn.weight "w" : tensor<8x4xf32>
  // expected-error @+1 {{makes a weight bf16 without changing its shape}}
  %r = cnn.round %w : tensor<8x4xf32> to tensor<4x8xbf16>
}

// -----

cnn.model @m {
  %w = cnn.weight "w" : tensor<8x4xf32>
  // expected-error @+1 {{makes a weight bf16 without changing its shape}}
  %r = cnn.round %w : tensor<8x4xf32> to tensor<8x4xf32>
}

// -----

cnn.model @m {
  %x = cnn.input "x" : tensor<?x4x8x8xf32>
  // expected-error @+1 {{cnn.precision is "f32" or "bf16", of a layer}}
  %y = cnn.softmax %x {cnn.precision = "half"} : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf32>
}

// -----

cnn.model @m {
  // expected-error @+1 {{cnn.precision is "f32" or "bf16", of a layer}}
  %w = cnn.weight "w" {cnn.precision = "bf16"} : tensor<8x4xf32>
}

// -----

// A layer may store another precision than it reads, and nothing else.
cnn.model @m {
  %x = cnn.input "x" : tensor<?x4x8x8xf32>
  %y = cnn.softmax %x {} : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xbf16>
  // expected-error @+2 {{incompatible with return type}}
  // expected-error @+1 {{failed to infer returned types}}
  %z = cnn.softmax %x {} : (tensor<?x4x8x8xf32>) -> tensor<?x4x8x8xf16>
}
