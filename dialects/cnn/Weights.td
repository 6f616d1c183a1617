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

def Cnn_WinogradFilterOp : Cnn_WeightArithmeticOp<"winograd_filter"> {
  let summary = "O x C x 3 x 3 to O x C x (m+2) x (m+2): G g transpose(G)";
  let description = [{
    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015,
    for output tiles of m x m.
  }];
  let arguments = (ins AnyRankedTensor:$weight, I64Attr:$m);
}

def Cnn_PackOp : Cnn_WeightArithmeticOp<"pack"> {
  let summary = "A weight in the order in which a kernel reads it";
  let description = [{
    `tag` lists the result's dimensions, outermost first. A lower-case letter
    is a whole dimension (`o`, `i`, `h`, `w` are dimensions 0 to 3); a capital
    counts blocks of a dimension, and a number before a lower-case letter gives
    the block: `OIhw16i16o` is O/16 x I/16 x KH x KW x 16 x 16. What a block
    lacks is filled with zeros.
  }];
  let arguments = (ins AnyRankedTensor:$weight, StrAttr:$tag);
}
