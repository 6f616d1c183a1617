//===- Weights.td - Arithmetic on weights ---------------------------------===//
//
// These run when the program is made: fold, transform, pack.
//
//===----------------------------------------------------------------------===//

include "CnnBase.td"

def Cnn_WeightOp : Cnn_Op<"weight", [Pure]> {
  let summary = "A parameter, by its name";
  let arguments = (ins StrAttr:$name);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Cnn_NormScaleOp : Cnn_WeightArithmeticOp<"norm_scale"> {
  let summary = "weight / sqrt(running_var + eps)";
  let arguments = (ins AnyRankedTensor:$weight, AnyRankedTensor:$running_var,
                       F64Attr:$eps);
}

def Cnn_NormShiftOp : Cnn_WeightArithmeticOp<"norm_shift"> {
  let summary = "bias - running_mean * scale";
  let arguments = (ins AnyRankedTensor:$bias, AnyRankedTensor:$running_mean,
                       AnyRankedTensor:$scale);
}

def Cnn_ScaleFilterOp : Cnn_WeightArithmeticOp<"scale_filter"> {
  let summary = "A filter with every slice along `axis` multiplied by its scale";
  let description = [{
    With `groups`, `axis` 1 of a transposed convolution's weight counts within
    the group: scale has groups * size(axis) elements and axis 0 selects the
    group.
  }];
  let arguments = (ins AnyRankedTensor:$weight, AnyRankedTensor:$scale,
                       I64Attr:$axis, DefaultValuedAttr<I64Attr, "1">:$groups);
}

def Cnn_AffineBiasOp : Cnn_WeightArithmeticOp<"affine_bias"> {
  let summary = "bias * scale + shift";
  let arguments = (ins AnyRankedTensor:$bias, AnyRankedTensor:$scale,
                       AnyRankedTensor:$shift);
}

def Cnn_RoundOp : Cnn_Op<"round", [Pure,
    DeclareOpInterfaceMethods<Cnn_WeightOpInterface>]> {
  let summary = "A weight in bf16, rounded to nearest even";
  let arguments = (ins AnyRankedTensor:$weight);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$weight attr-dict `:` type($weight) `to` type($result)";
  let hasVerifier = 1;
}

def Cnn_PackOp : Cnn_Op<"pack", [Pure,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, []>,
    DeclareOpInterfaceMethods<Cnn_WeightOpInterface>]> {
  let summary = "A weight in the order in which a kernel reads it";
  let description = [{
    The result has the operand's shape and a `#cnn.packed` encoding. It may be
    of bf16: a filter is rounded after it was transformed.

    The filter transform is Lavin and Gray, Fast Algorithms for Convolutional
    Neural Networks, 2015: G g transpose(G).

    With `adjoint`, the weight is of so many groups and turned over first, as by
    `cnn.adjoint_filter`; the result has the shape that it has then.
  }];
  let arguments = (ins AnyRankedTensor:$weight, OptionalAttr<I64Attr>:$adjoint);
  let results = (outs AnyRankedTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$weight), [{
    build($_builder, $_state, type, weight, nullptr);
  }]>];
  let assemblyFormat = "$weight attr-dict `:` type($weight) `to` type($result)";
  let hasVerifier = 1;
}
