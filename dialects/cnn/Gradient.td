//===- Gradient.td - Derivatives, and what they are made of ---------------===//

include "CnnBase.td"

/// An operation that a gradient consists of: no layer of the language.
class Cnn_GradientOp<string mnemonic, list<string> computeMethods,
                     list<Trait> traits = []>
    : Cnn_Op<mnemonic, traits # [Pure,
        DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, computeMethods>]>;

def Cnn_DerivativeOp : Cnn_Op<"derivative", [Pure, SingleBlock,
                                             IsolatedFromAbove]> {
  let summary = "The derivative of a function of scalars";
  let description = [{
    The partial derivative, with respect to argument number `wrt`, of what the
    region yields, at the operands. Halide derives it from the region.

    ```mlir
    %d = cnn.derivative 0 of %x : (f32) -> f32 {
    ^bb0(%a: f32):
      %0 = math.tanh %a : f32
      cnn.yield %0 : f32
    }
    ```
  }];
  let arguments = (ins I64Attr:$wrt, Variadic<AnyType>:$inputs);
  let results = (outs AnyType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $wrt `of` $inputs attr-dict `:` functional-type($inputs, results) $body
  }];
  let hasVerifier = 1;
}

def Cnn_AdjointOp : Cnn_GradientOp<"adjoint", ["getFlops", "takesEpilogue",
                                               "isPerImage"],
                                   [SingleBlock, IsolatedFromAbove]> {
  let summary = "Gradients that Halide derives from an operation's algorithm";
  let description = [{
    The region holds one operation on its arguments. The operands are those
    arguments' values, then the gradients of the operation's results; the results
    are the gradients of the arguments whose numbers `wrt` lists.

    ```mlir
    %dx = cnn.adjoint [0] of %x, %dy : (tensor<?x8x6x6xf32>, tensor<?x8x3x3xf32>) -> tensor<?x8x6x6xf32> {
    ^bb0(%a: tensor<?x8x6x6xf32>):
      %0 = cnn.maxpool %a {...} : (tensor<?x8x6x6xf32>) -> tensor<?x8x3x3xf32>
      cnn.yield %0 : tensor<?x8x3x3xf32>
    }
    ```
  }];
  let arguments = (ins DenseI64ArrayAttr:$wrt, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $wrt `of` $inputs attr-dict `:` functional-type($inputs, results) $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The operation that is differentiated.
    ::mlir::Operation *getForward() { return &getBody().front().front(); }
  }];
}

def Cnn_SumOp : Cnn_GradientOp<"sum", ["getFlops", "takesPrologue", "takesPrologues"]> {
  let summary = "Sums over the dimensions in which a result has size 1";
  let description = [{
    Each operand, all of one shape, is summed to a result: of the operand's rank,
    with sizes of 1 where it is summed; a vector of the channels; or a vector of
    one element. Several sums over the same values are one pass over memory.

    ```mlir
    %db, %dg = cnn.sum %0, %1 : (tensor<?x8x6x6xf32>, tensor<?x8x6x6xf32>) -> (tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, results)";
  let hasVerifier = 1;
}

def Cnn_CountOp : Cnn_GradientOp<"count", [], [Cnn_ReadsShapeOnly]> {
  let summary = "How many elements a channel of the batch has";
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def Cnn_BatchStatsOp : Cnn_GradientOp<"batch_stats", ["getFlops"],
    [DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface>]> {
  let summary = "Mean and variance of each channel over the batch";
  let description = [{The variance is that of the sample, divided by the count.}];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$mean, AnyRankedTensor:$variance);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def Cnn_ConvWeightGradOp : Cnn_GradientOp<"conv_weight_grad", ["getFlops"]> {
  let summary = "The gradient of a convolution's weight";
  let description = [{
    dw[o, c, u, v] = sum over n, i, j of
      dy[n, o, i, j] * x[n, g(o) + c, i * stride + u * dilation - pad, ...]

    `x` is N x C x H x W, `dy` N x O x OH x OW, the result O x C/groups x KH x KW.
    `pad` is (top, left); cells outside are zeros.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$dy,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$stride,
    DefaultValuedAttr<DenseI64ArrayAttr, "{0, 0}">:$pad,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$dilation,
    DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x `,` $dy attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Cnn_LinearWeightGradOp : Cnn_GradientOp<"linear_weight_grad", ["getFlops"]> {
  let summary = "The gradient of a dense layer's weight: transpose(dy) * x";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$dy);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x `,` $dy attr-dict `:` functional-type(operands, results)";
}

def Cnn_AdjointFilterOp : Cnn_GradientOp<"adjoint_filter", []> {
  let summary = "The weight with which a layer's gradient is a layer again";
  let description = [{
    Input and output channels are exchanged, within groups, and taps reversed:
    O x C/groups x KH x KW becomes C x O/groups x KH x KW; O x C becomes C x O.
  }];
  let arguments = (ins AnyRankedTensor:$weight,
                       DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$weight attr-dict `:` functional-type(operands, results)";
}

def Cnn_UnflattenOp : Cnn_GradientOp<"unflatten", [],
    [DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface, ["hasAdjoint"]>]> {
  let summary = "N x CHW to N x C x H x W";
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

def Cnn_UniformOp : Cnn_GradientOp<"uniform", [], [Cnn_ReadsShapeOnly]> {
  let summary = "Numbers from [0, 1)";
  let description = [{
    Each element is drawn from its place in the batch, `seed`, `step` and `layer`
    alone, so that threads and kernels make no difference. `x` gives the batch.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$seed,
                       AnyRankedTensor:$step, I64Attr:$layer);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x `,` $seed `,` $step attr-dict `:` functional-type(operands, results)";
}
