//===- CnnBase.td - The cnn dialect, its attributes and interfaces --------===//

#ifndef HALCYON_CNN_BASE
#define HALCYON_CNN_BASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Cnn_Dialect : Dialect {
  let name = "cnn";
  let cppNamespace = "::halcyon::cnn";
  let summary = "What a convolutional network computes";
  let description = [{
    Layers as operations on tensors of logical shape N x C x H x W (or N x C).
    The batch N may be dynamic; every other size is known. The layers carry the
    names and attributes that they have in the language. A tensor type without
    an encoding is dense and row-major; `#cnn.layout` says how else it lies in
    memory. An element type of bf16 is one of storage: operations compute in f32
    and round, to nearest even, what they write.

    `cnn.max_error` (f64), on a model, on a layer with structure or on a
    `cnn.fused`, bounds what the choice of an algorithm may add to the result:
    the largest difference from the exact one over the largest value.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"
  ];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerGraphOps();
    void registerConvOps();
    void registerPoolOps();
    void registerNormOps();
    void registerMapOps();
    void registerIndexedOps();
    void registerShapeOps();
    void registerLinearOps();
    void registerWeightOps();
    void registerTrainOps();
    void registerGradientOps();
  }];
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Cnn_Attr<string name, string attrMnemonic> : AttrDef<Cnn_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Cnn_LayoutAttr : Cnn_Attr<"Layout", "layout"> {
  let summary = "How a tensor of logical shape NCHW lies in memory";
  let description = [{
    `"nchw"`, `"nhwc"`, or `"nchw16c"` (any block): channels in blocks, the
    block innermost; lanes past the channel count hold zero. `halo` is a border
    of zeros (top, left, bottom, right) that the producer writes, so that a
    convolution reads its padding from memory. `channels`, where not 0, is the
    channel count of the buffer that this value is a slice of.

    ```mlir
    tensor<?x64x56x56xf32, #cnn.layout<"nchw16c", halo = [1, 1, 1, 1], channels = 256>>
    ```
  }];
  let parameters = (ins
    StringRefParameter<"order of the dimensions">:$order,
    ArrayRefParameter<"int64_t", "top, left, bottom, right">:$halo,
    "int64_t":$channels
  );
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Channels per block: 16 for "nchw16c", 1 for the others.
    int64_t getBlock() const;
    bool isBlocked() const { return getBlock() > 1; }
    bool hasHalo() const;
    static LayoutAttr get(::mlir::MLIRContext *context, ::llvm::StringRef order);
    LayoutAttr withHalo(::llvm::ArrayRef<int64_t> halo) const;
    LayoutAttr withChannels(int64_t channels) const;
    static std::string blocked(int64_t block);
  }];
}

def Cnn_PackedAttr : Cnn_Attr<"Packed", "packed"> {
  let summary = "How a weight lies in memory, in the order a kernel reads it";
  let description = [{
    `tag` lists the dimensions in memory, outermost first. A lower-case letter
    is a whole dimension (`o`, `i`, `h`, `w` are dimensions 0 to 3); a capital
    counts blocks of a dimension, and a number before a lower-case letter gives
    the block: `OIhw16i16o` is O/16 x I/16 x KH x KW x 16 x 16. What a block
    lacks is zero. `%2h` is what remains of h modulo 2, and any other `h` counts
    steps of 2 then: `%2h%2wIOhw16o16i` has the phases of a transposed convolution
    outermost. With `winograd = m`, the filters are stored transformed for
    output tiles of m x m: h and w are m - 1 larger, but where they are 1.

    `fip` is for the fast inner product (see FastProduct.h), of tags that end with a
    block of `i` and one of `o`, or the reverse of a transposed convolution: each vector of output channels has its inputs in
    one run, scaled by a power of two per output so that the largest lies in [1, 2),
    and behind them two rows more: minus the sum of the products of its pairs, and
    what undoes the scale.

    ```mlir
    tensor<64x64x3x3xf32, #cnn.packed<"hwOIi16o", winograd = 4>>
    tensor<64x64x1x1xf32, #cnn.packed<"OIhw16i16o", fip>>
    ```
  }];
  let parameters = (ins StringRefParameter<"dimensions in memory">:$tag,
                        "int64_t":$winograd, "bool":$fip);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// The sizes in memory, outermost first; empty where the tag does not fit.
    ::llvm::SmallVector<int64_t> physicalShape(
        ::llvm::ArrayRef<int64_t> logical) const;
    /// The dimensions in memory, outermost first, but for what `fip` does to them.
    ::llvm::SmallVector<::halcyon::cnn::PackedDim> physicalDims(
        ::llvm::ArrayRef<int64_t> logical) const;
    static PackedAttr get(::mlir::MLIRContext *context, ::llvm::StringRef tag,
                          int64_t winograd = 0);
  }];
}

def Cnn_ScheduleAttr : Cnn_Attr<"Schedule", "schedule"> {
  let summary = "The algorithm of a kernel and the parameters of its schedule";
  let description = [{
    ```mlir
    #cnn.schedule<"direct", {tile_co = 2, tile_x = 14}>
    ```
  }];
  let parameters = (ins StringRefParameter<"algorithm">:$algorithm,
                        "::mlir::DictionaryAttr":$params);
  let assemblyFormat = "`<` $algorithm `,` $params `>`";
  let extraClassDeclaration = [{
    /// The parameter, or `otherwise` where the schedule does not give it.
    int64_t param(::llvm::StringRef name, int64_t otherwise = 0) const;
  }];
}

def Cnn_PadMode : I32EnumAttr<"PadMode", "what a convolution reads outside", [
    I32EnumAttrCase<"zero", 0>, I32EnumAttrCase<"reflect", 1>,
    I32EnumAttrCase<"replicate", 2>, I32EnumAttrCase<"circular", 3>]> {
  let cppNamespace = "::halcyon::cnn";
}

def Cnn_Precision : I32EnumAttr<"Precision", "how elements are stored", [
    I32EnumAttrCase<"f32", 0>, I32EnumAttrCase<"bf16", 1>]> {
  let cppNamespace = "::halcyon::cnn";
}

def Cnn_AutoPad : I32EnumAttr<"AutoPad", "padding that depends on sizes", [
    I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"same", 1>,
    I32EnumAttrCase<"same_upper", 2>, I32EnumAttrCase<"same_lower", 3>]> {
  let cppNamespace = "::halcyon::cnn";
}

//===----------------------------------------------------------------------===//
// Interfaces
//===----------------------------------------------------------------------===//

def Cnn_LayerOpInterface : OpInterface<"LayerOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{An operation that is a layer of the language. See Layer.h.}];
  let methods = [
    StaticInterfaceMethod<"The parameters of the layer, in positional order.",
      "::halcyon::cnn::LayerSignature", "layerSignature">,
    StaticInterfaceMethod<[{
      Makes the operation from bound arguments, after checking them and
      reporting mistakes in the user's terms. The results are the layer's.}],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildLayer",
      (ins "::halcyon::cnn::LayerContext &":$context)>,
    InterfaceMethod<[{
      The argument with which buildLayer makes this operation: the attribute of
      the parameter's name, unless the operation says otherwise. Of a parameter
      that takes tensors, those operands. None where there is none.}],
      "::halcyon::cnn::LayerValue", "layerArgument",
      (ins "const ::halcyon::cnn::LayerParam &":$param), "",
      "return ::halcyon::cnn::attributeArgument($_op, param);">
  ];
}

def Cnn_ComputeOpInterface : OpInterface<"ComputeOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{An operation that computes values from values.}];
  let methods = [
    InterfaceMethod<[{
      Floating-point operations per image by the layer's definition, a
      multiply-add as two.}],
      "double", "getFlops", (ins), "", "return 0;">,
    InterfaceMethod<[{
      Whether the operation has a structure of its own, so that at most one
      such operation is in a kernel. Elementwise operations have none.}],
      "bool", "isAnchor", (ins), "", "return true;">,
    InterfaceMethod<[{
      The window that an output element reads, for the receptive field.}],
      "::halcyon::cnn::Window", "getWindow", (ins), "",
      "return ::halcyon::cnn::Window();">,
    InterfaceMethod<[{
      The flow is only a matter of memory (reshaping, concatenation).}],
      "bool", "movesDataOnly", (ins), "", "return false;">,
    InterfaceMethod<[{
      Each element of the first operand serves one position of the output, so
      that it may be computed where it is read.}],
      "bool", "takesPrologue", (ins), "", "return false;">,
    InterfaceMethod<[{
      Each operand's elements serve one position each, not the first's alone.}],
      "bool", "takesPrologues", (ins), "", "return false;">,
    InterfaceMethod<[{
      Elementwise operations may follow in the same kernel.}],
      "bool", "takesEpilogue", (ins), "",
      "return $_op->getNumResults() == 1;">,
    InterfaceMethod<[{
      Whether an image of the results needs the same image of the operands
      alone, wherever in the batch it stands, so that a batch may be computed
      part by part.}],
      "bool", "isPerImage", (ins), "",
      "return ::halcyon::cnn::hasBatches($_op);">
  ];
}

def Cnn_WeightOpInterface : OpInterface<"WeightOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{
    An operation on weights alone, evaluated when the program is made.
  }];
  let methods = [
    InterfaceMethod<[{
      Computes the results from the operands, all dense, row-major, in f32
      whatever the precision in which they are stored.
      `results` have their sizes. Must not depend on anything else.}],
      "::mlir::LogicalResult", "evaluate",
      (ins "::llvm::ArrayRef<::llvm::ArrayRef<float>>":$operands,
           "::llvm::ArrayRef<::llvm::MutableArrayRef<float>>":$results)>
  ];
}

def Cnn_PaddedOpInterface : OpInterface<"PaddedOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{
    An operation that slides a window of taps over a map with a border around
    it. Pairs are (y, x), `pad` is (top, left, bottom, right).
  }];
  let methods = [
    InterfaceMethod<"The taps of the window, dilation not counted.",
      "::llvm::SmallVector<int64_t>", "getTaps", (ins),
      "return ::llvm::to_vector($_op.getKernel());">,
    InterfaceMethod<"", "::llvm::ArrayRef<int64_t>", "getStride">,
    InterfaceMethod<"", "::llvm::ArrayRef<int64_t>", "getDilation">,
    InterfaceMethod<"", "::llvm::ArrayRef<int64_t>", "getPad">,
    InterfaceMethod<"", "::halcyon::cnn::AutoPad", "getAutoPad">,
    InterfaceMethod<"", "void", "setStride",
      (ins "::llvm::ArrayRef<int64_t>":$stride)>,
    InterfaceMethod<"", "void", "setDilation",
      (ins "::llvm::ArrayRef<int64_t>":$dilation)>,
    InterfaceMethod<"", "void", "setPad", (ins "::llvm::ArrayRef<int64_t>":$pad)>,
    InterfaceMethod<"", "void", "setAutoPad",
      (ins "::halcyon::cnn::AutoPad":$mode)>,
    InterfaceMethod<[{
      Whether a window that begins inside the padded map but overhangs its end
      counts.}],
      "bool", "getCeil", (ins), "", "return false;">,
    InterfaceMethod<"", "void", "setCeil", (ins "bool":$ceil), "", "return;">,
    InterfaceMethod<[{
      Lets padding stand for what windows overhang, provided that the caller
      extends it; false where that would change values.}],
      "bool", "takeOverhangAsPad", (ins), "", "return false;">,
    InterfaceMethod<[{
      Makes padding stand for zeros, provided that the caller extends it by
      zeros which now surround the map; false where that would change values.}],
      "bool", "takeZerosAsPad", (ins), "", "return false;">
  ];
}

def Cnn_AffineOpInterface : OpInterface<"AffineOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{
    An operation linear in `weight`, plus a `bias` per output channel, so that a
    scale and a shift per channel after it fold into both.
  }];
  let methods = [
    InterfaceMethod<"", "::mlir::Value", "getWeight">,
    InterfaceMethod<"", "::mlir::Value", "getBias">,
    InterfaceMethod<"", "void", "setAffine",
      (ins "::mlir::Value":$weight, "::mlir::Value":$bias),
      "$_op.getWeightMutable().assign(weight); $_op.getBiasMutable().assign(bias);">,
    InterfaceMethod<"The axis of `weight` along which output channels lie.",
      "int64_t", "getChannelAxis", (ins), "", "return 0;">,
    InterfaceMethod<"Groups of output channels that share that axis.",
      "int64_t", "getChannelGroups", (ins), "", "return 1;">
  ];
}

def Cnn_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::halcyon::cnn";
  let description = [{
    An operation whose derivatives are operations of the graph: those of a
    convolution are convolutions, which have kernels of their own. Of others
    `cnn.adjoint` is derived from the algorithm.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the gradients of the operands that are `wanted` from those of the
      results, a null value where one is not.}],
      "::llvm::SmallVector<::mlir::Value>", "buildGradients",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$gradients,
           "::llvm::ArrayRef<bool>":$wanted)>,
    InterfaceMethod<[{
      Whether `cnn.adjoint` can stand in for these.}],
      "bool", "hasAdjoint", (ins), "", "return true;">
  ];
}

//===----------------------------------------------------------------------===//
// Operation classes
//===----------------------------------------------------------------------===//

class Cnn_Op<string mnemonic, list<Trait> traits = []>
    : Op<Cnn_Dialect, mnemonic, traits>;

/// The result type follows from the operands; types are compatible when they
/// differ in layout and in the precision that is stored alone.
def Cnn_InferType : InferTypeOpAdaptorBase<[{
    static bool isCompatibleReturnTypes(::mlir::TypeRange l,
                                        ::mlir::TypeRange r) {
      return ::halcyon::cnn::differInStorageOnly(l, r);
    }
  }]>;

/// An operation from tensors to one tensor.
class Cnn_TensorOp<string mnemonic, list<Trait> traits = []>
    : Cnn_Op<mnemonic, traits # [Pure, Cnn_InferType]> {
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat =
    "operands attr-dict `:` functional-type(operands, results)";
}

/// A layer of the language with a structure of its own.
class Cnn_Layer<string mnemonic, list<string> computeMethods,
                list<Trait> traits = [], list<string> layerMethods = []>
    : Cnn_TensorOp<mnemonic, traits # [
        DeclareOpInterfaceMethods<Cnn_LayerOpInterface, layerMethods>,
        DeclareOpInterfaceMethods<Cnn_ComputeOpInterface, computeMethods>]>;

/// Of an operation whose results depend on the shapes of its operands alone, as
/// far as these are differentiable.
def Cnn_ReadsShapeOnly : NativeOpTrait<"ReadsShapeOnly"> {
  let cppNamespace = "::halcyon::cnn";
}

/// An operation on weights, evaluated when the program is made.
class Cnn_WeightArithmeticOp<string mnemonic, list<Trait> traits = []>
    : Cnn_TensorOp<mnemonic, traits # [
        DeclareOpInterfaceMethods<Cnn_WeightOpInterface>]>;

#endif // HALCYON_CNN_BASE
