// RUN: halcyon-opt %s --pass-pipeline='builtin.module(exec-recompute{memory=2500})' | FileCheck %s
// RUN: halcyon-opt %s --pass-pipeline='builtin.module(exec-recompute{memory=3500})' | FileCheck %s --check-prefix=FITS
// RUN: not halcyon-opt %s --pass-pipeline='builtin.module(exec-recompute{memory=3500 batch=2})' 2>&1 | FileCheck %s --check-prefix=LEAST
//
// A buffer that lies idle is let go, and the call that filled it is made again before
// it is read. Three are alive where a training may have two: the first one goes.

// FITS-NOT: computed again
// LEAST: error: training with batches of 2 takes 5K at least, and may take 3K; smaller batches take less

// CHECK-LABEL: exec.program @step
// CHECK: exec.call @pool(%[[X:.*]]) -> (%{{.*}}) :
// CHECK-COUNT-3: exec.call @pool(%{{.*}}) -> (%{{.*}}) :
// CHECK: %[[NEW:.*]] = exec.arena {buffer = 4 : i64, bytes = 1024 : i64}
// CHECK: exec.call @pool(%{{.*}}) -> (%[[NEW]]) {reason = "computed again to save memory"}
// CHECK: exec.call @add
exec.program @step attributes {inputs = [{name = "x", type = tensor<?x16x4x4xf32>}, {name = "param:w", type = tensor<16xf32>}], outputs = [{name = "loss", type = tensor<?x16x4x4xf32>}]} {
  exec.kernel @pool <"pool", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.maxpool %x {kernel = array<i64: 3, 3>, stride = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>} : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.kernel @add <"elementwise", {}> {
  ^bb0(%x: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, %y: tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>):
    %0 = cnn.map "add" %x, %y : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">> {
    ^bb0(%p: f32, %q: f32):
      %m = arith.addf %p, %q : f32
      cnn.yield %m : f32
    }
    cnn.yield %0 : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
  exec.function @infer {
    %x = exec.input {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %a = exec.arena {buffer = 0 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%x) -> (%a) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %b = exec.arena {buffer = 1 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%a) -> (%b) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %c = exec.arena {buffer = 2 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%b) -> (%c) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %d = exec.arena {buffer = 3 : i64, bytes = 1024 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @pool(%c) -> (%d) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    %o = exec.output {index = 0 : i64} : tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
    exec.call @add(%d, %a) -> (%o) : (tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>, tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>) -> tensor<?x16x4x4xf32, #cnn.layout<"nchw16c">>
  }
}
exec.program @eval attributes {inputs = [], outputs = []} {
  exec.function @infer {
  }
}
