// RUN: halcyon-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{unknown layout 'ncwh'; there are nchw, nhwc and blocked ones such as nchw16c}}
#unknown = #cnn.layout<"ncwh">

// -----

// expected-error @below {{unknown layout 'nchw1c'}}
#block = #cnn.layout<"nchw1c">

// -----

// expected-error @below {{halo is four sizes: top, left, bottom, right}}
#halo = #cnn.layout<"nchw", halo = [1, 1]>

// -----

// expected-error @below {{halo is four sizes: top, left, bottom, right}}
#negative = #cnn.layout<"nchw", halo = [1, 1, -1, 0]>

// -----

// expected-error @below {{channels is negative}}
#channels = #cnn.layout<"nchw", channels = -1>

// -----

cnn.model @changes_shape {
  %x = cnn.input "x" : tensor<?x8x6x6xf32>
  // expected-error @below {{changes the shape}}
  %y = cnn.relayout %x : tensor<?x8x6x6xf32> to tensor<?x8x6x5xf32>
}

// -----

cnn.model @not_packed {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{packs a weight without changing its shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32>
}

// -----

cnn.model @halves_of_groups {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{turns over weights of whole groups of channels}}
  %y = cnn.pack %w {adjoint = 3 : i64} : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"OIhw8i8o">>
}

// -----

cnn.model @turned_to_another_shape {
  %w = cnn.weight "w" : tensor<8x4x3x3xf32>
  // expected-error @below {{packs a weight without changing its shape}}
  %y = cnn.pack %w {adjoint = 1 : i64} : tensor<8x4x3x3xf32> to tensor<8x4x3x3xf32, #cnn.packed<"OIhw8i8o">>
}

// -----

cnn.model @unknown_letter {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{tag 'oihx' does not fit the shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"oihx">>
}

// -----

cnn.model @leaves_out_a_dimension {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{tag 'oih' does not fit the shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"oih">>
}

// -----

cnn.model @no_such_tile {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{transforms filters for tiles of at least 2, with at most 10 products along an axis}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"hwoi", winograd = 1>>
}

// -----

cnn.model @no_such_filter {
  %w = cnn.weight "w" : tensor<8x8x5x9xf32>
  // expected-error @below {{transforms filters for tiles of at least 2, with at most 10 products along an axis}}
  %y = cnn.pack %w : tensor<8x8x5x9xf32> to tensor<8x8x5x9xf32, #cnn.packed<"hwoi", winograd = 4>>
}

// -----

cnn.model @no_block_of_inputs {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{the fast inner product takes a tag that ends with a block of 'i' and one of 'o', in f32}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"OIhw8o", fip>>
}

// -----

cnn.model @fast_in_halves {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{the fast inner product takes a tag that ends with a block of 'i' and one of 'o', in f32}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xbf16, #cnn.packed<"OIhw8i8o", fip>>
}

// -----

cnn.model @more_phases_than_rows {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{tag '%4hOIhw8i8o' does not fit the shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"%4hOIhw8i8o">>
}

// -----

cnn.model @phases_of_phases {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{tag '%2h%2hOIhw8i8o' does not fit the shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"%2h%2hOIhw8i8o">>
}

// -----

cnn.model @phases_of_nothing {
  %w = cnn.weight "w" : tensor<8x8x3x3xf32>
  // expected-error @below {{tag 'OIhw8i8o%2' does not fit the shape}}
  %y = cnn.pack %w : tensor<8x8x3x3xf32> to tensor<8x8x3x3xf32, #cnn.packed<"OIhw8i8o%2">>
}
