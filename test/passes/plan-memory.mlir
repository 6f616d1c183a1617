// RUN: halcyon-opt %s -exec-plan-memory | FileCheck %s
//
// All buffers lie in one arena. `slot` is the place of a buffer in it, in bytes
// per image.

// Buffers are alive from the call that first writes them to the last that reads
// them. The third one takes the place of the first: two are alive at any time.
// CHECK-LABEL: exec.program @reuse
// CHECK-SAME: arena = 2048 : i64, arena_bound = 2048 : i64
// CHECK: exec.arena {buffer = 0 : i64, bytes = 1024 : i64, slot = [[A:[0-9]+]] : i64}
// CHECK: exec.arena {buffer = 1 : i64, bytes = 1024 : i64, slot = [[B:[0-9]+]] : i64}
// CHECK: exec.arena {buffer = 2 : i64, bytes = 1024 : i64, slot = [[A]] : i64}
exec.program @reuse attributes {inputs = [], outputs = []} {
  exec.kernel @pool <"pool", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%5) -> (%6) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %7 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%7) -> (%8) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// An elementwise kernel reads each element where it writes it: a chain of them
// needs one buffer.
// CHECK-LABEL: exec.program @in_place
// CHECK-SAME: arena = 1024 : i64, arena_bound = 1024 : i64
// CHECK-COUNT-6: exec.arena {{.*}}slot = 0 : i64
exec.program @in_place attributes {inputs = [], outputs = []} {
  exec.kernel @relu <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "relu" %x : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %p, %zero : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%5) -> (%6) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %7 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%7) -> (%8) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// Not while the input is still needed. The sum is its last reader and lies over it.
// CHECK-LABEL: exec.program @read_later
// CHECK-SAME: arena = 2048 : i64, arena_bound = 2048 : i64
// CHECK:      exec.call @relu(%{{.*}}) -> (%{{.*}})
// CHECK:      exec.arena {buffer = 0 : i64, bytes = 1024 : i64, slot = [[A:[0-9]+]] : i64}
// CHECK-NEXT: exec.arena {buffer = 1 : i64, bytes = 1024 : i64, slot = [[B:[0-9]+]] : i64}
// CHECK:      exec.call @add
// CHECK:      exec.arena {buffer = 2 : i64, bytes = 1024 : i64, slot = [[A]] : i64}
exec.program @read_later attributes {inputs = [], outputs = []} {
  exec.kernel @relu <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "relu" %x : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %p, %zero : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.kernel @add <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, %y: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "add" %x, %y : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32, %q: f32):
      %s = arith.addf %p, %q : f32
      cnn.yield %s : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %7 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @add(%5, %6) -> (%7) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %9 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%8) -> (%9) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// Nor where the kernel reads it in two places.
// CHECK-LABEL: exec.program @read_twice
// CHECK-SAME: arena = 2048 : i64, arena_bound = 2048 : i64
exec.program @read_twice attributes {inputs = [], outputs = []} {
  exec.kernel @relu <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "relu" %x : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %p, %zero : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.kernel @add <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, %y: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "add" %x, %y : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32, %q: f32):
      %s = arith.addf %p, %q : f32
      cnn.yield %s : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @add(%3, %4) -> (%5) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %7 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @relu(%6) -> (%7) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// A convolution reads its own input more than once, but what is added to a tile is
// read when the tile is written: the sum lies over the skipped value.
// CHECK-LABEL: exec.program @residual
// CHECK-SAME: arena = 2048 : i64, arena_bound = 2048 : i64
// CHECK:      exec.arena {buffer = 1 : i64, bytes = 1024 : i64, slot = [[B:[0-9]+]] : i64}
// CHECK:      exec.arena {buffer = 2 : i64, bytes = 1024 : i64, slot = [[B]] : i64}
// CHECK-NEXT: exec.call @conv
exec.program @residual attributes {inputs = [], outputs = []} {
  exec.kernel @pool <"pool", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.kernel @conv <"direct", {tile_co = 1 : i64, tile_x = 4 : i64, tile_y = 2 : i64}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, %w: tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>, %y: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.conv %x, %w : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %1 = cnn.map "add" %0, %y : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32, %q: f32):
      %s = arith.addf %p, %q : f32
      cnn.yield %s : f32
    }
    cnn.yield %1 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.weights {offset = 0 : i64} : tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>
    %7 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @conv(%5, %6, %7) -> (%8) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %9 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %10 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%9) -> (%10) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// Tiles of 3 don't divide a row of 4: the last one computes again what lies there,
// and must find what was there before.
// CHECK-LABEL: exec.program @tiles_repeat
// CHECK-SAME: arena = 3072 : i64, arena_bound = 3072 : i64
exec.program @tiles_repeat attributes {inputs = [], outputs = []} {
  exec.kernel @pool <"pool", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.kernel @conv <"direct", {tile_co = 1 : i64, tile_x = 3 : i64, tile_y = 2 : i64}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, %w: tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>, %y: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.conv %x, %w : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %1 = cnn.map "add" %0, %y : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32, %q: f32):
      %s = arith.addf %p, %q : f32
      cnn.yield %s : f32
    }
    cnn.yield %1 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.weights {offset = 0 : i64} : tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>
    %7 = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @conv(%5, %6, %7) -> (%8) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<16x16x1x1xf32, #cnn.packed<"OIhw16i16o">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %9 = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %10 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%9) -> (%10) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}

// Slices share their buffer with others: it lives until the last of them is read,
// and nothing lies over it.
// CHECK-LABEL: exec.program @slices
// CHECK-SAME: arena = 4096 : i64, arena_bound = 4096 : i64
// CHECK:      exec.arena {buffer = 0 : i64, bytes = 2048 : i64, offset = 1024 : i64, slot = [[A:[0-9]+]] : i64}
// CHECK:      exec.arena {buffer = 0 : i64, bytes = 2048 : i64, slot = [[A]] : i64}
exec.program @slices attributes {inputs = [], outputs = []} {
  exec.kernel @relu <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>):
    %0 = cnn.map "relu" %x : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>> {
    ^bb0(%p: f32):
      %zero = arith.constant 0.0 : f32
      %m = arith.maximumf %p, %zero : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %2 = exec.arena {buffer = 0 : i64, bytes = 2048 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    exec.call @relu(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %3 = exec.arena {buffer = 0 : i64, bytes = 2048 : i64, offset = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    exec.call @relu(%1) -> (%3) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %4 = exec.arena {buffer = 0 : i64, bytes = 2048 : i64, offset = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %5 = exec.arena {buffer = 1 : i64, bytes = 2048 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    exec.call @relu(%4) -> (%5) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %6 = exec.arena {buffer = 0 : i64, bytes = 2048 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %7 = exec.arena {buffer = 1 : i64, bytes = 2048 : i64, offset = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    exec.call @relu(%6) -> (%7) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %8 = exec.arena {buffer = 1 : i64, bytes = 2048 : i64, offset = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    %9 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
    exec.call @relu(%8) -> (%9) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c", channels = 32>>
  }
}

// Of several orders the best is kept: here it meets the bound, the largest sum of
// buffers alive at one time.
// CHECK-LABEL: exec.program @sizes
// CHECK-SAME: arena = 6144 : i64, arena_bound = 6144 : i64
exec.program @sizes attributes {inputs = [], outputs = []} {
  exec.kernel @pool <"pool", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %1 = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %2 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%1) -> (%2) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %3 = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %4 = exec.arena {buffer = 1 : i64, bytes = 4096 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%3) -> (%4) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %5 = exec.arena {buffer = 1 : i64, bytes = 4096 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %6 = exec.arena {buffer = 2 : i64, bytes = 2048 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%5) -> (%6) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %7 = exec.arena {buffer = 2 : i64, bytes = 2048 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %8 = exec.arena {buffer = 3 : i64, bytes = 3072 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%7) -> (%8) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %9 = exec.arena {buffer = 3 : i64, bytes = 3072 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %10 = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%9) -> (%10) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}
