//===- Shape.td - Reshaping, joining, resampling --------------------------===//

include "CnnBase.td"
include "ShapeEnums.td"

def Cnn_FlattenOp : Cnn_Layer<"flatten", ["movesDataOnly"],
    [DeclareOpInterfaceMethods<Cnn_DifferentiableOpInterface, ["hasAdjoint"]>]> {
  let summary = "N x C x H x W to N x CHW";
  let arguments = (ins AnyRankedTensor:$x);
  let hasFolder = 1;
}

def Cnn_ConcatOp : Cnn_Layer<"concat", ["movesDataOnly"]> {
  let summary = "Joins tensors along the channels";
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Cnn_UpsampleOp : Cnn_Layer<"upsample", ["getFlops"]> {
  let summary = "Enlarges each map by whole factors";
  let description = [{
    `nearest` repeats; `bilinear` interpolates between pixel centres at half
    positions, or, with `align_corners`, from corner to corner.
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$scale,
    DefaultValuedAttr<Cnn_Resample, "Resample::nearest">:$mode,
    DefaultValuedAttr<BoolAttr, "false">:$align_corners);
}

def Cnn_DropoutOp : Cnn_Layer<"dropout", ["movesDataOnly"]> {
  let summary = "Drops elements while training; the identity otherwise";
  let description = [{
    With `of = channels` or `images` all elements of one go together.
  }];
  let arguments = (ins AnyRankedTensor:$x, DefaultValuedAttr<F64Attr, "0.5">:$p,
    DefaultValuedAttr<Cnn_Dropped, "Dropped::elements">:$of);
  let hasFolder = 1;
}

def Cnn_StopOp : Cnn_Layer<"stop", ["movesDataOnly"], [Cnn_ReadsShapeOnly]> {
  let summary = "The identity, through which no gradient goes";
  let arguments = (ins AnyRankedTensor:$x);
  let hasFolder = 1;
}

def Cnn_RandomOp : Cnn_Layer<"random", [], [Cnn_ReadsShapeOnly]> {
  let summary = "Numbers from [0, 1) drawn in each step of training; 1/2 otherwise";
  let description = [{`x` gives the shape.}];
  let arguments = (ins AnyRankedTensor:$x);
}

def Cnn_InTrainingOp : Cnn_Layer<"in_training", ["movesDataOnly"]> {
  let summary = "`training` while the model trains, `otherwise` in every other use";
  let arguments = (ins AnyRankedTensor:$training, AnyRankedTensor:$otherwise);
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Cnn_PadOp : Cnn_Layer<"pad", []> {
  let summary = "A border around each map";
  let description = [{`pad` is (top, left, bottom, right).}];
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$pad,
    DefaultValuedAttr<Cnn_PadMode, "PadMode::zero">:$mode);
  let hasVerifier = 1;
}

def Cnn_RelayoutOp : Cnn_Op<"relayout", [Pure,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, ["movesDataOnly"]>]> {
  let summary = "The same values in another layout or precision";
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($result)";
  let hasVerifier = 1;
}

def Cnn_ImageOp : Cnn_Op<"image", [Pure,
    DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, []>]> {
  let summary = "A decoded picture as a tensor";
  let description = [{
    `x` is the picture, height x width x channels of u8, sizes known at run
    time. Its shorter side is resized to `resize` (bilinear, antialiased, as
    Pillow does; to the output's size where `resize` is 0), the centre `crop`ped
    to the output's size, values multiplied by `scale` and normalised by `mean`
    and `std` per channel.
  }];
  let arguments = (ins AnyRankedTensor:$x, DefaultValuedAttr<I64Attr, "0">:$resize,
    DefaultValuedAttr<F64Attr, "1.0 / 255">:$scale,
    DenseF64ArrayAttr:$mean, DenseF64ArrayAttr:$std);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
