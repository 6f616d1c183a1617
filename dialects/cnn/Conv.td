//===- Conv.td - Convolutions ---------------------------------------------===//

include "CnnBase.td"

def Cnn_ConvOp : Cnn_Layer<"conv",
    ["getFlops", "getWindow", "takesPrologue"], [
    Cnn_PaddedOpInterface, Cnn_AffineOpInterface,
    DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface>],
    ["layerArgument"]> {
  let summary = "Convolution";
  let description = [{
    y[n, o, i, j] = bias[o] + sum over c, u, v of
      weight[o, c, u, v] * x[n, g(o) + c, i * stride + u * dilation - pad, ...]

    `x` is N x C x H x W, `weight` O x C/groups x KH x KW, `bias` O. `pad` is
    (top, left, bottom, right); `auto_pad` stands for padding that depends on
    the sizes until `cnn-normalize-padding` resolves it.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight,
    Optional<AnyRankedTensor>:$bias,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$stride,
    DefaultValuedAttr<DenseI64ArrayAttr, "{0, 0, 0, 0}">:$pad,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$dilation,
    DefaultValuedAttr<I64Attr, "1">:$groups,
    DefaultValuedAttr<Cnn_PadMode, "PadMode::zero">:$pad_mode,
    DefaultValuedAttr<Cnn_AutoPad, "AutoPad::none">:$auto_pad);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isDepthwise();
    /// KH, KW.
    ::llvm::SmallVector<int64_t, 2> getKernel();
    bool takeZerosAsPad();
  }];
}

def Cnn_ConvTransposeOp : Cnn_Layer<"conv_transpose", ["getFlops", "getWindow"], [
    Cnn_AffineOpInterface,
    DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface>],
    ["layerArgument"]> {
  let summary = "Transposed convolution";
  let description = [{
    The adjoint of a convolution: each input element adds `weight`, scaled, to
    a window of the output. `weight` is C x O/groups x KH x KW. The output has
    (H - 1) * stride - pad + dilation * (KH - 1) + 1 + output_pad rows.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$weight,
    Optional<AnyRankedTensor>:$bias,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$stride,
    DefaultValuedAttr<DenseI64ArrayAttr, "{0, 0, 0, 0}">:$pad,
    DefaultValuedAttr<DenseI64ArrayAttr, "{0, 0}">:$output_pad,
    DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$dilation,
    DefaultValuedAttr<I64Attr, "1">:$groups);
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getChannelAxis() { return 1; }
    int64_t getChannelGroups() { return getGroups(); }
  }];
}
