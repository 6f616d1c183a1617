//===- Pool.td - Pooling --------------------------------------------------===//

include "CnnBase.td"

class Cnn_PoolOp<string mnemonic, dag extra>
    : Cnn_Layer<mnemonic, ["getFlops", "getWindow", "takesPrologue"],
                [Cnn_PaddedOpInterface], ["layerArgument"]> {
  let arguments = !con((ins AnyRankedTensor:$x,
    DenseI64ArrayAttr:$kernel,
    DenseI64ArrayAttr:$stride,
    DefaultValuedAttr<DenseI64ArrayAttr, "{0, 0, 0, 0}">:$pad,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$dilation,
    DefaultValuedAttr<BoolAttr, "false">:$ceil,
    DefaultValuedAttr<Cnn_AutoPad, "AutoPad::none">:$auto_pad), extra);
  let hasVerifier = 1;
}

def Cnn_MaxPoolOp : Cnn_PoolOp<"maxpool", (ins)> {
  let summary = "Maximum over windows; padding never wins";
  let extraClassDeclaration = [{
    bool takeOverhangAsPad() { return true; }
  }];
}

def Cnn_AvgPoolOp : Cnn_PoolOp<"avgpool",
    (ins DefaultValuedAttr<BoolAttr, "true">:$count_pad)> {
  let summary = "Mean over windows";
  let description = [{
    With `count_pad`, the divisor counts padding, but never what `ceil` adds
    beyond it.
  }];
  let extraClassDeclaration = [{
    bool takeOverhangAsPad();
    bool takeZerosAsPad();
  }];
}

class Cnn_GlobalPoolOp<string mnemonic>
    : Cnn_Layer<mnemonic, ["getFlops", "getWindow", "takesPrologue"]> {
  let arguments = (ins AnyRankedTensor:$x);
}
def Cnn_GlobalAvgPoolOp : Cnn_GlobalPoolOp<"global_avgpool"> {
  let summary = "Mean over each map: N x C x 1 x 1";
}
def Cnn_GlobalMaxPoolOp : Cnn_GlobalPoolOp<"global_maxpool"> {
  let summary = "Maximum over each map: N x C x 1 x 1";
}

def Cnn_AdaptiveAvgPoolOp : Cnn_Layer<"adaptive_avgpool", ["getFlops"]> {
  let summary = "Mean over windows that divide the map into `size` cells";
  let description = [{
    Cell i covers rows floor(i * H / size) to ceil((i + 1) * H / size) - 1.
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$size);
}
