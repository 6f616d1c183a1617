// RUN: halcyon-opt %s -exec-split-batch="target=x86-64-avx512 batch=8" -exec-plan-memory | FileCheck %s
// RUN: halcyon-opt %s -exec-split-batch="target=x86-64-avx512 batch=8 images=3" | FileCheck %s --check-prefix=THREE
// RUN: halcyon-opt %s -exec-split-batch="target=x86-64-avx512 batch=1" | FileCheck %s --check-prefix=NONE
// RUN: halcyon-opt %s -exec-split-batch="target=opencl batch=8" | FileCheck %s --check-prefix=NONE
//
// Calls that stand one behind the other, and whose values would leave the caches
// between them, take a batch in parts.
//
// NONE-NOT: chain

// A map of an image is 3.2 MB; eight of them are more than the caches hold. The
// buffer between the two calls holds one image at a time, at the arena's
// beginning: nothing else is kept there. What the sum over the batch reads is
// kept of all images. A small map behind it stays in the caches as it is.
// CHECK-LABEL: exec.program @maps
// CHECK-SAME:  arena = 3211264 : i64, arena_bound = 6422528 : i64, arena_chains = 3211264 : i64, arena_fixed = 64 : i64
// CHECK:       exec.arena {buffer = 0 : i64, bytes = 3211264 : i64, images = 1 : i64, room = 0 : i64, slot = 3211264 : i64}
// CHECK:       exec.call @map({{.*}}) -> ({{.*}}) {chain = 0 : i64, images = 1 : i64}
// CHECK:       exec.arena {buffer = 0 : i64, bytes = 3211264 : i64, images = 1 : i64, room = 0 : i64, slot = 3211264 : i64}
// CHECK:       exec.arena {buffer = 1 : i64, bytes = 3211264 : i64, slot = 0 : i64}
// CHECK:       exec.call @map({{.*}}) -> ({{.*}}) {chain = 0 : i64, images = 1 : i64}
// CHECK:       exec.call @sum({{.*}}) -> ({{.*}}) :
// CHECK:       exec.call @small({{.*}}) -> ({{.*}}) :
// CHECK:       exec.call @small({{.*}}) -> ({{.*}}) :
//
// THREE-LABEL: exec.program @maps
// THREE:       exec.arena {buffer = 0 : i64, bytes = 3211264 : i64, images = 3 : i64}
// THREE:       exec.call @map({{.*}}) -> ({{.*}}) {chain = 0 : i64, images = 3 : i64}
exec.program @maps attributes {inputs = [], outputs = []} {
  exec.kernel @map <"elementwise", {}> {
  ^bb0(%x: tensor<?x256x56x56xf32>):
    %0 = cnn.map "twice" %x : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32> {
    ^bb0(%p: f32):
      %m = arith.addf %p, %p : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x256x56x56xf32>
  }
  exec.kernel @sum <"reduce", {}> {
  ^bb0(%x: tensor<?x256x56x56xf32>):
    %0 = cnn.sum %x : (tensor<?x256x56x56xf32>) -> tensor<1xf32>
    cnn.yield %0 : tensor<1xf32>
  }
  exec.kernel @small <"elementwise", {}> {
  ^bb0(%x: tensor<?x256x7x7xf32>):
    %0 = cnn.map "twice" %x : (tensor<?x256x7x7xf32>) -> tensor<?x256x7x7xf32> {
    ^bb0(%p: f32):
      %m = arith.addf %p, %p : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x256x7x7xf32>
  }
  exec.function @infer {
    %x = exec.input {index = 0 : i64} : tensor<?x256x56x56xf32>
    %a = exec.arena {buffer = 0 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    exec.call @map(%x) -> (%a) : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32>
    %b = exec.arena {buffer = 0 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    %c = exec.arena {buffer = 1 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    exec.call @map(%b) -> (%c) : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32>
    %d = exec.arena {buffer = 1 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    %s = exec.arena {buffer = 2 : i64, bytes = 64 : i64} : tensor<1xf32>
    exec.call @sum(%d) -> (%s) : (tensor<?x256x56x56xf32>) -> tensor<1xf32>
    %t = exec.input {index = 1 : i64} : tensor<?x256x7x7xf32>
    %e = exec.arena {buffer = 3 : i64, bytes = 50176 : i64} : tensor<?x256x7x7xf32>
    exec.call @small(%t) -> (%e) : (tensor<?x256x7x7xf32>) -> tensor<?x256x7x7xf32>
    %f = exec.arena {buffer = 3 : i64, bytes = 50176 : i64} : tensor<?x256x7x7xf32>
    %y = exec.output {index = 0 : i64} : tensor<?x256x7x7xf32>
    exec.call @small(%f) -> (%y) : (tensor<?x256x7x7xf32>) -> tensor<?x256x7x7xf32>
  }
}

// An operation in index notation that picks an image by the batch's index, and one
// that reads the whole batch.
// CHECK-LABEL: exec.program @indexed
// CHECK:       exec.call @own({{.*}}) -> ({{.*}}) {chain = 0 : i64, images = 1 : i64}
// CHECK:       exec.call @own({{.*}}) -> ({{.*}}) {chain = 0 : i64, images = 1 : i64}
// CHECK:       exec.call @mean({{.*}}) -> ({{.*}}) :
exec.program @indexed attributes {inputs = [], outputs = []} {
  exec.kernel @own <"indexed", {}> {
  ^bb0(%x: tensor<?x256x56x56xf32>):
    %0 = cnn.indexed "turn" %x : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32> {
    ^bb0(%n: index, %c: index, %i: index, %j: index):
      %a = cnn.read 0[%n, %c, %j, %i] : f32
      cnn.yield %a : f32
    }
    cnn.yield %0 : tensor<?x256x56x56xf32>
  }
  exec.kernel @mean <"indexed", {}> {
  ^bb0(%x: tensor<?x256x56x56xf32>):
    %0 = cnn.indexed "others" %x : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32> {
    ^bb0(%n: index, %c: index, %i: index, %j: index):
      %m = cnn.reduce mean from [0] size [-1] : f32 {
      ^bb0(%u: index):
        %b = cnn.read 0[%u, %c, %i, %j] : f32
        cnn.yield %b : f32
      }
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x256x56x56xf32>
  }
  exec.function @infer {
    %x = exec.input {index = 0 : i64} : tensor<?x256x56x56xf32>
    %a = exec.arena {buffer = 0 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    exec.call @own(%x) -> (%a) : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32>
    %b = exec.arena {buffer = 0 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    %c = exec.arena {buffer = 1 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    exec.call @own(%b) -> (%c) : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32>
    %d = exec.arena {buffer = 1 : i64, bytes = 3211264 : i64} : tensor<?x256x56x56xf32>
    %y = exec.output {index = 0 : i64} : tensor<?x256x56x56xf32>
    exec.call @mean(%d) -> (%y) : (tensor<?x256x56x56xf32>) -> tensor<?x256x56x56xf32>
  }
}
